"""Databases of an installation on a PostgreSQL of the tests: empty ones, or such as are prepared.

``manage.py prepare`` migrates for seconds and comes to the same each time. The first who asks has
it do so, in databases of their own; whoever asks later restores a dump of these.
"""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

import psycopg

from tests.e2e.components import find
from tests.e2e.installation import Installation
from tests.e2e.postgresql import Server

_SETTINGS = {
    "gitlab": "BERTH__DATABASE_URL",
    "registry": "BERTH__REGISTRY_DATABASE_URL",
}


def empty(server: Server, name: str) -> dict[str, str]:
    """The settings for two new databases, ``name_gitlab`` and ``name_registry``."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for side in _SETTINGS:
            connection.execute(f'CREATE DATABASE "{name}_{side}"')
    return {setting: server.url(f"{name}_{side}") for side, setting in _SETTINGS.items()}


def prepared(server: Server, name: str) -> dict[str, str]:
    """The same as `prepare` leaves them, with an administrator who has everybody's password."""
    settings = empty(server, name)
    folder = Installation.prepared_in
    if folder is None:
        return settings
    folder.mkdir(parents=True, exist_ok=True)
    dumps = {side: folder / f"{side}.sql" for side in _SETTINGS}
    with (folder / "dumps-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if dumps["registry"].exists():  # It is made last.
            for side, dump in dumps.items():
                _run(server, "psql", f"{name}_{side}", "--no-psqlrc", "-qf", str(dump))
        else:
            made = Installation(folder / "dumped", **settings)
            made.manage("prepare")
            for side, dump in dumps.items():
                _dump(server, f"{name}_{side}", dump)
    return settings


def _dump(server: Server, database: str, dump: Path) -> None:
    fresh = dump.with_suffix(".new")
    _run(server, "pg_dump", database, "--no-owner", f"--file={fresh}")
    fresh.rename(dump)


def _run(server: Server, program: str, database: str, *options: str) -> None:
    found = find(program)
    assert found
    stop = ("--set=ON_ERROR_STOP=1",) if program == "psql" else ()
    subprocess.run(
        [found, f"--dbname={server.url(database)}", *stop, *options],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
