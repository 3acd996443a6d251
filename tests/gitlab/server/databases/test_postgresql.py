"""The engine for PostgreSQL: what is trusted, what is prepared, what goes together."""

from __future__ import annotations

import contextlib
import copy
import itertools
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connections, transaction

from gitlab.server.databases.postgresql import base, first_statistics

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(databases=["registry"], transaction=True),
]


@pytest.fixture
def connection() -> Iterator[Any]:
    """A connection of its own to the registry's database."""
    found = copy.copy(connections["registry"])
    made = type(found)(copy.deepcopy(found.settings_dict), "registry")
    made.connect()
    yield made
    made.close()


def pid_of(connection: Any) -> int:
    return int(connection.row("SELECT pg_backend_pid()", [])[0])


def test_a_connection_that_was_good_a_moment_ago_is_not_asked(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(self: Any) -> bool:
        raise AssertionError("the server was asked")

    monkeypatch.setattr(base.base.DatabaseWrapper, "is_usable", ask)
    assert connection.is_usable()
    connection._known_usable_at -= 60
    with pytest.raises(AssertionError):
        connection.is_usable()


def test_one_that_the_server_has_ended_is_not_usable(connection: Any) -> None:
    ended = pid_of(connection)
    connections["registry"].row("SELECT pg_terminate_backend(%s, 5000)", [ended])
    assert not connection.is_usable()


def test_one_whose_transaction_has_failed_is_not_usable(connection: Any) -> None:
    connection.set_autocommit(False)
    with pytest.raises(DatabaseError):
        connection.row("SELECT nothing", [])
    assert not connection.is_usable()


def test_statements_are_prepared_once(connection: Any) -> None:
    for number in range(5):
        assert connection.row("SELECT %s::int + 4711", [number]) == (number + 4711,)
    prepared = connection.rows(
        "SELECT statement FROM pg_prepared_statements WHERE statement LIKE %s", ["%4711%"]
    )
    assert len(prepared) == 1


def test_a_plan_is_made_anew_for_a_table_that_has_grown(connection: Any) -> None:
    connection.change("CREATE TEMPORARY TABLE grown (id bigint PRIMARY KEY)", [])
    connection.change("ANALYZE grown", [])
    question = "SELECT id FROM grown WHERE id = %s"

    def plan() -> str:
        connection.row(question, [4711])
        [[name]] = connection.rows(
            "SELECT name FROM pg_prepared_statements WHERE statement LIKE %s",
            ["SELECT id FROM grown%"],
        )
        return str(connection.rows(f'EXPLAIN EXECUTE "{name}" (4711)', []))

    for _ in range(base._PREPARED_FROM):
        connection.row(question, [4711])
    assert "Seq Scan" in plan()
    connection.change("INSERT INTO grown SELECT generate_series(1, 10000)", [])
    assert "Seq Scan" in plan(), "it is kept for a while"
    connection.connection.planned_until = 0.0
    assert "Index" in plan()
    assert connection.connection.planned_until > 0.0


@pytest.fixture
def young() -> Iterator[str]:
    """A table with rows that nobody has counted."""
    connection: Any = connections["registry"]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE young WITH (autovacuum_enabled = false) AS SELECT generate_series(1, 1000)"
        )
        cursor.execute("SELECT pg_stat_force_next_flush()")
    # What a session has counted is seen when it ends, or a second later.
    connection.close()
    yield "young"
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE young")


def test_a_table_gets_its_first_statistics(connection: Any, young: str) -> None:
    """Once: what comes later is the server's."""
    assert connection.row("SELECT reltuples FROM pg_class WHERE relname = %s", [young]) == (-1,)
    assert f"public.{young}" in first_statistics.gather("registry")
    assert connection.row("SELECT reltuples FROM pg_class WHERE relname = %s", [young]) == (1000,)
    assert f"public.{young}" not in first_statistics.gather("registry")


def test_young_tables_are_looked_for_aside_and_less_and_less_often(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    now = 1000.0

    def gather(alias: str) -> list[str]:
        assert alias == "registry"
        looks.append(now)
        raise OperationalError("the server does it later")

    monkeypatch.setattr(first_statistics, "gather", gather)
    monkeypatch.setattr(first_statistics, "_pauses", {})
    monkeypatch.setattr(first_statistics, "time", SimpleNamespace(monotonic=lambda: now))
    while now < 1000 + 3600:
        connection.connection.planned_until = 0.0
        connection.row("SELECT %s::int", [1])
        for thread in threading.enumerate():
            if thread.name == "statistics":
                thread.join(10)
        now += 0.5
    assert [round(look - 1000, 1) for look in looks[:6]] == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
    assert max(b - a for a, b in itertools.pairwise(looks)) == 600.0


def test_without_a_thread_nobody_looks_and_the_query_is_answered(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(first_statistics, "_pauses", {})
    connection.connection.planned_until = 0.0
    assert connection.row("SELECT %s::int", [1]) == (1,)
    assert first_statistics._pauses, "it was time to look"


def test_behind_a_pooler_nothing_is_prepared(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "_is_to_the_server_itself", lambda connection: False)
    connection.close()
    connection.connect()
    for number in range(5):
        connection.row("SELECT %s::int + 4712", [number])
    assert connection.rows("SELECT statement FROM pg_prepared_statements", []) == []
    assert connection.connection.planned_until == float("inf")


def test_what_is_sent_together_sees_what_came_before(connection: Any) -> None:
    connection.set_autocommit(False)
    with connection.together() as send:
        send("CREATE TEMP TABLE together (id int)", [])
        inserted = send("INSERT INTO together VALUES (%s), (%s)", [1, 2])
        found = send("SELECT id FROM together ORDER BY id", [])
    assert inserted.count == 2
    assert found.rows == [(1,), (2,)]
    connection.rollback()


def test_a_failure_among_them_is_djangos_and_changes_nothing() -> None:
    connection: Any = connections["registry"]

    def fail() -> None:
        with transaction.atomic(using="registry"), connection.together() as send:
            send("CREATE TEMP TABLE never (id int)", [])
            send("SELECT nothing", [])

    with pytest.raises(DatabaseError):
        fail()
    assert connection.row("SELECT to_regclass('never')", []) == (None,)


@pytest.mark.parametrize("in_transaction", [False, True])
def test_whether_others_are_at_work(connection: Any, in_transaction: bool) -> None:
    """As it is each time, in a transaction of one's own too."""
    asking, other = connections["registry"], connection
    with transaction.atomic("registry") if in_transaction else contextlib.nullcontext():
        for _ in range(3):
            assert not asking.others_wait()
            other.set_autocommit(False)
            other.row("SELECT 1", [])
            assert asking.others_wait()
            other.rollback()
            other.set_autocommit(True)
        assert not asking.others_wait()
