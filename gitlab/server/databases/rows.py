"""Rows of queries that are written out, as named tuples: for the path that every token takes.

A query names its columns in the order of the tuple's fields. The engines differ in how they give
some types; a field's annotation says what it shall be.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, get_type_hints

from django.db import DEFAULT_DB_ALIAS, connections

Row = TypeVar("Row", bound=NamedTuple)

Question = tuple[type[NamedTuple], str, Sequence[Any]]
"""What the rows of a query are made, the query, and its parameters."""


class _Along(threading.local):
    """What this thread asks along, and what that has given, which is nobody's yet."""

    def __init__(self) -> None:
        self.waiting: Sequence[Question] = ()
        self.found: dict[tuple[Any, ...], list[Any]] = {}


_along = _Along()


@contextmanager
def asking_along(*questions: Question) -> Iterator[None]:
    """Let the first that is read in this block go in one round trip with `questions`.

    Whoever asks one of these in the block then has the answer already, once: so each rule asks for
    itself what it needs, and an engine that is elsewhere is asked for all of it together. Their
    parameters are hashable.
    """
    before = _along.waiting, _along.found
    _along.waiting, _along.found = questions, {}
    try:
        yield
    finally:
        _along.waiting, _along.found = before


def read(kind: type[Row], sql: str, parameters: Sequence[Any]) -> list[Row]:
    """The rows of `sql` in GitLab's database as `kind`. `sql` is ours, with ``%s`` for a value."""
    if _along.waiting or _along.found:
        return read_together((kind, sql, parameters))[0]
    return _made(kind, connections[DEFAULT_DB_ALIAS].rows(sql, parameters))  # type: ignore[attr-defined]


def read_together(*questions: Question) -> list[list[Any]]:
    """As `read`, for several: what each gives. An engine that is elsewhere is asked once."""
    if not _along.waiting and not _along.found:
        return _read(questions)
    found, keys = _along.found, [_key(each) for each in questions]
    missing = {key: each for key, each in zip(keys, questions, strict=True) if key not in found}
    if missing:
        missing.update((_key(each), each) for each in _along.waiting)
        _along.waiting = ()
        found.update(zip(missing, _read(list(missing.values())), strict=True))
    answers = [found[key] for key in keys]
    for key in keys:
        found.pop(key, None)
    return answers


def _key(question: Question) -> tuple[Any, ...]:
    kind, sql, parameters = question
    return (kind, sql, *parameters)


def _read(questions: Sequence[Question]) -> list[list[Any]]:
    connection: Any = connections[DEFAULT_DB_ALIAS]
    with connection.together() as send:
        sent = [(kind, send(sql, parameters)) for kind, sql, parameters in questions]
    return [_made(kind, each.rows) for kind, each in sent]


def _made(kind: type[Row], found: list[tuple[Any, ...]]) -> list[Row]:
    if not found:
        return []
    converters = _converters(kind)
    if not converters:
        return [kind._make(row) for row in found]
    rows = []
    for row in found:
        values = list(row)
        for position, convert in converters:
            if values[position] is not None:
                values[position] = convert(values[position])
        rows.append(kind._make(values))
    return rows


def marks(values: Sequence[Any]) -> str:
    """``%s, %s, %s``: a place in a query for each of `values`."""
    return ", ".join(["%s"] * len(values))


@functools.cache
def _converters(kind: type[NamedTuple]) -> list[tuple[int, Callable[[Any], Any]]]:
    """The positions whose values an engine may give in another type, and what makes them right."""
    hints = get_type_hints(kind)
    found = []
    for position, name in enumerate(kind._fields):
        hint = str(hints[name])
        for type_name, convert in _BY_NAME.items():
            if type_name in hint:
                found.append((position, convert))
                break
    return found


def _moment(value: Any) -> dt.datetime:
    moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _day(value: Any) -> dt.date:
    return dt.date.fromisoformat(value) if isinstance(value, str) else value


def _document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str | bytes) else value


_BY_NAME: dict[str, Callable[[Any], Any]] = {
    "datetime.datetime": _moment,
    "datetime.date": _day,
    "bool": bool,
    "list": _document,
    "dict": _document,
}
"""SQLite gives numbers for truth, and texts for times and for JSON."""
