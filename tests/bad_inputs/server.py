"""An installation for the catalogue: two gunicorns, as a node has them, in a folder of
their own.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import uuid
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.bad_inputs.client import Answer, exchange
from tests.bad_inputs.slow_clients import Nginx
from tests.e2e import prepared
from tests.e2e.certificates import Certificates
from tests.e2e.installation import Installation, prepare

PROJECT = Path(__file__).resolve().parent.parent.parent
WATCHED = Path(__file__).resolve().parent / "watched"
_OURS = ("BERTH_", "REGISTRY_", "GITLAB_", "EXTERNAL_URL", "ROLES", "DJANGO_SETTINGS_MODULE")


def _listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=512)


def _address(listener: socket.socket) -> tuple[str, int]:
    address: tuple[str, int] = listener.getsockname()
    return address


class Node:
    """A web process and a registry process, each with one worker, and their databases."""

    def __init__(self, folder: Path, postgresql: str | None) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.password = secrets.token_urlsafe(12)
        # Listening from now on: no other test's server can take the ports meanwhile.
        self._listeners = {role: _listener() for role in ("web", "registry")}
        self.web = _address(self._listeners["web"])
        self.registry = _address(self._listeners["registry"])
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._nginx: Nginx | None = None
        self.fixtures: dict[str, Any] = {}
        self.rss_at_start = 0
        self._log_read: dict[Path, int] = {}
        self._cookies: dict[str, str] = {}
        self.calls_path = folder / "calls"
        self.calls_path.touch()
        (folder / "gitlab.toml").touch()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        self.environment = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "gitlab.settings",
            "GITLAB_CONFIG": str(folder / "gitlab.toml"),
            "BERTH_HOME": str(self.home),
            "EXTERNAL_URL": f"http://localhost:{self.web[1]}",
            "REGISTRY_EXTERNAL_URL": f"http://localhost:{self.registry[1]}",
            "GITLAB_ROOT_PASSWORD": self.password,
            "PYTHONPATH": f"{WATCHED}:{PROJECT}",
        }
        self.urls = {
            side: f"sqlite:///{self.home / 'db' / side}.sqlite3" for side in ("gitlab", "registry")
        }
        if postgresql is not None:
            self._make_databases(postgresql)

    def _make_databases(self, url: str) -> None:
        """Two databases of our own on the server that `url` leads to."""
        import psycopg

        host = urlsplit(url).query.partition("host=")[2]
        with psycopg.connect(
            host=host, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            for side, setting in (
                ("gitlab", "BERTH__DATABASE_URL"),
                ("registry", "BERTH__REGISTRY_DATABASE_URL"),
            ):
                name = f"bad_{side}_{uuid.uuid4().hex[:8]}"
                connection.execute(f'CREATE DATABASE "{name}"')
                self.urls[side] = f"postgresql://postgres@/{name}?host={host}"
                self.environment[setting] = self.urls[side]

    def start(self) -> None:
        """Prepare, fill, serve."""
        folder = Installation.prepared_in
        if folder is not None and "BERTH__DATABASE_URL" not in self.environment:
            # Migrating takes longer than all else that `prepare` does.
            prepared.copy(folder, self.home, prepare, prepared.alike({}))
        self._run("manage.py", "prepare")
        seeded = self._run("-m", "tests.bad_inputs.seed", self.password)
        line = next(line for line in seeded.splitlines() if line.startswith("SEEDED "))
        self.fixtures = json.loads(line.removeprefix("SEEDED "))
        self.serve("web", self._listeners["web"])
        self.serve("registry", self._listeners["registry"])
        self._wait(self.web, "/jwt/auth")
        self._wait(self.registry, "/v2/")
        self.rss_at_start = self.rss("registry")

    def serve(self, role: str, listener: socket.socket, name: str = "", **settings: str) -> None:
        """Start a gunicorn with the configuration of deployments."""
        name = name or role
        with self.log_path(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.py",
                 "--workers", "1", "--bind", f"fd://{listener.fileno()}", "gitlab.wsgi"],
                pass_fds=[listener.fileno()],
                cwd=PROJECT,
                env={
                    **self.environment,
                    "BERTH__ROLES": role,
                    "WATCHED_CALLS": str(self.calls_path),
                    **settings,
                },
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def serve_without_deletion(self) -> tuple[str, int]:
        """The address of a second registry process where deletion is switched off."""
        listener = self._listeners["no-deletion"] = _listener()
        address = _address(listener)
        self.serve("registry", listener, "no-deletion", BERTH__DELETE_ENABLED="false")
        self._wait(address, "/v2/")
        return address

    def serve_with_tls(self, made: Certificates) -> tuple[tuple[str, int], ssl.SSLContext]:
        """The address of another registry process, which does TLS itself, and how it is trusted."""
        listener = self._listeners["tls"] = _listener()
        address = _address(listener)
        context = ssl.create_default_context(cafile=made.authority)
        self.serve("registry", listener, "tls", **made.settings)
        return address, context

    def behind_nginx(self) -> tuple[str, int]:
        """The address of an nginx that sends blobs, for a process of its own."""
        if self._nginx is None:
            listener = self._listeners["behind-nginx"] = _listener()
            settings = {
                "REGISTRY__STORAGE__ACCEL_PREFIX": "/-/blobs",
                "BERTH__TRUSTED_PROXIES": "127.0.0.1",
            }
            self.serve("registry", listener, "behind-nginx", **settings)
            self._wait(_address(listener), "/v2/")
            folder, store = self.folder / "nginx", self.home / "registry"
            self._nginx = Nginx(folder, _address(listener), store)
            self._nginx.start()
        return self._nginx.address

    def stop(self) -> None:
        """End what was started."""
        if self._nginx is not None:
            self._nginx.stop()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
        for listener in self._listeners.values():
            listener.close()

    def _run(self, *arguments: str) -> str:
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    def _wait(self, address: tuple[str, int], path: str) -> Answer:
        deadline = time.monotonic() + 60
        while True:
            with suppress(TimeoutError):
                raw = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                return exchange(address, raw.encode())
            dead = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not dead, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    # Looking in

    def calls(self) -> list[str]:
        """Whom the processes that serve have called since they began to: nobody, in every case."""
        return self.calls_path.read_text().splitlines()

    def log_path(self, name: str) -> Path:
        """Where a process writes its lines."""
        return self.folder / f"{name}.log"

    def log(self) -> str:
        """What all processes have said."""
        return "".join(
            path.read_text(errors="surrogateescape") for path in sorted(self.folder.glob("*.log"))
        )

    def log_since(self) -> str:
        """What all processes have said since the last time."""
        found = []
        for path in sorted(self.folder.glob("*.log")):
            with path.open(errors="surrogateescape", newline="") as file:
                file.seek(self._log_read.get(path, 0))
                found.append(file.read())
                self._log_read[path] = file.tell()
        return "".join(found)

    def settle(self) -> None:
        """Wait until the registry answers again."""
        self._wait(self.registry, "/v2/")

    def session_of(self, name: str) -> str:
        """The cookie of a browser in which `name` has signed in."""
        if name not in self._cookies:
            code = (
                "import django; django.setup()\n"
                "from django.conf import settings\n"
                "from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY\n"
                "from django.contrib.sessions.backends.db import SessionStore\n"
                "from gitlab.accounts.models import User\n"
                f"user = User.objects.get(username={name!r})\n"
                "store = SessionStore()\n"
                "store[SESSION_KEY] = str(user.pk)\n"
                "store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]\n"
                "store[HASH_SESSION_KEY] = user.get_session_auth_hash()\n"
                "store.create()\n"
                "print('COOKIE ' + settings.SESSION_COOKIE_NAME + '=' + store.session_key)\n"
            )
            printed = self._run("-c", code)
            line = next(line for line in printed.splitlines() if line.startswith("COOKIE "))
            self._cookies[name] = line.removeprefix("COOKIE ")
        return self._cookies[name]

    def rows(self, side: str, sql: str) -> list[tuple[Any, ...]]:
        """What a query answers in the database of ``gitlab`` or ``registry``."""
        url = self.urls[side]
        if url.startswith("sqlite"):
            with (
                closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10)) as found,
                found,
            ):
                return found.execute(sql).fetchall()
        import psycopg

        with psycopg.connect(url) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def state(self) -> tuple[Any, ...]:
        """Which tag points where, and which blobs lie in the store."""
        tags = self.rows(
            "registry",
            "SELECT r.name, t.name, t.digest FROM registry_tag t"
            " JOIN registry_repository r ON r.id = t.repository_id"
            " WHERE t.ended_at IS NULL AND r.closed_at IS NULL ORDER BY 1, 2",
        )
        manifests = self.rows(
            "registry",
            "SELECT repository_id, digest FROM registry_manifest"
            " WHERE deleted_at IS NULL ORDER BY 1, 2",
        )
        blobs = sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(self.home / "registry" / "blobs")
            for name in names
        )
        return tags, manifests, blobs

    def strays(self) -> set[Path]:
        """Files in the store that are neither blobs nor parts of uploads."""
        root = self.home / "registry"
        return {
            path
            for path in root.rglob("*")
            if path.is_file() and path.relative_to(root).parts[0] not in ("blobs", "uploads")
        }

    def parts(self, location: str = "") -> int:
        """How many parts of uploads lie in the store; with the address of a session, its own."""
        folder = self.home / "registry" / "uploads"
        if location:
            session = location.partition("/uploads/")[2].partition("?")[0].strip("/")
            folder = folder / session[:2] / session
        return sum(len(names) for _, _, names in os.walk(folder))

    def images_known_to_gitlab(self) -> list[tuple[Any, ...]]:
        """GitLab's rows about images and projects."""
        found: list[tuple[Any, ...]] = []
        for table in ("container_registry_containerrepository", "namespaces_project"):
            found += self.rows("gitlab", f"SELECT '{table}', COUNT(*) FROM {table}")
        return found

    def forget_failed_logins(self) -> None:
        """So that one case's failures don't count for the next."""
        if not self.urls["gitlab"].startswith("sqlite"):
            self.rows("gitlab", "DELETE FROM tokens_arrival")
            return
        path = self.home / "db" / "limiter.sqlite3"
        if path.exists():
            with closing(sqlite3.connect(path, timeout=10)) as found, found:
                found.execute("DELETE FROM arrivals")

    def workers_of(self, name: str) -> list[int]:
        """The process ids of a gunicorn's workers."""
        pid = self.processes[name].pid
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in text.split()]

    def rss(self, name: str) -> int:
        """Resident memory of a gunicorn's workers in bytes."""
        total = 0
        for pid in self.workers_of(name):
            with suppress(FileNotFoundError):
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                total += pages * os.sysconf("SC_PAGE_SIZE")
        return total

    def descriptors(self, name: str) -> int:
        """Open file descriptors of a gunicorn's workers."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.workers_of(name))
