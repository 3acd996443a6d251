"""A project of alice's in a group of hers, with a registry that says what tests have put in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gitlab.factories import *  # noqa: F403
from tests.gitlab.played_registry import *  # noqa: F403


@pytest.fixture
def app(alice: Any, bob: Any, carol: Any, make_group: Any, make_project: Any) -> Any:
    make_group("acme", owner=alice)
    return make_project("acme/app", owner=alice, developers=[bob], reporters=[carol])


@pytest.fixture
def acme(app: Any) -> Any:
    from gitlab.namespaces.models import Namespace

    return Namespace.objects.get(full_path="acme")


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A registry that says what tests have put into `used`."""
    from gitlab.container_registry.client import chosen as clients
    from tests.gitlab.played_registry import PlayedRegistry

    registry = PlayedRegistry()
    monkeypatch.setattr(clients, "for_pages", lambda: registry)
    return registry
