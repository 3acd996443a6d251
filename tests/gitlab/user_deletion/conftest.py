"""The people of these tests, and a registry that renames."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gitlab.factories import *  # noqa: F403


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch, enqueued: Any) -> Any:
    from gitlab.container_registry.client import chosen as clients
    from tests.gitlab.played_registry import PlayedRegistry

    played = PlayedRegistry()
    monkeypatch.setattr(clients, "for_pages", lambda: played)
    monkeypatch.setattr(clients, "for_jobs", lambda: played)
    return played
