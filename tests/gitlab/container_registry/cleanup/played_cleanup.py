"""An image with tags, a policy for it, and the steps of a run.

A conftest takes the fixtures with ``from ….played_cleanup import *``.
"""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["approved", "finished", "planned", "tags"]

PATH = "acme/app/web"


@pytest.fixture
def tags(web: Any, played: Any, alice: Any, app: Any, enqueued: list[Any]) -> Any:
    """latest, v0 … v4; all but the newest go. Answers the registry."""
    from gitlab.container_registry.cleanup import services

    played.push(PATH, "latest")
    for number in range(5):
        played.push(PATH, f"v{number}", "abcde"[number])
    services.save_policy(alice, app, rules=[{"name_regex_delete": "v.*", "keep_n": 1}])
    return played


@pytest.fixture
def planned(tags: Any, alice: Any, app: Any) -> Any:
    """A plan that waits for approval."""
    from gitlab.container_registry.cleanup import requests, runs
    from gitlab.jobs.leases import Outcome

    row = requests.request(alice, app)
    assert runs.run(row.pk, tags) is Outcome.DONE
    row.refresh_from_db()
    assert row.status == "planned"
    return row


@pytest.fixture
def approved(planned: Any, alice: Any) -> Any:
    from gitlab.container_registry.cleanup import requests

    return requests.approve(alice, planned)


@pytest.fixture
def finished(approved: Any, tags: Any) -> Any:
    from gitlab.container_registry.cleanup import runs
    from gitlab.jobs.leases import Outcome

    assert runs.run(approved.pk, tags) is Outcome.DONE
    approved.refresh_from_db()
    assert approved.status == "finished"
    return approved


def left(played: Any, path: str = PATH) -> list[str]:
    """The tags that are there."""
    return sorted(played.now.get(path, {}))


def entries(run: Any, *, goes: bool = True) -> dict[str, Any]:
    """The tags of a plan that go, or those that stay, by name."""
    from gitlab.container_registry.cleanup.models import CleanupBatch
    from gitlab.container_registry.cleanup.plan import entries_of

    rows = CleanupBatch.objects.filter(run=run, goes=goes).order_by("number")
    return {entry.name: entry for batch in rows for entry in entries_of(batch)}
