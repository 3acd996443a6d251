"""A node whose code is older than the tables does not start, and says what to do."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.installation import PROJECT, Installation

pytestmark = [
    pytest.mark.system,
    pytest.mark.engineless,
    pytest.mark.xdist_group("upgrade"),
]

SIDES = {
    "web": ("gitlab", "namespaces", "berth.database_url"),
    "registry": ("registry", "registry", "berth.registry_database_url"),
}
"""By role: its SQLite file, an app with tables in it, the setting that names it."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    made = Installation(tmp_path_factory.mktemp("upgrade") / "node")
    made.copy_prepared()
    return made


@contextmanager
def applied(node: Installation, file: str, app: str, name: str) -> Iterator[None]:
    """A migration that only a later version knows has been at the database."""
    path = node.home / "db" / f"{file}.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, '2030-01-01')",
            (app, name),
        )
        try:
            yield
        finally:
            database.execute("DELETE FROM django_migrations WHERE name = ?", (name,))


def manage(
    node: Installation, *arguments: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT, env={**node.environment, **settings}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("role", SIDES)
@pytest.mark.parametrize("command", ["prepare", "serve"])
def test_a_newer_schema_is_refused(node: Installation, role: str, command: str) -> None:
    file, app, setting = SIDES[role]
    before = tables(node, file)
    with applied(node, file, app, "0999_of_the_future"):
        # As a node of one role, and as one of both.
        for settings in ({"BERTH__ROLES": role}, {}):
            ran = manage(node, command, **settings)
            assert ran.returncode == 1, ran.stdout
            assert f"{app}.0999_of_the_future" in ran.stderr
            assert setting in ran.stderr
            assert "restore the backup" in ran.stderr
            assert "Traceback" not in ran.stderr
    assert tables(node, file) == before
    assert manage(node, "prepare").returncode == 0


def tables(node: Installation, file: str) -> list[tuple[str, str]]:
    """The schema, and which migrations were applied."""
    with closing(sqlite3.connect(node.home / "db" / f"{file}.sqlite3")) as database:
        found = database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return found + database.execute("SELECT app, name FROM django_migrations").fetchall()


def test_the_doctor_says_so_while_it_runs(node: Installation) -> None:
    with applied(node, "registry", "registry", "0999_of_the_future"):
        ran = manage(node, "doctor", "--format", "json", BERTH__ROLES="registry")
    found = {check["check"]: check for check in json.loads(ran.stdout) if not check["ok"]}
    assert set(found) == {"migrations"}
    assert "registry.0999_of_the_future" in found["migrations"]["finding"]


def test_the_other_sides_migrations_are_no_concern(node: Installation) -> None:
    """Django notes every app's migrations in each database; a registry's node has no GitLab."""
    with applied(node, "registry", "of_gitlab_alone", "0001_initial"):
        assert manage(node, "prepare", BERTH__ROLES="registry").returncode == 0


def test_a_backup_of_a_newer_version_is_not_restored(node: Installation, tmp_path: Path) -> None:
    with applied(node, "gitlab", "namespaces", "0999_of_the_future"):
        assert manage(node, "backup", str(tmp_path / "backup")).returncode == 0
    other = Installation(tmp_path / "other")
    ran = manage(other, "restore", str(tmp_path / "backup"))
    assert ran.returncode == 1
    assert "namespaces.0999_of_the_future" in ran.stderr
