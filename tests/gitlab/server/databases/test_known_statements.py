"""Reading past psycopg's cursor: the same rows, the same refusals, and back to it where need be."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError, DataError, OperationalError, connections

from gitlab.server.databases.postgresql import known_statements
from gitlab.server.databases.reading import ReadsRows

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(databases=["registry"], transaction=True),
]

QUESTION = "SELECT relname::text, oid::bigint FROM pg_class WHERE relname = %s AND relnatts > %s"


@pytest.fixture
def connection() -> Iterator[Any]:
    """A connection of its own to the registry's database."""
    found = connections["registry"]
    made = type(found)(copy.deepcopy(found.settings_dict), "registry")
    made.connect()
    yield made
    made.close()


@pytest.fixture
def asked_by_cursor(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What psycopg's cursor was asked."""
    asked: list[str] = []
    execute = ReadsRows.rows

    def rows(self: Any, sql: str, parameters: Any) -> Any:
        asked.append(sql)
        return execute(self, sql, parameters)

    monkeypatch.setattr(ReadsRows, "rows", rows)
    return asked


def test_from_the_second_time_on_the_cursor_is_not_asked(
    connection: Any, asked_by_cursor: list[str]
) -> None:
    found = [connection.rows(QUESTION, ["pg_class", 0]) for _ in range(4)]
    assert [[row[0] for row in rows] for rows in found] == [["pg_class"]] * 4
    assert found[0] == found[3], "the same types too"
    assert asked_by_cursor == [QUESTION]
    assert connection.row(QUESTION, ["pg_class", 100_000]) is None
    assert connection.row(QUESTION, ["pg_class", 0]) == found[0][0]


def test_values_come_as_from_the_cursor(connection: Any) -> None:
    question = """
        SELECT 1::bigint, 'text'::text, '\\x00ff'::bytea, true, NULL::text,
        '2026-11-29 12:00:00+02'::timestamptz, %s::text
    """
    by_cursor, _, known = (connection.row(question, ["x"]) for _ in range(3))
    assert known == by_cursor
    assert known[:5] == (1, "text", b"\x00\xff", True, None)
    assert known[5] == dt.datetime(2026, 11, 29, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize("value", ["a\0b", "Ü", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None, 1.5])
def test_what_only_the_cursor_can_send_is_left_to_it(
    connection: Any, asked_by_cursor: list[str], value: Any
) -> None:
    question = "SELECT %s::text IS NULL"
    for _ in range(3):
        connection.rows(question, ["x"])
    asked_by_cursor.clear()
    if isinstance(value, str) and "\0" in value:
        with pytest.raises(DataError):
            connection.rows(question, [value])
    else:
        assert connection.rows(question, [value]) == [(value is None,)]
    assert asked_by_cursor == [question]


def test_a_statement_that_the_server_has_forgotten_is_asked_by_the_cursor(
    connection: Any, asked_by_cursor: list[str]
) -> None:
    for _ in range(3):
        connection.rows(QUESTION, ["pg_class", 0])
    connection.connection.pgconn.exec_(b"DEALLOCATE ALL")
    connection.connection._prepared.clear()
    assert connection.rows(QUESTION, ["pg_class", 0])
    assert len(asked_by_cursor) == 2
    assert connection.rows(QUESTION, ["pg_class", 0])
    assert len(asked_by_cursor) == 2, "known again"


def test_one_whose_rows_have_changed_their_form(connection: Any) -> None:
    connection.change("CREATE TEMPORARY TABLE form (a int)", [])
    connection.change("INSERT INTO form VALUES (1)", [])
    for _ in range(3):
        assert connection.rows("SELECT * FROM form", []) == [(1,)]
    connection.change("ALTER TABLE form ADD COLUMN b int", [])
    assert connection.rows("SELECT a, b FROM form", []) == [(1, None)]
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    connection.connection._prepared.clear()
    assert connection.rows("SELECT * FROM form", []) == [(1, None)]


def test_a_number_beyond_a_columns_type_is_no_error(connection: Any) -> None:
    """As psycopg's cursor has it: there is no such row."""
    for number in (1, 1, 1, 2**31, 2**70):
        found = connection.rows("SELECT 1 FROM pg_class WHERE relnatts = %s", [number])
        assert bool(found) == (number == 1)


def test_an_error_is_djangos_and_the_connection_lives_on(connection: Any) -> None:
    question = "SELECT 1 / %s::int"
    for _ in range(3):
        connection.rows(question, [1])
    with pytest.raises(DatabaseError, match="division by zero"):
        connection.rows(question, [0])
    assert connection.rows(question, [1]) == [(1,)]


def test_within_a_transaction_the_cursor_is_asked(
    connection: Any, asked_by_cursor: list[str]
) -> None:
    """Psycopg forgets what it has prepared there when a transaction is rolled back."""
    for _ in range(3):
        connection.rows(QUESTION, ["pg_class", 0])
    connection.set_autocommit(False)
    connection.rows(QUESTION, ["pg_class", 0])
    connection.rollback()
    connection.set_autocommit(True)
    assert len(asked_by_cursor) == 2


def test_a_server_that_has_gone_is_no_answer(connection: Any) -> None:
    for _ in range(3):
        connection.rows(QUESTION, ["pg_class", 0])
    ended = int(connection.row("SELECT pg_backend_pid()", [])[0])
    connections["registry"].row("SELECT pg_terminate_backend(%s, 5000)", [ended])  # type: ignore[attr-defined]
    with pytest.raises(OperationalError):
        connection.rows(QUESTION, ["pg_class", 0])
    assert not connection.is_usable()


def test_one_that_hangs_is_given_up(connection: Any) -> None:
    question = "SELECT pg_sleep(%s::int)::text"
    for _ in range(3):
        connection.rows(question, [0])
    known = connection.connection.known
    pid = connection.connection.info.backend_pid
    with mock.patch.object(known, "_patience", 50), pytest.raises(OperationalError, match="50 ms"):
        connection.rows(question, [600])
    assert not connection.is_usable(), "nobody may go on with it"
    connections["registry"].row("SELECT pg_terminate_backend(%s, 5000)", [pid])  # type: ignore[attr-defined]


def test_names_have_a_bound(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_statements, "_MOST", 5)
    for number in range(20):
        for _ in range(3):
            assert connection.rows(f"SELECT %s::int + {number}", [1]) == [(1 + number,)]
    assert len(connection.connection.known._names) <= 5
    assert len(connection.connection.known._seen) <= 5


def test_what_is_asked_once_keeps_nothing_from_being_known(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_statements, "_MOST", 5)
    for number in range(20):
        connection.rows(f"SELECT %s::int + {number}", [1])
    for _ in range(3):
        connection.rows(QUESTION, ["pg_class", 0])
    assert connection.connection.known._names[QUESTION]
