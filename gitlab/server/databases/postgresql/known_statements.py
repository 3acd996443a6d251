"""Reading by statements that the server knows already, past psycopg's cursor.

A cursor parses, adapts and remembers for each query anew, which takes three times as long as asking
the server for a row. Here the same few statements are asked again and again: those of every pull
and every token.
"""

from __future__ import annotations

import itertools
import re
import select
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import Transformer

_MOST = 100
"""Statements that a connection keeps. What comes later is read by psycopg's cursor."""

_FORGOTTEN = ("0A000", "26000")
"""What the server says of a statement whose plan no longer fits, or that it has forgotten."""

_BAD_VALUE = "22"
"""The class of errors of values: the server takes one for another type than psycopg would say. The
cursor, asked next, finds rows or raises its own.
"""

_UNSET: Any = object()


class KnownStatements:
    """The statements of one connection that stands in no transaction while it reads."""

    def __init__(self, connection: psycopg.Connection[Any], patience: float | None) -> None:
        """`patience` is how many seconds the server may take to answer."""
        self._connection, self._pgconn = connection, connection.pgconn
        self._patience = None if patience is None else int(patience * 1000)
        self._names: dict[str, bytes | None] = {}
        self._seen: set[str] = set()
        self._numbers = itertools.count(1)
        self._poll = select.poll()
        self._poll.register(self._pgconn.socket, select.POLLIN)
        self._loader = Transformer(connection)

    def rows(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]] | None:
        """All rows, or None where psycopg's cursor has to ask: nothing has been asked then.

        Raises psycopg's errors.
        """
        if self._pgconn.transaction_status != pq.TransactionStatus.IDLE:
            return None
        values = [_as_text(each) for each in parameters]
        name = self._names.get(sql, _UNSET)
        if name is _UNSET:
            name = self._prepare(sql)
        if name is None or _UNSET in values:
            return None
        result = self._answer_to(self._pgconn.send_query_prepared, name, values)
        if result.status == pq.ExecStatus.TUPLES_OK:
            self._loader.set_pgresult(result)
            return self._loader.load_rows(0, result.ntuples, tuple)
        error = errors.error_from_result(result, "utf-8")
        code = error.sqlstate or ""
        if code in _FORGOTTEN:
            del self._names[sql]
        elif not code.startswith(_BAD_VALUE):
            raise error
        return None

    def _prepare(self, sql: str) -> bytes | None:
        """The name by which the server knows the statement from now on, None where it does not."""
        if sql not in self._seen:
            # What is asked once is not worth a name.
            if len(self._seen) >= _MOST:
                self._seen.clear()
            self._seen.add(sql)
            return None
        if len(self._names) >= _MOST:
            return None
        numbers = itertools.count(1)
        numbered = re.sub("%s", lambda _: f"${next(numbers)}", sql)
        name = b"read_%d" % next(self._numbers)
        result = self._answer_to(self._pgconn.send_prepare, name, numbered.encode())
        # One that needs to be told the types of its values is left to the cursor, which tells them.
        self._names[sql] = name if result.status == pq.ExecStatus.COMMAND_OK else None
        return self._names[sql]

    def _answer_to(self, send: Callable[..., None], *arguments: Any) -> Any:
        """What the server answers. Raises `psycopg.OperationalError`."""
        pgconn = self._pgconn
        try:
            send(*arguments)
            while pgconn.flush():
                self._wait(select.POLLIN | select.POLLOUT)
                pgconn.consume_input()
            while True:
                self._wait(select.POLLIN)
                pgconn.consume_input()
                if not pgconn.is_busy():
                    break
            result = pgconn.get_result()
            while pgconn.get_result() is not None:
                pass
        except BaseException:
            # What the server is at is unknown: nobody may go on with this connection.
            pgconn.finish()
            raise
        if result is None:
            raise psycopg.OperationalError("the connection to the database server was lost")
        return result

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


def _as_text(value: Any) -> Any:
    """A value as the server reads it, `_UNSET` where only psycopg knows how."""
    kind = type(value)
    if kind is str:
        # The wire ends a text at a NUL, and psycopg refuses such a one.
        return _UNSET if "\0" in value or not value.isascii() else value.encode()
    if kind is int:
        return b"%d" % value
    return _UNSET
