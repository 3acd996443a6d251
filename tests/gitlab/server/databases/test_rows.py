"""Model instances of queries that are written out: what `Manager.raw` gives, on both engines."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import OperationalError, ProgrammingError

from gitlab.accounts.models import User
from gitlab.server.databases import rows
from tests.gitlab import factories

pytestmark = pytest.mark.django_db

FIND = "SELECT username, id, is_superuser, created_at, 7 AS seven FROM accounts_user WHERE username = %s"


@pytest.fixture
def alice() -> User:
    made: User = factories.person("alice")
    return made


def test_it_gives_what_the_orm_gives(alice: User) -> None:
    for _ in range(2):  # The second time by the shape that is remembered.
        (found,) = rows.instances(User, FIND, ["alice"])
        stored = User.objects.get(pk=alice.pk)
        assert found == stored
        assert (found.username, found.is_superuser) == ("alice", False)
        assert found.is_superuser is False
        assert found.created_at == stored.created_at
        assert isinstance(found.created_at, dt.datetime)
        assert found.seven == 7  # type: ignore[attr-defined]


def test_what_no_column_is_named_after_is_loaded_when_asked_for(
    alice: User, django_assert_num_queries: Any
) -> None:
    (found,) = rows.instances(User, FIND, ["alice"])
    assert "email" in found.get_deferred_fields()
    with django_assert_num_queries(1):
        assert found.email == alice.email


def test_nothing_is_found(alice: User) -> None:
    assert rows.instances(User, FIND, ["bob"]) == []


def test_a_query_is_counted_where_somebody_counts(
    alice: User, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        rows.instances(User, FIND, ["alice"])


def test_failures_are_djangos(alice: User) -> None:
    with pytest.raises((OperationalError, ProgrammingError)):
        rows.instances(User, "SELECT id FROM nowhere WHERE id = %s", [1])
