"""How long requests wait for PostgreSQL, and what they answer then."""

from __future__ import annotations

import copy
import datetime as dt
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import InternalError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client

from gitlab.server.databases.limits import limit
from gitlab.server.databases.reading import ReadsRows

TEN = dt.timedelta(seconds=10)


def described(engine: str) -> dict[str, dict[str, Any]]:
    return {"registry": {"ENGINE": engine, "OPTIONS": {"connect_timeout": 3}}}


def test_what_serves_waits_for_so_long() -> None:
    databases = described("gitlab.server.databases.postgresql")
    limit(databases, TEN)
    options = databases["registry"]["OPTIONS"]
    assert "-c statement_timeout=10000 " in options["options"]
    assert "-c lock_timeout=10000 " in options["options"]
    assert options["options"].endswith("idle_in_transaction_session_timeout=60000")
    assert options["patience"] == 12
    assert options["connect_timeout"] == 3


@pytest.mark.parametrize(
    "engine", ["gitlab.server.databases.postgresql", "django.db.backends.sqlite3"]
)
def test_nothing_is_limited_by_0_or_on_sqlite(engine: str) -> None:
    databases = described(engine)
    limit(databases, dt.timedelta(0) if engine.startswith("gitlab") else TEN)
    assert databases == described(engine)


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/jwt/auth", "application/json"), ("/acme/app", "text/html; charset=utf-8")],
)
@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_503(
    path: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> Any:
        raise OperationalError("canceling statement due to statement timeout at host 10.0.0.7")

    client = Client(raise_request_exception=False)
    # Not `cursor`: Django's tests leave one of those on each connection that they have forbidden.
    monkeypatch.setattr(BaseDatabaseWrapper, "_cursor", fail)
    monkeypatch.setattr(ReadsRows, "rows", fail)  # They go past Django's cursors.
    answer = client.get(
        path,
        {"service": "container_registry"},
        headers={"Authorization": "Basic cm9vdDpjb3JyZWN0LWhvcnNl"},
    )
    assert answer.status_code == 503
    assert answer["Retry-After"] == "10"
    assert answer["Content-Type"] == kind
    assert b"10.0.0.7" not in answer.content


# On a server


@pytest.fixture
def limited(django_db_blocker: Any) -> Iterator[Any]:
    """Connections to the registry's database that wait for half a second, made one by one."""
    made: list[Any] = []

    def connect() -> Any:
        with django_db_blocker.unblock():
            one: Any = connections.create_connection("registry")
            one.settings_dict = copy.deepcopy(one.settings_dict)
            limit({"registry": one.settings_dict}, dt.timedelta(seconds=0.5))
            one.connect()
        made.append(one)
        return one

    yield connect
    for one in made:
        one.close()


def query(connection: Any, sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


@pytest.mark.postgresql
@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_a_long_statement_ends(limited: Any) -> None:
    connection = limited()
    with pytest.raises(OperationalError, match="statement timeout"):
        query(connection, "SELECT pg_sleep(30)")
    assert query(connection, "SELECT 1") == (1,)


@pytest.mark.postgresql
@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_waiting_for_a_lock_ends(limited: Any) -> None:
    holder, other = limited(), limited()
    holder.set_autocommit(False)
    query(holder, "SELECT pg_advisory_xact_lock(4711)::text")
    with pytest.raises(OperationalError, match="timeout"):
        query(other, "SELECT pg_advisory_xact_lock(4711)::text")


@pytest.mark.postgresql
@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_a_transaction_whose_process_stopped_lets_go(limited: Any) -> None:
    holder, other = limited(), limited()
    holder.set_autocommit(False)
    query(holder, "SELECT pg_advisory_xact_lock(4711)::text")
    deadline = time.monotonic() + 60
    while True:
        try:
            query(other, "SELECT pg_advisory_xact_lock(4711)::text")
        except OperationalError:
            assert time.monotonic() < deadline
        else:
            break
    with pytest.raises(InternalError, match="idle-in-transaction"):
        query(holder, "SELECT 1")


@pytest.mark.postgresql
@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_f20_a_server_that_hangs_is_given_up(limited: Any) -> None:
    """kill -STOP of the server's side: no timeout of its own comes true."""
    connection = limited()
    (pid,) = query(connection, "SELECT pg_backend_pid()")
    try:
        os.kill(pid, signal.SIGSTOP)
    except PermissionError:
        pytest.skip("the server runs as somebody else")
    try:
        begun = time.monotonic()
        with pytest.raises(OperationalError, match="did not answer within"):
            query(connection, "SELECT 1")
        assert time.monotonic() - begun < 60
        assert not connection.is_usable()
        connection.close_if_unusable_or_obsolete()
        assert query(connection, "SELECT 1") == (1,)
    finally:
        os.kill(pid, signal.SIGCONT)
