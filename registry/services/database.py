"""The registry's database: its alias, its transactions, and the lock on a repository.

Every transaction that changes a repository holds the repository's row first, so that pushes,
deletions and the collector take turns in one repository and never wait for each other in a ring.
On SQLite a transaction takes the only writer's lock at its start (``transaction_mode=IMMEDIATE``).
"""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from django.db import connections, transaction
from django.db.models import DateTimeField, Model, UUIDField

ALIAS = "registry"

Row = tuple[Any, ...]
Statement = tuple[str, Sequence[Any]]
"""SQL with a `%s` for each value, and the values."""

_OPENINGS = 0x6265727468
_USAGE = 0x62657274685F75
"""The numbers of PostgreSQL's advisory locks: any, but always the same."""

_PAIRS = 300
"""Pairs in a query: twice as many parameters are taken by every engine."""

_LONGEST_BREAK = 0.1
_BREAKS = 3
"""Times as long as a transaction was is the break after it, where others wait."""


class _Kept(threading.local):
    connection: Any = None


_kept = _Kept()


def this_connection() -> Any:
    """This thread's connection to the registry's database.

    Django keeps one for each thread and makes no other, but takes as long to look it up as SQLite
    to find a row.
    """
    found = _kept.connection
    if found is None:
        found = _kept.connection = connections[ALIAS]
    return found


def atomic() -> transaction.Atomic:
    """A transaction in the registry's database."""
    return transaction.atomic(using=ALIAS)


@contextmanager
def atomic_until_the_next_sync() -> Iterator[None]:
    """As `atomic`, for what a power cut may take back: nobody waits for the disk.

    It survives the death of this process. Inside of another transaction it is a part of that.
    """
    connection = this_connection()
    if connection.in_atomic_block:
        with atomic():
            yield
        return
    if connection.vendor == "postgresql":
        with atomic():
            change("SET LOCAL synchronous_commit TO OFF", [])
            yield
        return
    # SQLite's write-ahead log is synced by the next commit that is, or by a checkpoint.
    with _synchronous(connection, "NORMAL"), atomic():
        yield


@contextmanager
def _synchronous(connection: Any, level: str) -> Iterator[None]:
    connection.ensure_connection()
    connection.connection.execute(f"PRAGMA synchronous={level}")
    try:
        yield
    finally:
        if connection.connection is not None:
            connection.connection.execute("PRAGMA synchronous=FULL")


def roll_back() -> None:
    """Have the transaction under way change nothing, without an exception."""
    transaction.set_rollback(True, using=ALIAS)


def on_commit(function: Any) -> None:
    """Call `function` when the transaction under way has been committed."""
    transaction.on_commit(function, using=ALIAS)


def one(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """The first row of a query, without the ORM: for the paths that every pull takes."""
    return this_connection().row(sql, parameters)  # type: ignore[no-any-return]


def each(statements: Sequence[Statement]) -> list[Row | None]:
    """As `one`, for several queries, which PostgreSQL gets in one round trip."""
    if len(statements) == 1:
        return [one(*statements[0])]
    with this_connection().together() as send:
        sent = [send(*statement) for statement in statements]
    return [found.row for found in sent]


def rows(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows of a query, without the ORM. `parameters` may be moments and UUIDs too."""
    return this_connection().rows(sql, _adapted(parameters))  # type: ignore[no-any-return]


def change(sql: str, parameters: Sequence[Any]) -> int:
    """Run a statement that changes rows, without the ORM; how many it has changed.

    `parameters` may be moments and UUIDs too. To be called in a transaction.
    """
    return int(this_connection().change(sql, _adapted(parameters)))


_NEW = {
    "registry_manifestblob": "(manifest_id, link_id)",
    "registry_manifestchild": "(parent_id, repository_id, digest)",
}


def insert_new(table: str, rows: Sequence[Sequence[Any]], send: Together | None = None) -> None:
    """Insert those of `rows` that are not there yet into a table of references, in a transaction.

    The values of a row stand in the order of `_NEW`. With `send`, together with other statements.
    """
    for start in range(0, len(rows), _PAIRS):
        some = rows[start : start + _PAIRS]
        row = f"({', '.join(['%s'] * len(some[0]))})"
        (send or change)(
            f"INSERT INTO {table} {_NEW[table]} VALUES {', '.join([row] * len(some))}"
            " ON CONFLICT DO NOTHING",
            [value for each in some for value in each],
        )


def change_many(sql: str, values: Sequence[Sequence[Any]]) -> None:
    """As `change`, once with each of `values`, and in few round trips."""
    if len(values) == 1:
        change(sql, values[0])
    elif values:
        with this_connection().cursor() as cursor:
            cursor.executemany(sql, [_adapted(each) for each in values])


def changed(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """As `change`: the first row of what its RETURNING gives."""
    return one(sql, _adapted(parameters))


class Together(Protocol):
    """Sends a statement; see `together`."""

    def __call__(self, sql: str, parameters: Sequence[Any]) -> Sent:
        """What the statement gives, to be asked when all are done."""


class Sent(Protocol):
    """What a statement has given."""

    @property
    def row(self) -> tuple[Any, ...] | None:
        """The first row, or None. To be asked once."""

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """All rows. To be asked once."""

    @property
    def count(self) -> int:
        """How many rows it has changed."""


@contextmanager
def together(*, commits: bool = False) -> Iterator[Together]:
    """A function that sends statements one after the other, in a transaction; all are done at the
    end, and only then there is something to be asked of what it gave.

    PostgreSQL gets them in one round trip, and each sees what those before it have done.
    `parameters` may be moments and UUIDs too. With `commits` they are the last of the transaction,
    which is committed in the same round trip: nothing may be refused after that. One that fails
    undoes all.
    """
    with this_connection().together(commits=commits) as send:
        yield lambda sql, parameters: send(sql, _adapted(parameters))


def moment(value: Any) -> dt.datetime:
    """A moment as the engine gave it to a query without the ORM."""
    found: dt.datetime = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _adapted(parameters: Sequence[Any]) -> list[Any]:
    """`parameters` as the engine stores them: SQLite has no type for moments, days and UUIDs."""
    connection = this_connection()
    if connection.vendor == "postgresql":
        return list(parameters)
    return [_AS_TEXT.get(type(each), _as_it_is)(each) for each in parameters]


def _as_it_is(value: Any) -> Any:
    return value


_AS_TEXT: dict[type, Callable[[Any], Any]] = {
    # As Django writes them for SQLite: in UTC, without saying so.
    dt.datetime: lambda moment: str(moment.astimezone(dt.UTC).replace(tzinfo=None)),
    dt.date: dt.date.isoformat,
    uuid.UUID: lambda value: value.hex,
}


def names(sql: str, parameters: Sequence[Any]) -> list[str]:
    """The column `name` of a query that has a limit, in its order, without the ORM.

    On SQLite as one row: with each row of a query Python's one lock is given up and asked for
    again, which others want too. SQLite goes through the rows of a limited query in their order.
    """
    if this_connection().vendor == "sqlite":
        row = one(f"SELECT json_group_array(name) FROM ({sql})", parameters)
        found: list[str] = json.loads(row[0]) if row else []
        return found
    return [name for (name,) in rows(sql, parameters)]


def column(sql: str, parameters: Sequence[Any]) -> list[Any]:
    """The first column of a query, without the ORM."""
    with this_connection().cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]


def insert(
    model: type[Model], columns: Sequence[str], rows: Sequence[Sequence[Any]], ending: str = ""
) -> None:
    """Insert `rows` with values for `columns`, without the ORM, which takes ten times as long.

    To be called in a transaction. `columns` and `ending`, what follows on the values, are ours.
    """
    if not rows:
        return
    connection = this_connection()
    fields = [model._meta.get_field(column) for column in columns]  # noqa: SLF001
    # The engines store texts and numbers as they are.
    adapted = [
        (position, field)
        for position, field in enumerate(fields)
        if isinstance(field, DateTimeField | UUIDField)
    ]
    prepared = []
    for row in rows:
        values = list(row)
        for position, field in adapted:
            values[position] = field.get_db_prep_save(values[position], connection)
        prepared.append(values)
    holes = ", ".join(["%s"] * len(columns))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"  # noqa: SLF001
            f" VALUES ({holes}) {ending}",
            prepared,
        )


def ids_of_pairs(
    table: str, column_name: str, pairs: Sequence[tuple[int, str]], condition: str = ""
) -> list[int]:
    """The ids of the rows with one of these pairs of a repository's id and a text.

    A question for many repositories at once that looks each pair up in the index, where
    two IN would read one for each combination. `table`, `column_name` and `condition` are ours.
    """
    found: list[int] = []
    for start in range(0, len(pairs), _PAIRS):
        some = pairs[start : start + _PAIRS]
        holes = ", ".join(["(%s, %s)"] * len(some))
        found += column(
            f"WITH asked(repository, value) AS (VALUES {holes})"
            f" SELECT id FROM asked CROSS JOIN {table}"
            f" WHERE repository_id = repository AND {column_name} = value {condition}",
            [value for pair in some for value in pair],
        )
    return found


def check_connection() -> None:
    """Try the connection that this thread has kept, and close a lost one, and one that is old.

    The next query opens another.

    For what changes something, and so can't be tried twice. On SQLite nothing is asked.
    """
    close_if_old()
    connection = this_connection()
    if connection.vendor == "postgresql" and connection.connection is not None:
        close_if_lost()


def close_if_old() -> None:
    """Close the connection that this thread has kept for as long as the settings let, as Django
    does where one of its requests begins: a server that is no more than a copy of another by now
    answers like before.
    """
    connection = this_connection()
    close_at = connection.close_at
    if close_at is None or time.monotonic() < close_at or connection.in_atomic_block:
        return
    # Without an age, Django closes it where a request ends; whoever asks here has no such end.
    if connection.settings_dict["CONN_MAX_AGE"]:
        connection.close()


def close_if_lost() -> bool:
    """Whether this thread's connection was lost, so that a query that failed may be tried again.

    The next query opens a new one.
    """
    connection = this_connection()
    if connection.in_atomic_block or (connection.connection and connection.is_usable()):
        return False
    connection.close()
    return True


def close_kept() -> None:
    """Close the connection that this thread keeps, outside of a transaction.

    The next query opens another, in a few milliseconds.
    """
    connection = this_connection()
    if not connection.in_atomic_block:
        connection.close()


def hold_openings(*, others_too: bool) -> None:
    """Until the transaction ends, nobody renames; with `others_too` nobody opens a name either.

    A name that is about to be opened has no row to hold yet, so a rename could not wait for it.
    Needs nothing on SQLite, whose transactions take turns. To be called before any row is held.
    """
    if this_connection().vendor == "postgresql":
        kind = "" if others_too else "_shared"
        one(f"SELECT pg_advisory_xact_lock{kind}(%s)::text", [_OPENINGS])


def begin_again_to_hold_openings() -> None:
    """As `hold_openings`, for who finds out that a name has to be opened in a transaction that has
    asked, and perhaps holds something, but has changed nothing: that is given up.

    On PostgreSQL a row that was waited for stays held where it turns out to be another one by then,
    as that of a repository which was closed or renamed meanwhile. A rename, which keeps openings
    away, may wait for just that row.
    """
    connection = this_connection()
    if connection.vendor == "postgresql":
        # Nobody comes here within another transaction, which would be given up with it; except
        # for tests that take everything back.
        if not connection.savepoint_ids:
            with connection.wrap_database_errors:
                connection.connection.rollback()
        else:
            assert getattr(connection.atomic_blocks[0], "_from_testcase", False)
        hold_openings(others_too=False)


def hold_revocations() -> None:
    """Until the transaction ends, nobody else adds revocations: ids are then seen in their order.

    Who has seen a greater id would never look for a smaller one that is committed later.
    """
    if this_connection().vendor == "postgresql":
        change("LOCK TABLE registry_revocation IN SHARE ROW EXCLUSIVE MODE", [])


def share_usage(send: Together) -> None:
    """Until the transaction ends, nobody counts anew what is used; others who share may go on.

    Needs nothing on SQLite, whose transactions take turns. See `services.usage`.
    """
    if this_connection().vendor == "postgresql":
        send("SELECT pg_advisory_xact_lock_shared(%s)::text", [_USAGE])


def take_usage() -> None:
    """Until the transaction ends, nobody changes what is used, once those before have ended."""
    if this_connection().vendor == "postgresql":
        one("SELECT pg_advisory_xact_lock(%s)::text", [_USAGE])


def send_alone(sql: str, parameters: Sequence[Any]) -> Sent:
    """As what `together` gives, for one statement, at once."""
    with together() as send:
        return send(sql, parameters)


def gather_statistics() -> None:
    """Let the planner know of many rows that have just come, outside of a transaction.

    PostgreSQL's own does it within minutes; until then its plans are those for an empty table.
    SQLite's looks rows up by an index without being told.
    """
    connection = this_connection()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def row_lock(of: str = "") -> str:
    """What a SELECT ends with to hold its row until the commit; nothing on SQLite.

    `of` is the table whose row it is, by its short name, where there are several.
    """
    if this_connection().vendor != "postgresql":
        return ""
    return f" FOR NO KEY UPDATE OF {of}" if of else " FOR NO KEY UPDATE"


def can_write_in_a_query() -> bool:
    """Whether a query may begin with what writes, ``WITH new AS (INSERT …)``, and go on with it."""
    return bool(this_connection().vendor == "postgresql")


def others_wait() -> bool:
    """Whether somebody waits until this process does not write: on SQLite for the one turn to
    write, on PostgreSQL for a core and the disk, of which everybody at work there has a share.
    """
    return bool(this_connection().others_wait())


def let_others_write(seconds: float) -> bool:
    """After a transaction of so many seconds let those who wait (see `others_wait`) write for three
    times as long.

    Whether there were any. Whoever waits now comes again with its next statement: so the break is
    not over when nobody waits for a moment.
    """
    if this_connection().in_atomic_block or not others_wait():
        return False
    time.sleep(min(_BREAKS * seconds, _LONGEST_BREAK))
    return True
