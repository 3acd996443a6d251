"""The people of the tests: Alice owns, Bob develops, Carol reports, Mallory is nobody.

Root administers. Where a person stands for a row of GitLab's it is made by `person`; the registry's
tests know people by what their tokens allow (`tests.registry.base`), the tests with real clients by
a name and a password (`tests.e2e.conftest`).
"""

from __future__ import annotations

import base64
from typing import Any

PASSWORD = "correct-horse-battery"
"""Everybody's."""

NAMES = {"alice", "bob", "carol", "mallory"}


def person(username: str, **extra: Any) -> Any:
    """A person with a namespace, made once in a test as GitLab's own service makes them."""
    from gitlab.accounts import services
    from gitlab.accounts.models import User

    found = User.objects.filter(username=username).first()
    return found or services.create_user(
        username=username,
        email=f"{username}@example.com",
        name=username.title(),
        password=PASSWORD,
        **extra,
    )


def basic(username: str, password: str = PASSWORD) -> str:
    """The Authorization header of a name and a password."""
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"
