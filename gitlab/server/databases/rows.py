"""Model instances of queries that are written out, for the path that every token takes.

`Manager.raw` prepares the same shape anew for each query: names, converters, a queryset around them.
That costs three times what the query does. Here it is prepared once for each query.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models

Row = TypeVar("Row", bound=models.Model)


class _Shape(NamedTuple):
    """Of each column of a query: its place, what it is called, what makes a value of it."""

    fields: list[tuple[int, str, list[Callable[..., Any]], Any]]
    others: list[tuple[int, str]]


def instances(model: type[Row], sql: str, parameters: Sequence[Any]) -> list[Row]:
    """The rows of `sql` as instances of `model`.

    Columns that are no fields of the model become attributes, as the driver gives them. Fields that
    no column is named after are loaded when they are asked for. `sql` is ours: each is remembered.
    """
    names, rows = _rows(sql, parameters)
    if not rows:
        return []
    connection = connections[DEFAULT_DB_ALIAS]
    shape = _shape(model, names, connection.vendor)
    attnames = [attname for _, attname, _, _ in shape.fields]
    found = []
    for row in rows:
        values = []
        for place, _, converters, expression in shape.fields:
            value = row[place]
            for converter in converters:
                value = converter(value, expression, connection)
            values.append(value)
        instance = model.from_db(DEFAULT_DB_ALIAS, attnames, values)
        for place, name in shape.others:
            setattr(instance, name, row[place])
        found.append(instance)
    return found


def _rows(sql: str, parameters: Sequence[Any]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.connection is None or connection.force_debug_cursor:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return tuple(column[0] for column in cursor.description), cursor.fetchall()
    # Django's cursor would translate, log and wrap; see `wrap_database_errors` for the last.
    with connection.wrap_database_errors:
        if connection.vendor == "sqlite":
            sql = _with_marks(sql)
        cursor = connection.connection.execute(sql, parameters)
        return tuple(column[0] for column in cursor.description), cursor.fetchall()


@functools.lru_cache(maxsize=256)
def _with_marks(sql: str) -> str:
    """The query as SQLite's own driver wants it; there is no other percent in it."""
    return sql.replace("%s", "?")


@functools.lru_cache(maxsize=256)
def _shape(model: type[models.Model], names: tuple[str, ...], vendor: str) -> _Shape:
    connection = connections[DEFAULT_DB_ALIAS]
    places = {name: place for place, name in enumerate(names)}
    fields = []
    # In the order of the model's fields, as `from_db` wants them.
    for field in model._meta.concrete_fields:  # noqa: SLF001
        place = places.pop(str(field.column), None)
        if place is not None:
            expression = field.get_col(field.model._meta.db_table)  # noqa: SLF001
            converters = connection.ops.get_db_converters(expression)
            converters += field.get_db_converters(connection)
            fields.append((place, field.attname, converters, expression))
    return _Shape(fields, [(place, name) for name, place in places.items()])
