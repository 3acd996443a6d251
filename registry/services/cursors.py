"""Rows that are read in order of id, by readers who remember the last one: events and receipts.

An id is given when a row is written and seen when its transaction commits, so a later id may be
seen first, and a reader who has moved on to it would never see the earlier one. SQLite has one
writer at a time. On PostgreSQL the first to write takes a shared advisory lock whose number says
which id was the last one before. A reader asks, in this order,

1. for the last id that was given,
2. for the smallest number among the locks that are held,
3. for the rows up to the smaller of both.

Who holds no lock at 2 has committed by then, and 3 sees it, or takes its lock and so its ids later
than 1. Who holds one is waited for. The locks are this database's, so transactions that write no
such row, and those of other databases of the server, hold nothing back.
"""

from __future__ import annotations

from django.db import models

from registry.services import database

_BITS = 48
"""Of the lock's number for the id; the rest says that it is one of ours, and of which table."""

_TAGS = {"registry_event": 0x6265, "registry_receipt": 0x6267}
_GIVEN = "SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {table}_id_seq"
_HELD = f"""
SELECT min(((classid::bigint << 32) | objid::bigint) & {2**_BITS - 1}) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND pid <> pg_backend_pid()
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND classid::bigint >> {_BITS - 32} = %s
"""


def announce(model: type[models.Model], send: database.Together | None = None) -> None:
    """To be called before rows of `model` are written, in the transaction that writes them.

    With `send`, together with other statements.
    """
    if database.this_connection().vendor != "postgresql":
        return
    table = model._meta.db_table  # noqa: SLF001
    given = _GIVEN.format(table=table)
    number = f"({_TAGS[table]}::bigint << {_BITS}) | ({given})"
    (send or database.one)(f"SELECT pg_advisory_xact_lock_shared({number})::text", [])


def settled(model: type[models.Model]) -> int | None:
    """The id up to which every row of `model` can be seen by now; None where that is all of them.

    To be called outside of a transaction, or the rows are those of its own moment.
    """
    if database.this_connection().vendor != "postgresql":
        return None
    table = model._meta.db_table  # noqa: SLF001
    (given,) = database.one(_GIVEN.format(table=table), []) or (0,)
    (held,) = database.one(_HELD, [_TAGS[table]]) or (None,)
    return int(given) if held is None else min(int(given), int(held))
