"""People and names for the tests with real clients."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from tests.e2e.installation import PASSWORD, Installation

_numbers = itertools.count()


@dataclass(frozen=True)
class Person:
    """Somebody with a namespace of their own."""

    username: str
    password: str


@pytest.fixture(scope="session")
def alice(berth: Installation) -> Person:
    """Pushes to her own namespace."""
    berth.create_user("alice")
    return Person("alice", PASSWORD)


@pytest.fixture
def project(alice: Person) -> str:
    """A path in Alice's namespace that no other test uses; nobody has made the project."""
    return f"{alice.username}/app-{next(_numbers)}"
