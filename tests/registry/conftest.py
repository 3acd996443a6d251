"""What the registry's tests share: a store of their own, a clock, and people."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from registry.storage import chosen as storage
from registry.storage.filesystem import FilesystemStore
from tests.registry.base import Person


@pytest.fixture(autouse=True)
def _registry_process(settings: Any) -> None:
    """As a process that serves the registry alone: its addresses, hardly any middleware."""
    settings.ROOT_URLCONF = "registry.urls"
    settings.MIDDLEWARE = ["gitlab.server.middleware.RequestIdMiddleware"]
    settings.REGISTRY_IMPORT_OBJECTIONS = "tokens.names.objections"


@pytest.fixture(autouse=True)
def store_root(tmp_path: Path, settings: Any) -> Path:
    """The folder of this test's store."""
    root = tmp_path / "store"
    settings.REGISTRY_STORAGE = {"driver": "filesystem", "root": root}
    return root


@pytest.fixture(autouse=True)
def _nothing_has_to_survive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract's tests look at fsync. Elsewhere it only takes time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(autouse=True)
def _nothing_is_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests have pulled is not written down by this one."""
    from registry.services import pull_counts

    monkeypatch.setattr(pull_counts, "_gathered", pull_counts.Gathered())
    monkeypatch.setattr(pull_counts, "_writer", pull_counts.Writer())


@pytest.fixture(autouse=True)
def _no_transaction_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of the collector's follows from how fast the machine is; tests count its queries."""
    from registry.services.garbage import batches, unlinking

    monkeypatch.setattr(batches, "_HELD", 1e9)
    monkeypatch.setattr(unlinking, "_HELD", 1e9)


@pytest.fixture(autouse=True)
def _nothing_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test's database has said of quotas goes with it."""
    from registry.services import usage

    monkeypatch.setattr(usage, "_lately", usage.Lately())


@pytest.fixture
def store() -> FilesystemStore:
    """This test's store."""
    current = storage.current()
    assert isinstance(current, FilesystemStore)
    return current


class Clock:
    """Moves `timezone.now` for services. Tokens keep to the real time."""

    def __init__(self) -> None:
        self._ahead = dt.timedelta()
        self._now = timezone.now

        self._still: dt.datetime | None = None

    def now(self) -> dt.datetime:
        """The moved time."""
        return self._still or self._now() + self._ahead

    def now_is(self, moment: dt.datetime) -> None:
        """Stand still."""
        self._still = moment

    def runs_again(self) -> None:
        """No longer stand still."""
        self._still = None

    def advance(self, **by: float) -> None:
        """Let time pass: ``clock.advance(days=2)``. One that stands still stands there then."""
        self._ahead += dt.timedelta(**by)
        if self._still is not None:
            self._still += dt.timedelta(**by)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock to move."""
    moved = Clock()
    monkeypatch.setattr(timezone, "now", moved.now)
    return moved


@pytest.fixture
def alice() -> Person:
    """May do everything with the images of acme."""
    return Person("alice", ("pull", "push", "delete"))


@pytest.fixture
def bob() -> Person:
    """May pull and push."""
    return Person("bob", ("pull", "push"))


@pytest.fixture
def carol() -> Person:
    """May pull."""
    return Person("carol", ("pull",))


@pytest.fixture
def mallory() -> Person:
    """May do everything, but only in a repository of his own."""
    return Person("mallory", ("pull", "push", "delete"), only="mallory/evil")


@pytest.fixture
def nobody() -> Person:
    """Has no token."""
    return Person(None, ())


@pytest.fixture
def gitlab() -> Person:
    """GitLab's own job: a token without a subject, for all of the registry's API."""
    return Person(None, ("pull", "push", "delete"), own=True)
