"""Asking past psycopg's cursor: the same rows, the same refusals, and back to it where need be."""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from django.db import DatabaseError, DataError, IntegrityError, OperationalError, connections
from django.db.transaction import atomic
from psycopg.pq import TransactionStatus

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
    for way in ("rows", "row", "change"):
        by_cursor = getattr(ReadsRows, way)

        def ask(self: Any, sql: str, parameters: Any, by_cursor: Any = by_cursor) -> Any:
            asked.append(sql)
            return by_cursor(self, sql, parameters)

        monkeypatch.setattr(ReadsRows, way, ask)
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


@pytest.mark.parametrize("value", ["a\0b", "Ü", dt.datetime(2026, 1, 1), 1.5, True])  # noqa: DTZ001
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
        assert connection.rows(question, [value]) == [(False,)]
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


MOMENT = dt.datetime(2026, 11, 29, 12, 0, 0, 51_999, tzinfo=dt.UTC)


@pytest.fixture
def table(connection: Any) -> Iterator[str]:
    connection.change(
        "CREATE TEMPORARY TABLE kept (id int, at timestamptz, day date, bytes bytea, text text)", []
    )
    yield "kept"
    connection.change("DROP TABLE kept", [])


@contextmanager
def transaction(connection: Any) -> Iterator[None]:
    connection.set_autocommit(False)
    try:
        yield
    finally:
        connection.rollback()
        connection.set_autocommit(True)


INSERT = "INSERT INTO kept VALUES (%s, %s, %s, %s, %s)"
VALUES = [[1, MOMENT, MOMENT.date(), b"\x00\xff", "text"], [2, None, None, b"", None]]


def test_what_was_written_is_what_was_sent(
    connection: Any, table: str, asked_by_cursor: list[str]
) -> None:
    for _ in range(3):
        assert connection.change(INSERT, VALUES[0]) == 1
    assert connection.change(INSERT, VALUES[1]) == 1
    rows = connection.rows(f"SELECT * FROM {table} ORDER BY id", [])
    assert [list(row) for row in rows] == [VALUES[0]] * 3 + [VALUES[1]]
    assert asked_by_cursor == [INSERT, f"SELECT * FROM {table} ORDER BY id"]


def test_a_transaction_is_begun_with_its_first_statements(
    connection: Any, table: str, asked_by_cursor: list[str]
) -> None:
    count = f"SELECT count(*) FROM {table} WHERE id = %s"
    for _ in range(3):
        connection.change(INSERT, VALUES[0])
        connection.row(count, [1])
    asked_by_cursor.clear()
    with transaction(connection):
        with connection.together() as send:
            inserted, counted = send(INSERT, VALUES[0]), send(count, [1])
        assert (inserted.count, counted.row) == (1, (4,)), "each sees what those before have done"
        assert connection.row(count, [1]) == (4,)
        status = connection.connection.pgconn.transaction_status
        assert status == TransactionStatus.INTRANS
    assert connection.row(count, [1]) == (3,), "rolled back"
    assert asked_by_cursor == []


ADD = "INSERT INTO added VALUES (%s)"
FAILING = "UPDATE added SET id = 1 / %s::int WHERE id = 1"


@pytest.fixture
def ours() -> Any:
    """The registry's connection, on which `ADD` and `FAILING` are known."""
    found: Any = connections["registry"]
    found.change("DROP TABLE IF EXISTS added", [])
    found.change("CREATE TABLE added (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)", [])
    for number in range(3):
        found.change(ADD, [number + 1])
        found.change(FAILING, [1])
    found.change("DELETE FROM added", [])
    yield found
    found.change("DROP TABLE added", [])


@pytest.fixture
def seen(ours: Any) -> Iterator[Callable[[], int]]:
    """How many rows others see."""
    other = ours.copy()
    yield lambda: int(other.row("SELECT count(*) FROM added", [])[0])
    other.close()


def in_transaction(ours: Any) -> bool:
    return bool(ours.connection.pgconn.transaction_status == TransactionStatus.INTRANS)


def test_a_transaction_is_committed_with_its_last_statements(
    ours: Any, seen: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[Any] = []
    run = known_statements.KnownStatements._run

    def noting(self: Any, *given: Any, **more: Any) -> Any:
        if self is ours.connection.known:
            trips.append(given)
        return run(self, *given, **more)

    monkeypatch.setattr(known_statements.KnownStatements, "_run", noting)
    with atomic(using="registry"):
        with ours.together(commits=True) as send:
            sent = [send(ADD, [1]), send(FAILING, [1])]
        assert not in_transaction(ours)
        assert seen() == 1
    assert [each.count for each in sent] == [1, 1]
    assert len(trips) == 1
    with atomic(using="registry"):
        ours.change(ADD, [2])
        with ours.together(commits=True) as send:
            send(ADD, [3])
        assert seen() == 3
    assert len(trips) == 3


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_failure_before_a_commit_undoes_all(
    ours: Any, seen: Callable[[], int], position: int
) -> None:
    with (  # noqa: PT012 - it is sent at the end
        pytest.raises(DatabaseError, match="division by zero"),
        atomic(using="registry"),
        ours.together(commits=True) as send,
    ):
        send(ADD, [1])
        for each in range(3):
            send(ADD, [each + 2])
            if each == position:
                send(FAILING, [0])
    assert not in_transaction(ours)
    assert seen() == 0


def test_a_block_within_another_commits_nothing(ours: Any, seen: Callable[[], int]) -> None:
    with pytest.raises(ValueError, match="mine"), atomic(using="registry"):  # noqa: PT012
        with atomic(using="registry"), ours.together(commits=True) as send:
            send(ADD, [1])
        assert in_transaction(ours)
        raise ValueError("mine")
    with atomic(using="registry"):
        ours.set_rollback(True)
        with ours.together(commits=True) as send:
            send(ADD, [1])
        assert in_transaction(ours)
    assert seen() == 0


def test_what_is_not_known_is_committed_by_the_block(ours: Any, seen: Callable[[], int]) -> None:
    with atomic(using="registry"):
        with ours.together(commits=True) as send:
            send(ADD, [1])
            send("SELECT 5", [])
        assert seen() == 0
    assert seen() == 1


def test_what_a_commit_among_them_refuses_is_an_error(ours: Any, seen: Callable[[], int]) -> None:
    with (  # noqa: PT012 - it is sent at the end
        pytest.raises(IntegrityError),
        atomic(using="registry"),
        ours.together(commits=True) as send,
    ):
        send(ADD, [7])
        send(ADD, [7])
    assert seen() == 0


def test_what_a_commit_refuses_is_an_error(connection: Any) -> None:
    connection.change(
        "CREATE TEMPORARY TABLE once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)", []
    )
    connection.set_autocommit(False)
    for _ in range(2):
        connection.change("INSERT INTO once VALUES (1)", [])
    with pytest.raises(IntegrityError):
        connection.commit()
    connection.set_autocommit(True)
    assert connection.row("SELECT count(*) FROM once", []) == (0,)


def test_a_commit_is_seen_by_others(connection: Any) -> None:
    name = "seen_by_others"
    connection.set_autocommit(False)
    connection.change(f"CREATE TABLE {name} (id int)", [])
    connection.commit()
    connection.commit()
    connection.set_autocommit(True)
    assert connections["registry"].row(f"SELECT count(*) FROM {name}", []) == (0,)  # type: ignore[attr-defined]
    connection.change(f"DROP TABLE {name}", [])


def test_a_statement_of_a_transaction_is_known_in_the_one_after(
    connection: Any, asked_by_cursor: list[str]
) -> None:
    """None is prepared within one, which would end with a statement that can't be."""
    for _ in range(2):
        with transaction(connection):
            connection.rows(QUESTION, ["pg_class", 0])
            connection.rows(QUESTION, ["pg_class", 0])
            with pytest.raises(DatabaseError):
                connection.rows("SELECT nothing FROM nowhere", [])
    assert asked_by_cursor == [QUESTION] * 2 + ["SELECT nothing FROM nowhere"] * 2


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_failure_among_several_ends_the_transaction_and_no_more(
    connection: Any, position: int
) -> None:
    question = "SELECT 1 / %s::int"
    for _ in range(3):
        connection.rows(question, [1])
    with transaction(connection):
        connection.rows(question, [1])
        with (  # noqa: PT012 - it is sent at the end
            pytest.raises(DatabaseError, match="division by zero"),
            connection.together() as send,
        ):
            for each in range(3):
                send(question, [0 if each == position else 1])
        status = connection.connection.pgconn.transaction_status
        assert status == TransactionStatus.INERROR
    assert connection.rows(question, [1]) == [(1,)]


def test_a_transaction_that_does_not_begin_is_no_answer(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        connection.rows(QUESTION, ["pg_class", 0])
    monkeypatch.setattr(known_statements, "_BEGIN", b"BEGIN NOTHING")
    with transaction(connection), pytest.raises(DatabaseError, match="syntax error"):
        connection.rows(QUESTION, ["pg_class", 0])


def test_several_of_which_one_is_not_known_are_sent_by_the_cursor(connection: Any) -> None:
    for _ in range(3):
        connection.rows(QUESTION, ["pg_class", 0])
    with transaction(connection):
        with connection.together() as send:
            known, other = send(QUESTION, ["pg_class", 0]), send("SELECT 7::bigint", [])
        assert (len(known.rows), other.row) == (1, (7,))


def test_nothing_is_sent_where_the_caller_fails(connection: Any, table: str) -> None:
    with pytest.raises(ValueError, match="mine"), connection.together() as send:  # noqa: PT012
        send(INSERT, VALUES[0])
        raise ValueError("mine")
    assert connection.row(f"SELECT count(*) FROM {table}", []) == (0,)


def test_a_transaction_whose_first_statement_the_server_has_forgotten(
    connection: Any, asked_by_cursor: list[str]
) -> None:
    for _ in range(3):
        connection.rows(QUESTION, ["pg_class", 0])
    connection.connection.pgconn.exec_(b"DEALLOCATE ALL")
    connection.connection._prepared.clear()
    with transaction(connection):
        assert connection.rows(QUESTION, ["pg_class", 0])
        status = connection.connection.pgconn.transaction_status
        assert status == TransactionStatus.INTRANS
    assert asked_by_cursor == [QUESTION] * 2


def test_what_psycopg_has_the_server_forget_is_not_sent(connection: Any) -> None:
    """After each rollback, to a savepoint too, and before it asks the next."""
    for _ in range(3):
        connection.rows(QUESTION, ["pg_class", 0])
    with transaction(connection):
        connection.rows(QUESTION, ["pg_class", 0])
        # What psycopg itself has prepared, without which it has nothing to forget.
        for _ in range(3):
            connection.rows("SELECT %s::int", [1])
        with connection.cursor() as cursor:
            cursor.execute("SAVEPOINT here")
            cursor.execute("ROLLBACK TO SAVEPOINT here")
        for _ in range(3):
            assert connection.rows("SELECT %s::bigint", [1]) == [(1,)]
            assert connection.rows(QUESTION, ["pg_class", 0])
    for _ in range(2):
        with transaction(connection):
            assert connection.rows(QUESTION, ["pg_class", 0])
    assert connection.connection.known._names[QUESTION]


def test_a_number_beyond_a_columns_type_does_not_end_a_transaction(connection: Any) -> None:
    question = "SELECT 1 FROM pg_class WHERE relnatts = %s"
    for _ in range(3):
        connection.rows(question, [1])
    with transaction(connection):
        assert connection.rows(question, [1])
        assert connection.rows(question, [2**31]) == []
        assert connection.rows(question, [1])


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
