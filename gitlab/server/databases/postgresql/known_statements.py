"""Asking by statements that the server knows already, past psycopg's cursor.

A cursor parses, adapts and remembers for each query anew, which takes three times as long as asking
the server for a row, and more in psycopg's pipeline. Here the same few statements are sent again
and again: those of every pull, push and token. Several go in one round trip, and with them the
beginning of a transaction, and its end.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
import select
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer

from gitlab.server.databases.reading import Answered

_MOST = 200
"""Statements that a connection keeps. What comes later is asked by psycopg's cursor."""

_FORGOTTEN = ("0A000", "26000")
"""What the server says of a statement whose plan no longer fits, or that it has forgotten."""

_BAD_VALUE = "22"
"""The class of errors of values: the server takes one for another type than psycopg would say. The
cursor, asked next, finds rows or raises its own.
"""

_BEGIN, _COMMIT, _ROLLBACK = b"BEGIN", b"COMMIT", b"ROLLBACK"
_TEXT, _BINARY = 0, 1
_UNSET: Any = object()

Statement = tuple[str, Sequence[Any]]
"""SQL with a `%s` for each value, and the values."""


class KnownStatements:
    """The statements that one connection has prepared."""

    def __init__(self, connection: psycopg.Connection[Any], patience: float | None) -> None:
        """`patience` is how many seconds the server may take to answer."""
        self._connection, self._pgconn = connection, connection.pgconn
        self._patience = None if patience is None else int(patience * 1000)
        self._names: dict[str, bytes | None] = {}
        self._seen: set[str] = set()
        self._wanted: dict[str, None] = {}
        self._numbers = itertools.count(1)
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._loader = Transformer(connection)

    def answers(
        self, statements: Sequence[Statement], *, commits: bool = False
    ) -> list[Answered] | None:
        """What each gives, or None where psycopg's cursor has to ask: nothing has been done then.

        They are done in their order and in one round trip, which begins a transaction where the
        connection stands before one, and with `commits` ends it. Raises psycopg's errors; of
        several statements those after the one that has failed are not done, nor is the commit.
        """
        status = self._pgconn.transaction_status
        if status not in (pq.TransactionStatus.IDLE, pq.TransactionStatus.INTRANS):
            return None
        is_idle = status == pq.TransactionStatus.IDLE
        if is_idle:
            self._prepare_wanted()
        sent = [self._bound(*each, is_idle=is_idle) for each in statements]
        if None in sent:
            return None
        begins = is_idle and not self._connection.autocommit
        commits = commits and (begins or not is_idle)
        results = self._results_of(sent, begins=begins, commits=commits)
        failed = next((each for each in results if each.status == pq.ExecStatus.FATAL_ERROR), None)
        if failed is None:
            first = 1 if begins else 0
            return [self._answered(each) for each in results[first : first + len(sent)]]
        error = errors.error_from_result(failed, "utf-8")
        if is_idle and self._cursor_may_ask(error.sqlstate or "", statements):
            if begins:
                self._run(lambda: self._pgconn.send_query_params(_ROLLBACK, None))
            return None
        raise error

    def forget(self) -> None:
        """The server forgets all that was prepared."""
        self._names.clear()

    def commit(self) -> bool:
        """End the transaction under way; False where there is none that may be ended so.

        Raises psycopg's errors.
        """
        return self._end(_COMMIT)

    def roll_back(self) -> bool:
        """Give the transaction under way up; False where there is none, or one that has failed.

        What was prepared stays: psycopg, which can't know which statements the server has got when
        one of them failed, lets it forget all of them after any rollback. Raises psycopg's errors.
        """
        return self._end(_ROLLBACK)

    def _end(self, statement: bytes) -> bool:
        if self._pgconn.transaction_status != pq.TransactionStatus.INTRANS:
            return False
        (result,) = self._run(lambda: self._pgconn.send_query_params(statement, None))
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(result, "utf-8")
        return True

    def _cursor_may_ask(self, code: str, statements: Sequence[Statement]) -> bool:
        """Whether the fault is one of this way to ask."""
        if code in _FORGOTTEN:
            for sql, _ in statements:
                self._names.pop(sql, None)
        return code in _FORGOTTEN or code.startswith(_BAD_VALUE)

    def _answered(self, result: Any) -> Answered:
        rows: list[tuple[Any, ...]] = []
        if result.status == pq.ExecStatus.TUPLES_OK:
            self._loader.set_pgresult(result)
            rows = self._loader.load_rows(0, result.ntuples, tuple)
        return Answered(rows, result.command_tuples or 0)

    # Which statements are known

    def _bound(self, sql: str, parameters: Sequence[Any], *, is_idle: bool) -> Any:
        """What to send: the name of the statement, and its values with their formats. None where
        only the cursor can.
        """
        name = self._names.get(sql, _UNSET)
        if name is _UNSET:
            name = self._learned(sql, is_idle=is_idle)
        if name is None:
            return None
        values, formats = [], []
        for each in parameters:
            value = _as_sent(each, any_number=is_idle)
            if value is _UNSET:
                return None
            values.append(value)
            formats.append(_BINARY if type(value) is memoryview else _TEXT)
        return name, values, formats

    def _learned(self, sql: str, *, is_idle: bool) -> bytes | None:
        """The name by which the server knows the statement from now on, None where it does not."""
        if sql not in self._seen:
            # What is asked once is not worth a name.
            if len(self._seen) >= _MOST:
                self._seen.clear()
            self._seen.add(sql)
        elif is_idle:
            return self._prepare(sql)
        elif len(self._wanted) < _MOST:
            # A statement that can't be prepared would end the transaction.
            self._wanted[sql] = None
        return None

    def _prepare_wanted(self) -> None:
        while self._wanted:
            self._prepare(self._wanted.popitem()[0])

    def _prepare(self, sql: str) -> bytes | None:
        if len(self._names) >= _MOST:
            return None
        numbers = itertools.count(1)
        numbered = re.sub("%s", lambda _: f"${next(numbers)}", sql)
        name = b"known_%d" % next(self._numbers)
        (result,) = self._run(lambda: self._pgconn.send_prepare(name, numbered.encode()))
        # One that needs to be told the types of its values is left to the cursor, which tells them.
        self._names[sql] = name if result.status == pq.ExecStatus.COMMAND_OK else None
        return self._names[sql]

    # The wire

    def _results_of(self, sent: Sequence[Any], *, begins: bool, commits: bool) -> list[Any]:
        """What the server answers to each, before them to what begins a transaction, and after
        them to what ends it.

        Raises `psycopg.OperationalError`.
        """
        if len(sent) == 1 and not begins and not commits:
            return self._run(lambda: self._pgconn.send_query_prepared(*sent[0]))

        def send() -> None:
            self._pgconn.enter_pipeline_mode()
            if begins:
                self._pgconn.send_query_params(_BEGIN, None)
            for each in sent:
                self._pgconn.send_query_prepared(*each)
            if commits:
                self._pgconn.send_query_params(_COMMIT, None)
            self._pgconn.pipeline_sync()

        return self._run(send, pipeline=True)

    def _run(self, send: Any, *, pipeline: bool = False) -> list[Any]:
        """The results of what `send` sends. Raises `psycopg.OperationalError`."""
        pgconn = self._pgconn
        try:
            send()
            while pgconn.flush():
                self._wait(select.POLLIN | select.POLLOUT)
                pgconn.consume_input()
            results = self._received(pipeline=pipeline)
            if pipeline:
                pgconn.exit_pipeline_mode()
        except BaseException:
            # What the server is at is unknown: nobody may go on with this connection.
            pgconn.finish()
            raise
        return results

    def _received(self, *, pipeline: bool) -> list[Any]:
        pgconn, results = self._pgconn, []
        while True:
            while pgconn.is_busy():
                self._wait(select.POLLIN)
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is not None and result.status != pq.ExecStatus.PIPELINE_SYNC:
                results.append(result)
            elif result is not None or (not pipeline and results):
                # The end of a pipeline, or of the one statement.
                return results
            if pgconn.status != pq.ConnStatus.OK:
                raise psycopg.OperationalError("the connection to the database server was lost")

    def _wait(self, events: int) -> None:
        if events != select.POLLIN:
            self._poll.modify(self._pgconn.socket, events)
        try:
            if not self._poll.poll(self._patience):
                raise psycopg.OperationalError(
                    f"the database server did not answer within {self._patience} ms"
                )
        finally:
            if events != select.POLLIN:
                self._poll.modify(self._pgconn.socket, select.POLLIN)


def _as_sent(value: Any, *, any_number: bool) -> Any:
    """A value as the server reads it, `_UNSET` where only psycopg knows how.

    Unless `any_number`, a number that may be beyond the type that the server expects is one of
    these: it would end a transaction.
    """
    kind = type(value)
    if kind is str:
        # The wire ends a text at a NUL, and psycopg refuses such a one.
        return _UNSET if "\0" in value or not value.isascii() else value.encode()
    if kind is int:
        return b"%d" % value if any_number or -(2**31) <= value < 2**31 else _UNSET
    if value is None:
        return None
    return _AS_SENT.get(kind, _unsent)(value)


def _unsent(_value: Any) -> Any:
    return _UNSET


_AS_SENT: dict[type, Any] = {
    bytes: memoryview,
    dt.datetime: lambda moment: str(moment).encode() if moment.tzinfo else _UNSET,
    dt.date: lambda day: day.isoformat().encode(),
    uuid.UUID: lambda value: str(value).encode(),
}
