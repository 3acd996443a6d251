"""Named tuples of queries that are written out: what the ORM would give, on both engines."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

import pytest
from django.db import OperationalError, ProgrammingError

from gitlab.access_tokens import services
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.accounts.models import User
from gitlab.accounts.rows import PERSON_COLUMNS, PersonRow
from gitlab.server.databases import rows

pytestmark = pytest.mark.django_db

FIND = f"SELECT {PERSON_COLUMNS} FROM accounts_user u WHERE u.username = %s"
KINDS = """
SELECT scopes, expires_at, created_at, revoked_at, name FROM access_tokens_personalaccesstoken
WHERE user_id = %s
"""


class Kinds(NamedTuple):
    scopes: list[str]
    expires_at: dt.date | None
    created_at: dt.datetime
    revoked_at: dt.datetime | None
    name: str


def test_it_gives_what_the_orm_gives(alice: User) -> None:
    for _ in range(2):  # The second time by the converters that are remembered.
        (found,) = rows.read(PersonRow, FIND, ["alice"])
        assert found == (alice.pk, "alice", alice.name, "active", False, False, "human")
        assert found.is_superuser is False
        assert found.is_active
        assert found.person_id == found.pk == alice.pk


def test_times_days_and_documents_have_their_types(alice: User) -> None:
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    services.create(alice, name="ci", scopes=["read_registry"], expires_at=tomorrow)
    stored = PersonalAccessToken.objects.get()
    (found,) = rows.read(Kinds, KINDS, [alice.pk])
    assert found == (["read_registry"], tomorrow, stored.created_at, None, "ci")


def test_nothing_is_found(alice: User) -> None:
    assert rows.read(PersonRow, FIND, ["bob"]) == []


def test_several_are_read_together(alice: User) -> None:
    services.create(alice, name="ci", scopes=["read_registry"])
    for _ in range(3):  # What the server knows already is sent in another way.
        people, nobody, kinds = rows.read_together(
            (PersonRow, FIND, ["alice"]), (PersonRow, FIND, ["bob"]), (Kinds, KINDS, [alice.pk])
        )
        assert people == rows.read(PersonRow, FIND, ["alice"])
        assert nobody == []
        assert kinds == rows.read(Kinds, KINDS, [alice.pk])
        assert kinds[0].scopes == ["read_registry"]


def test_a_query_is_counted_where_somebody_counts(
    alice: User, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        rows.read(PersonRow, FIND, ["alice"])


def test_failures_are_djangos(alice: User) -> None:
    with pytest.raises((OperationalError, ProgrammingError)):
        rows.read(PersonRow, "SELECT id FROM nowhere WHERE id = %s", [1])


def test_failures_of_several_are_djangos(alice: User) -> None:
    nowhere = (PersonRow, "SELECT id FROM nowhere WHERE id = %s", [1])
    with pytest.raises((OperationalError, ProgrammingError)):
        rows.read_together((PersonRow, FIND, ["alice"]), nowhere)


def test_what_is_asked_along_goes_with_the_first_that_is_read(
    alice: User, django_assert_num_queries: Any
) -> None:
    services.create(alice, name="ci", scopes=["read_registry"])
    kinds: rows.Question = (Kinds, KINDS, [alice.pk])
    with rows.asking_along(kinds, (PersonRow, FIND, ["bob"])):
        with django_assert_num_queries(3):
            (found,) = rows.read(PersonRow, FIND, ["alice"])
        assert found.username == "alice"
        with django_assert_num_queries(0):
            ((of_alice,), nobody) = rows.read_together(kinds, (PersonRow, FIND, ["bob"]))
        assert (of_alice.scopes, nobody) == (["read_registry"], [])


def test_what_was_asked_along_is_given_once(alice: User) -> None:
    """Later the row may be another."""
    with rows.asking_along((PersonRow, FIND, ["alice"])):
        rows.read(PersonRow, FIND, ["bob"])
        assert rows.read(PersonRow, FIND, ["alice"])[0].name == alice.name
        User.objects.update(name="Somebody else")
        assert rows.read(PersonRow, FIND, ["alice"])[0].name == "Somebody else"


def test_what_is_asked_along_is_asked_once_where_it_comes_first(
    alice: User, django_assert_num_queries: Any
) -> None:
    asked: rows.Question = (PersonRow, FIND, ["alice"])
    with rows.asking_along(asked), django_assert_num_queries(1):
        assert rows.read(*asked)


def test_nothing_is_left_of_it_after_the_block(alice: User, django_assert_num_queries: Any) -> None:
    asked: rows.Question = (PersonRow, FIND, ["alice"])
    with rows.asking_along((PersonRow, FIND, ["bob"])):
        with rows.asking_along(asked):
            rows.read(PersonRow, FIND, ["carol"])
        with django_assert_num_queries(2):  # Its own, and what this block asks along.
            assert rows.read(*asked)
    with django_assert_num_queries(1):
        assert rows.read(*asked)
    with pytest.raises(ZeroDivisionError), rows.asking_along(asked):
        raise ZeroDivisionError
    with django_assert_num_queries(1):
        assert rows.read(PersonRow, FIND, ["carol"]) == []
