"""The tables of a side: brought up to the code, by one node at a time, and never run from behind.

Several nodes share a database. Migrations are additive (docs/deployment.md, "Upgrades"), so nodes
of the version before go on while a new one brings the tables up. What may not happen is that a node
starts whose code is older than the tables: it would write rows that lack what newer code relies on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from django.apps import apps
from django.core.management import call_command
from django.db import connections
from django.db.migrations.loader import MigrationLoader

from gitlab.server.databases.router import REGISTRY

_LOCK = 0x62657274
"""The key of the advisory lock: "bert" in ASCII. Nobody else locks in these databases."""


class NewerSchema(Exception):
    """The database has had migrations that this code does not know. The message says which."""


def unknown(alias: str) -> list[str]:
    """The migrations that were applied to a database and that this code does not have.

    Of the apps that this process loads: a registry's process doesn't load GitLab's, whose names
    Django notes in each database that it migrates.
    """
    loader = MigrationLoader(connections[alias])
    known: set[tuple[str, ...]] = set(loader.disk_migrations)
    for migration in loader.disk_migrations.values():
        known.update(migration.replaces)
    ours = {config.label for config in apps.get_app_configs()}
    return sorted(
        f"{label}.{name}"
        for label, name in loader.applied_migrations
        if label in ours and (label, name) not in known
    )


def require_known(alias: str, setting: str) -> None:
    """Raises `NewerSchema` where a newer version has been at the database."""
    if found := unknown(alias):
        raise NewerSchema(
            f"The database of {setting} is newer than this code: it has had"
            f" {', '.join(found[:5])}{' and others' if len(found) > 5 else ''}, which this version"
            " does not know. Nothing was changed. Start the version that made them or a later one;"
            " to go back to this one, restore the backup that was made before the update."
        )


@contextlib.contextmanager
def alone(alias: str) -> Iterator[None]:
    """Holds a database against other nodes that prepare it, until the end of the block.

    On SQLite the state folder's own lock is enough, since no other node has the file.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def migrate(alias: str, setting: str) -> None:
    """Bring the tables of a database up to this code. Raises `NewerSchema`, and changes nothing.

    The registry's database has no other app's tables, whose migrations would do nothing in it: they
    are not even thought through, which takes about as long as those of GitLab's own database.
    """
    require_known(alias, setting)
    apps_of_it = [REGISTRY] if alias == REGISTRY else []
    call_command("migrate", *apps_of_it, database=alias, interactive=False, verbosity=0)
