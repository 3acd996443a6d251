"""What test modules share: the people, and how refusals are recognised.

Alice owns what a test is about, Bob works with her, Charlie is somebody else; so each test of
access has the same shape.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from django.http import HttpResponse
from django.test import TestCase, TransactionTestCase

from tokens import issue
from tokens.access import Access

PASSWORD = "correct-horse-battery"
BOTH = {"default", "registry"}


class BothDatabases(TestCase):
    """A test that may touch both sides' tables."""

    databases = BOTH


class BothDatabasesForReal(TransactionTestCase):
    """The same with transactions that end: for `on_commit`, locks and threads."""

    databases = BOTH


class PeopleTestCase(BothDatabases):
    """With Alice, Bob and Charlie, each with a namespace of their own, and the administrator."""

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.root = create_user("root", is_superuser=True)
        cls.alice = create_user("alice")
        cls.bob = create_user("bob")
        cls.charlie = create_user("charlie")


def create_user(username: str, **extra: Any) -> Any:
    """A person as GitLab's own service makes them."""
    from gitlab.accounts import services

    return services.create_user(
        username=username,
        email=f"{username}@example.com",
        name=username.title(),
        password=PASSWORD,
        **extra,
    )


def basic(username: str, password: str = PASSWORD) -> dict[str, str]:
    """Django's test client's headers for a name and a password."""
    text = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"HTTP_AUTHORIZATION": f"Basic {text}"}


def bearer(*access: Access, subject: str | None = "alice") -> dict[str, str]:
    """Django's test client's headers with a token that grants `access`."""
    return {"HTTP_AUTHORIZATION": f"Bearer {issue.issue(access, subject=subject).text}"}


def assert_refused(response: HttpResponse, code: Any, *, status: int | None = None) -> None:
    """The registry's error form, with `code` (a member of the table, or its name) in it."""
    wanted = getattr(code, "name", code)
    assert response["Content-Type"].startswith("application/json"), response["Content-Type"]
    body = json.loads(response.content)
    assert set(body) == {"errors"}, body
    codes = [error["code"] for error in body["errors"]]
    assert wanted in codes, f"{codes} and not {wanted}"
    assert all(isinstance(error["message"], str) and error["message"] for error in body["errors"])
    if status is not None:
        assert response.status_code == status, response.status_code
