"""The engine for SQLite: writers take turns, are seen to wait, and give up in time."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler
from pytest_django import DjangoDbBlocker

pytestmark = pytest.mark.engineless
LONG = 20.0

Connect = Callable[..., Any]


@pytest.fixture
def connect(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Connect]:
    """Connections to one file, each as a process of Berth opens them, for any thread."""
    made: list[Any] = []

    def make(timeout: float = LONG, mode: str = "IMMEDIATE") -> Any:
        described = {
            "ENGINE": "gitlab.server.databases.sqlite",
            "NAME": tmp_path / "file.sqlite3",
            "OPTIONS": {
                "timeout": timeout,
                "transaction_mode": mode,
                "init_command": "PRAGMA journal_mode=WAL",
            },
        }
        connection: Any = ConnectionHandler({"default": described})["default"]
        connection.inc_thread_sharing()
        made.append(connection)
        return connection

    with django_db_blocker.unblock():
        connection = make()
        connection.cursor().execute("CREATE TABLE numbers (number INTEGER)")
        yield make
        for connection in made:
            connection.close()


def begin(connection: Any) -> None:
    connection.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)


def end(connection: Any) -> None:
    connection.commit()
    connection.set_autocommit(True)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.002)


def test_a_writer_that_waits_is_seen_and_gets_its_turn(connect: Connect) -> None:
    first, second, third = connect(), connect(), connect()
    assert not third.others_wait()
    begin(first)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(begin, second)
        until(first.others_wait)
        assert not waiting.done()
        end(first)
        waiting.result(LONG)
    assert not third.others_wait()
    second.cursor().execute("INSERT INTO numbers VALUES (1)")
    end(second)


def test_a_statement_without_a_transaction_waits_too(connect: Connect) -> None:
    first, second = connect(), connect()
    begin(first)
    with ThreadPoolExecutor(2) as pool:
        written = pool.submit(second.cursor().execute, "INSERT INTO numbers VALUES (2)")
        until(first.others_wait)
        raw = connect()
        raw.ensure_connection()
        past_django = pool.submit(raw.connection.execute, "INSERT INTO numbers VALUES (3)")
        assert not written.done()
        end(first)
        written.result(LONG)
        past_django.result(LONG)
    assert second.cursor().execute("SELECT COUNT(*) FROM numbers").fetchone() == (2,)


def test_a_cursor_of_one_who_waits_can_be_closed_by_one_who_writes(connect: Connect) -> None:
    """As Python's collector of garbage does, in any thread. SQLite's own waiting kept both
    apart.
    """
    first, second = connect(), connect()
    cursors = [second.cursor() for _ in range(3)]
    for cursor in cursors:
        cursor.execute("SELECT number FROM numbers")
    begin(first)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(second.cursor().execute, "INSERT INTO numbers VALUES (1)")
        until(first.others_wait)
        started = time.monotonic()
        for cursor in cursors:
            cursor.close()
        assert time.monotonic() - started < LONG / 2
        end(first)
        waiting.result(LONG)


def test_one_that_waits_too_long_is_told_so(connect: Connect) -> None:
    first, second = connect(), connect(timeout=0.05)
    begin(first)
    with pytest.raises(OperationalError) as raised:
        begin(second)
    assert raised.value.__cause__.sqlite_errorcode == sqlite3.SQLITE_BUSY  # type: ignore[union-attr]
    assert not first.others_wait()
    end(first)


def test_who_writes_without_a_break_does_not_keep_others_out(connect: Connect) -> None:
    """Between two transactions a break of a millisecond is enough, however long the others
    waited.
    """
    stop = threading.Event()
    greedy, patient = connect(), connect()

    def write() -> None:
        while not stop.is_set():
            begin(greedy)
            greedy.cursor().execute("INSERT INTO numbers VALUES (1)")
            time.sleep(0.05)
            end(greedy)
            while greedy.others_wait() and not stop.is_set():
                stop.wait(0.001)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(write)
        try:
            for _ in range(5):
                begin(patient)
                end(patient)
        finally:
            stop.set()
        running.result(LONG)


def test_many_writers_lose_nothing(connect: Connect) -> None:
    def add(number: int) -> None:
        connection = connect()
        for _ in range(20):
            begin(connection)
            connection.cursor().execute("INSERT INTO numbers VALUES (%s)", [number])
            end(connection)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    (count,) = connect().cursor().execute("SELECT COUNT(*) FROM numbers").fetchone()
    assert count == 160


def test_one_that_has_read_already_is_not_let_wait(connect: Connect) -> None:
    """What it has read is old by then, and others may wait for it."""
    first, second = connect(), connect(mode="DEFERRED")
    begin(second)
    second.cursor().execute("SELECT COUNT(*) FROM numbers").fetchone()
    begin(first)
    with pytest.raises(OperationalError, match="locked"):
        second.cursor().execute("INSERT INTO numbers VALUES (1)")
    end(first)
    second.rollback()
    second.set_autocommit(True)


def test_a_transaction_that_only_reads_waits_for_nobody(connect: Connect) -> None:
    first, second = connect(), connect(mode="DEFERRED")
    begin(first)
    begin(second)
    assert second.cursor().execute("SELECT COUNT(*) FROM numbers").fetchone() == (0,)
    end(second)
    end(first)


def test_where_no_more_files_can_be_opened_the_database_has_failed(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else: requests are answered with 503 then."""
    connection = connect()

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(OperationalError, match="unable to open"):
            connection.ensure_connection()
    assert connection.connection is None
    connection.ensure_connection()
