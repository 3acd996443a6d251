"""A consistent copy of a database that is in use, and bringing one back into an empty database."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from django.db import connections


class DumpFailed(Exception):
    """The message says what the database's own program said."""


def suffix(alias: str) -> str:
    """How the dump of a database is called: ``sqlite3`` or ``dump``."""
    return "sqlite3" if connections[alias].vendor == "sqlite" else "dump"


def dump(alias: str, path: Path) -> None:
    """Write one moment of the database to `path`; nobody waits meanwhile. Raises `DumpFailed`."""
    settings = connections[alias].settings_dict
    path.unlink(missing_ok=True)
    if connections[alias].vendor == "sqlite":
        # SQLite's online backup: begins anew by itself where somebody writes, and ends with a
        # whole copy. In one step nobody comes in between.
        source = sqlite3.connect(f"file:{settings['NAME']}?mode=ro", uri=True, timeout=60)
        target = sqlite3.connect(path)
        try:
            source.backup(target)
        except sqlite3.Error as error:
            raise DumpFailed(f"{alias}: {error}") from error
        finally:
            source.close()
            target.close()
    else:
        _run(["pg_dump", "--format=custom", "--no-owner", f"--file={path}"], settings)
    path.chmod(0o600)
    _sync(path)


def restore(alias: str, path: Path) -> None:
    """Fill an empty database from a dump. Raises `DumpFailed`."""
    settings = connections[alias].settings_dict
    connections[alias].close()
    if connections[alias].vendor == "sqlite":
        target_path = Path(str(settings["NAME"]))
        target_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source, target = sqlite3.connect(path), sqlite3.connect(target_path)
        try:
            source.backup(target)
            target.execute("PRAGMA journal_mode=WAL")
        finally:
            source.close()
            target.close()
    else:
        _run(
            ["pg_restore", "--exit-on-error", "--no-owner", f"--dbname={settings['NAME']}", path],
            settings,
            names_database=False,
        )


def is_empty(alias: str) -> bool:
    """Whether the database has no table yet."""
    settings = connections[alias].settings_dict
    if connections[alias].vendor == "sqlite" and not Path(str(settings["NAME"])).exists():
        return True
    return not connections[alias].introspection.table_names()


def _run(
    command: list[str | Path], settings: dict[str, Any], *, names_database: bool = True
) -> None:
    given = {
        "PGHOST": settings["HOST"],
        "PGPORT": settings["PORT"],
        "PGUSER": settings["USER"],
        "PGPASSWORD": settings["PASSWORD"],
    }
    if names_database:
        given["PGDATABASE"] = str(settings["NAME"])
    environment = {**os.environ, **{name: str(value) for name, value in given.items() if value}}
    try:
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise DumpFailed(f"{command[0]} is not installed on this machine") from error
    if ran.returncode:
        raise DumpFailed(f"{command[0]}: {ran.stderr.strip()}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
