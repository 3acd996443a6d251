"""What every test stands on: a state folder of its own, an engine and a key pair.

Settings are read from the environment when Django loads, so this file makes the folder and cleans
the environment first. Each xdist worker has its own folder and its own databases; a PostgreSQL
server is started once, by the session that distributes the tests.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import components, seaweedfs
from tests.e2e.installation import Installation
from tests.e2e.postgresql import Server

pytest_plugins = ["tests.bad_inputs.summary", "tests.e2e.fixtures"]

_STATE = pytest.StashKey[Path]()
_SERVER = pytest.StashKey[Server]()
_SETTINGS = ("BERTH_", "REGISTRY_", "GITLAB_", "EXTERNAL_URL", "ROLES")
_KEPT_ALIVE = 10_000
"""Objects that outlive those made meanwhile before the youngest are looked through for garbage."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine",
        choices=["sqlite", "postgresql"],
        default="sqlite",
        help="the database engine that unit and endpoint tests run on",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    home = Path(tempfile.mkdtemp(prefix="berth-test-"))
    config.stash[_STATE] = home
    # What all workers of this run share lies with the session that distributes the tests.
    shared = _given(config, "shared_folder") or home / "shared"
    config.stash[components.SHARED] = shared
    Installation.prepared_in = shared / "prepared"
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        del os.environ[name]
    # An empty file, so that a developer's own settings stay out.
    (home / "gitlab.toml").touch()
    os.environ |= {
        "GITLAB_CONFIG": str(home / "gitlab.toml"),
        "BERTH_HOME": str(home),
    }
    if config.getoption("engine") == "postgresql":
        _use_postgresql(config)
    if not _is_distributing(config):  # The workers collect and run; that session only hands out.
        gc.disable()  # Until they have collected: nothing of it is garbage.
        _load_django(home)


def _given(config: pytest.Config, name: str) -> Path | None:
    """A path that the distributing session has handed to this worker."""
    workerinput: dict[str, str] = getattr(config, "workerinput", {})
    return Path(workerinput[name]) if name in workerinput else None


def _is_distributing(config: pytest.Config) -> bool:
    return (
        bool(config.getoption("tx", None))
        and not config.getoption("collectonly")
        and not hasattr(config, "workerinput")
    )


def _use_postgresql(config: pytest.Config) -> None:
    workerinput: dict[str, str] | None = getattr(config, "workerinput", None)
    if workerinput is None:
        reason = components.missing("postgresql")
        if reason and os.environ.get("REQUIRE_ALL") == "1":
            raise pytest.UsageError(f"{reason}, and REQUIRE_ALL=1 is set")
        if reason:
            pytest.exit(f"--engine=postgresql: {reason}; nothing is run", returncode=0)
        server = Server()
        config.stash[_SERVER] = server
        try:
            server.start()
        except BaseException:
            server.stop()
            raise
        urls = {side: server.url(side) for side in ("gitlab", "registry")}
    else:
        urls = {side: workerinput[f"{side}_url"] for side in ("gitlab", "registry")}
    os.environ["BERTH__DATABASE_URL"] = urls["gitlab"]
    os.environ["BERTH__REGISTRY_DATABASE_URL"] = urls["registry"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["shared_folder"] = str(node.config.stash[components.SHARED])
    server = node.config.stash.get(_SERVER, None)
    if server is not None:
        for side in ("gitlab", "registry"):
            node.workerinput[f"{side}_url"] = server.url(side)


def _load_django(home: Path) -> None:
    # Not before, and not in the session that distributes: a worker that inherited it would have
    # its settings loaded by pytest-django at once, with the folder of that session.
    os.environ["DJANGO_SETTINGS_MODULE"] = "gitlab.settings"
    import django
    from django.conf import settings

    if home != settings.HOME:
        raise pytest.UsageError("unset DJANGO_SETTINGS_MODULE: the tests load Django themselves")
    # A password's hash is slow on purpose. MD5 shows the same behaviour in no time.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Names of static files as they are: nobody has collected them.
    settings.STORAGES["staticfiles"] = {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    }
    settings.WHITENOISE_AUTOREFRESH = True
    for alias, database in settings.DATABASES.items():
        # Each side's database is made without the other's, as the two share nothing.
        database["TEST"] = {"DEPENDENCIES": []}
        if database["ENGINE"] == "gitlab.server.databases.sqlite":
            # A file, as in production: SQLite in memory locks differently. Nothing is synced.
            database["TEST"]["NAME"] = str(home / "db" / f"test_{alias}.sqlite3")
            options = database["OPTIONS"]
            options["init_command"] = options["init_command"].replace(
                "synchronous=FULL", "synchronous=OFF"
            )
        else:
            database["CONN_MAX_AGE"] = 0
    django.setup()

    from gitlab.audit import denials
    from gitlab.broadcast_messages import services as broadcast_messages
    from gitlab.node import preparation
    from gitlab.server.databases.postgresql import first_statistics
    from registry.services import pull_counts

    # A thread would write into the databases of tests. They write down what was pulled themselves.
    # No page asks the database for announcements but where a test forgets that there are none.
    broadcast_messages.REMEMBERED = float("inf")
    broadcast_messages._known[:] = [(0.0, [])]
    pull_counts.Writer.start = lambda self: None  # type: ignore[method-assign]
    denials.Writer.start = lambda self: None  # type: ignore[method-assign]
    # Nor does one count their rows: it would be somebody else at work.
    first_statistics._pauses.update(dict.fromkeys(settings.DATABASES, (float("inf"), 0.0)))

    preparation.prepare_folders(settings.CONFIG)
    preparation.prepare_secrets(settings.CONFIG)
    preparation.prepare_keys(settings.CONFIG, lambda text: None)


def pytest_unconfigure(config: pytest.Config) -> None:
    server = config.stash.get(_SERVER, None)
    if server is not None:
        server.stop()
    if components.SHARED in config.stash and _given(config, "shared_folder") is None:
        seaweedfs.Server(config.stash[components.SHARED] / "seaweedfs").stop()
    home = config.stash.get(_STATE, None)
    if home is not None:
        shutil.rmtree(home, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    engine = config.getoption("engine")
    for item in items:
        for other in {"sqlite", "postgresql"} - {engine}:
            if item.get_closest_marker(other):
                item.add_marker(pytest.mark.skip(reason=f"runs with --engine={other}"))
    # The long ones first: what begins last would keep one worker while the others have nothing.
    items.sort(key=lambda item: not any(map(item.get_closest_marker, ("faults", "system", "e2e"))))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail where the tests of a group would not stay together, as they must."""
    # What has been imported and collected stays until the end: whoever collects garbage need not
    # look through all of it again and again. Nor after each few hundred objects: a query makes as
    # many, and a twelfth of the tests' time went there.
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_KEPT_ALIVE)
    if not hasattr(session.config, "workerinput"):
        return
    for item in session.items:
        if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
            raise pytest.UsageError("this pytest and this xdist don't keep groups together")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    request: pytest.FixtureRequest, django_db_modify_db_settings_parallel_suffix: None
) -> Iterator[None]:
    """Asked before the databases are made: those of further workers are copies of the first's."""
    from tests import template_databases

    shared = _given(request.config, "shared_folder")
    if shared is None:
        yield
        return
    with template_databases.migrated_once(shared / "databases"):
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The databases, in which the rows of migrations outlast a test that commits.

    SQLite's tables are emptied by DELETE between tests, which the audit's would refuse.
    """
    from django.db import connection

    from gitlab.audit import triggers
    from tests import migrated

    with django_db_blocker.unblock():
        if connection.vendor == "sqlite":
            triggers.drop(connection, triggers.REMOVED)
        rows = migrated.read()
    with migrated.restored(rows):
        yield


@pytest.fixture(autouse=True)
def _nothing_is_counted() -> Iterator[None]:
    """What a test has used up of a limit is there again for the next."""
    yield
    from django.conf import settings

    from tokens import limiter

    if not settings.configured:
        return
    from gitlab.audit import denials

    denials._gathered.clear()
    store: Any = limiter._store(settings.FAILED_LOGINS_STORES[-1])
    if store._held is not None:
        with store._transaction() as cursor:
            cursor.execute("DELETE FROM arrivals")


@pytest.fixture(autouse=True)
def _no_revocation_is_known() -> Iterator[None]:
    """What a test has revoked, and taken back with its rows, is no news to the next."""
    yield
    if revocations := sys.modules.get("registry.services.revocations"):
        revocations._known.latest = None
        revocations._known.moments = {}


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """``sqlite`` or ``postgresql``: what this run uses."""
    name: str = request.config.getoption("engine")
    return name
