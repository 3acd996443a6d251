"""Test databases that one worker migrates and the others copy.

Running every migration takes seconds on each engine, and comes to the same each time. Django makes
a worker's databases where it is the first of its run; whoever comes later has a copy of the file,
or on PostgreSQL of the database.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.backends.base.creation import BaseDatabaseCreation

from gitlab.server.databases import schema


@contextmanager
def migrated_once(folder: Path) -> Iterator[None]:
    """Have the test databases that are made meanwhile copied from what is kept in `folder`.

    The folder is that of a run; its workers come one after the other.
    """
    make: Any = BaseDatabaseCreation.create_test_db

    def make_or_copy(creation: Any, **options: Any) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / creation.connection.alias
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if kept.exists():
                return _copy(creation, kept)
            name = _make(creation, options["verbosity"])
            _keep(creation, kept)
            return name

    BaseDatabaseCreation.create_test_db = make_or_copy  # type: ignore[method-assign]
    try:
        yield
    finally:
        BaseDatabaseCreation.create_test_db = make  # type: ignore[method-assign]


def _make(creation: Any, verbosity: int) -> str:
    """Make a test database and migrate it as a node does. Answers its name."""
    name: str = creation._get_test_db_name()
    creation._create_test_db(verbosity, autoclobber=True)
    _use(creation.connection, name)
    schema.migrate(creation.connection.alias, "the tests")
    return name


def _keep(creation: Any, kept: Path) -> None:
    """Keep a copy of a database that has just been migrated. Nobody is connected to a template."""
    connection = creation.connection
    connection.close()
    if connection.vendor == "sqlite":
        shutil.copyfile(connection.settings_dict["NAME"], kept)
        return
    with creation._nodb_cursor() as cursor:
        cursor.execute(
            f'CREATE DATABASE "{_template(kept)}" TEMPLATE "{connection.settings_dict["NAME"]}"'
        )
    kept.touch()


def _copy(creation: Any, kept: Path) -> str:
    """Make a test database of what is kept, and have the connection use it. Answers its name."""
    connection = creation.connection
    name: str = creation._get_test_db_name()
    if connection.vendor == "sqlite":
        shutil.copyfile(kept, name)
    else:
        with creation._nodb_cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_template(kept)}"')
    _use(connection, name)
    return name


def _use(connection: Any, name: str) -> None:
    connection.close()
    settings.DATABASES[connection.alias]["NAME"] = name
    connection.settings_dict["NAME"] = name


def _template(kept: Path) -> str:
    """What the database to copy is called on PostgreSQL."""
    return f"migrated_{kept.name}"
