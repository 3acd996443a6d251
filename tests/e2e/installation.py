"""Berth as people run it: ``manage.py serve`` in a state folder of its own, on free ports."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tests.e2e import prepared
from tests.e2e.components import free_port
from tests.e2e.console import Console
from tests.people import PASSWORD

PROJECT = Path(__file__).resolve().parent.parent.parent
_OURS = (
    "BERTH_", "REGISTRY_", "GITLAB_", "EXTERNAL_URL", "ROLES", "DJANGO_SETTINGS_MODULE", "PYTEST_",
)  # fmt: skip


class Installation:
    """A node, or with ``BERTH__ROLES`` one half of it.

    Settings are given as the environment spells them: ``Installation(folder, EXTERNAL_URL=…)``.
    Ports are chosen freely unless the addresses are given. The first start finds the state folder
    prepared (see `tests.e2e.prepared`), unless it is made `from_nothing`; that one has the
    product's own settings, and others those of `tests.e2e.quick_settings`.
    """

    prepared_in: Path | None = None
    """The folder in which this run keeps a prepared state folder, for all of its workers."""

    prefix: Sequence[str] = ()
    """What stands before each command, as in ``ip netns exec …``."""

    def __init__(self, folder: Path, *, from_nothing: bool = False, **settings: str) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.root_password = PASSWORD
        self._from_nothing = from_nothing
        self.settings = {
            "EXTERNAL_URL": f"http://localhost:{free_port()}",
            "REGISTRY_EXTERNAL_URL": f"http://localhost:{free_port()}",
            "GITLAB_ROOT_PASSWORD": self.root_password,
            "BERTH_HOME": str(self.home),
            "GITLAB_CONFIG": str(folder / "gitlab.toml"),
            **settings,
        }
        self.log_path = folder / "log"
        self._popen: subprocess.Popen[bytes] | None = None
        self._console: Console | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "gitlab.toml").touch()

    # Addresses

    @property
    def url(self) -> str:
        """GitLab's address."""
        return self.settings["EXTERNAL_URL"]

    @property
    def registry_url(self) -> str:
        """The registry's address, with the scheme."""
        return self.settings["REGISTRY_EXTERNAL_URL"]

    @property
    def registry(self) -> str:
        """The registry as docker types it: ``localhost:40123``."""
        return self.registry_url.partition("://")[2]

    @property
    def authority(self) -> Path | None:
        """The authority that signed its certificate, None where it speaks plain http."""
        given = self.settings.get("BERTH__REGISTRY_CA_BUNDLE")
        return Path(given) if given else None

    @cached_property
    def verify(self) -> ssl.SSLContext:
        """How httpx trusts it. Over plain http nobody: each client would read the public
        authorities anew, which takes longer than what it asks.
        """
        if self.authority:
            return ssl.create_default_context(cafile=self.authority)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    # Running

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes: the tests' own, without settings, and its settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        module = "gitlab.settings" if self._from_nothing else "tests.e2e.quick_settings"
        return {**kept, **self.settings, "DJANGO_SETTINGS_MODULE": module}

    def start(self, timeout: float = 300) -> None:
        """Start it and wait until it says that it is ready."""
        self.copy_prepared()
        offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                [*self.prefix, sys.executable, "manage.py", "serve"],
                cwd=PROJECT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + timeout
        while "\nReady." not in self.log()[offset:]:
            if self._popen.poll() is not None or time.monotonic() > deadline:
                code = self._popen.poll()
                self.stop()
                raise AssertionError(f"Berth did not start (exit code {code}):\n{self.log()}")
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 80) -> int | None:
        """Stop it as a person would; the exit code."""
        self._close_console()
        if self._popen is None:
            return None
        if self._popen.poll() is None:
            self._popen.send_signal(number)
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self._popen.send_signal(signal.SIGINT)
                self._popen.send_signal(signal.SIGINT)
                self._popen.wait(10)
                raise
        return self._popen.returncode

    def discard(self) -> None:
        """Kill all of it, where a test needs no more of it: stopping takes seconds, of waiting.

        What starts processes goes first, so that none is started meanwhile, and then whoever is
        left: what a killed parent leaves behind would go on.
        """
        self._close_console()
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()
        while left := self.processes():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def copy_prepared(self) -> None:
        """Have the state folder of this run, where there is none and it would be the same.

        A start does this by itself; a command alone may begin with it.
        """
        settings = self._deciding_settings()
        if (
            self.prepared_in is None
            or self._from_nothing
            or settings.get("GITLAB_ROOT_PASSWORD") != PASSWORD
            or settings.get("BERTH_HOME") != str(self.home)
            or (self.home / "db").exists()
        ):
            return
        if prepared.suits(settings) and not self.home.exists():
            prepared.copy(self.prepared_in, self.home, prepare)
        elif names := prepared.alike(settings):
            prepared.copy(self.prepared_in, self.home, prepare, names)

    def _deciding_settings(self) -> dict[str, str]:
        """Those on which depends what it finds prepared, as the environment spells them."""
        return self.settings

    @property
    def pid(self) -> int:
        """The process id of ``manage.py serve``."""
        assert self._popen is not None
        return self._popen.pid

    @property
    def ended(self) -> bool:
        """Whether it is not running, since it was never started, was stopped or has given up."""
        return self._popen is None or self._popen.poll() is not None

    def processes(self) -> list[int]:
        """Every process that runs with its configuration, whoever has started it."""
        mark = os.fsencode(f"GITLAB_CONFIG={self.settings['GITLAB_CONFIG']}")
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def wait(self, timeout: float = 30) -> int:
        """The exit code, once it has ended by itself."""
        assert self._popen is not None
        return self._popen.wait(timeout)

    def log(self) -> str:
        """Everything that its processes have printed."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def manage(self, *arguments: str, given: str | None = None, **settings: str) -> str:
        """What ``manage.py`` prints. Raises `CalledProcessError`; its stderr is in the message."""
        ran = subprocess.run(
            [*self.prefix, sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env={**self.environment, **settings},
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if ran.returncode:
            raise AssertionError(f"manage.py {' '.join(arguments)}:\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def run_python(self, code: str) -> Any:
        """Runs `code` with its settings; what it assigns to ``answer`` comes back through JSON."""
        console = self._console
        if console is None or console.ended or console.environment != self.environment:
            self._close_console()
            log = self.folder / "console-log"
            console = self._console = Console(self.prefix, self.environment, log)
        return console.run(code)

    def _close_console(self) -> None:
        if self._console is not None:
            self._console.close()
            self._console = None

    # People and projects

    def create_user(self, username: str, *, password: str = PASSWORD) -> str:
        """A person with a namespace of their own. Answers the password."""
        self.run_python(
            "from gitlab.accounts import services\n"
            f"services.create_user(username={username!r}, email={username + '@example.com'!r},"
            f" name={username.title()!r}, password={password!r})"
        )
        return password

    def api_token(self, username: str, *scopes: str) -> str:
        """The text of a new personal access token (default: for the whole API)."""
        text: str = self.run_python(
            "from gitlab.access_tokens import services\n"
            "from gitlab.accounts.models import User\n"
            f"user = User.objects.get(username={username!r})\n"
            f"scopes = {list(scopes) or ['api']!r}\n"
            "answer = services.create(user, name='test', scopes=scopes)[1]"
        )
        return text

    def create_project(self, path: str, *, owner: str, visibility: str = "private") -> None:
        """A project in a namespace that is there: ``create_project("alice/app",
        owner="alice")``.
        """
        namespace, _, name = path.rpartition("/")
        self.run_python(
            "from gitlab.accounts.models import User\n"
            "from gitlab.namespaces import services\n"
            "from gitlab.namespaces.models import Namespace\n"
            f"owner = User.objects.get(username={owner!r})\n"
            f"namespace = Namespace.objects.get(full_path={namespace!r})\n"
            f"services.create_project(owner, namespace=namespace, path={name!r},"
            f" visibility={visibility!r})"
        )

    def set_visibility(self, path: str, visibility: str) -> None:
        """Make a project private, internal or public."""
        self.run_python(
            "from gitlab.namespaces.models import Project\n"
            f"changed = Project.objects.filter(full_path={path!r}).update(visibility={visibility!r})\n"
            "assert changed == 1, changed"
        )

    # The wire

    def token(self, *scopes: str, username: str = "root", password: str | None = None) -> str:
        """A token from ``/jwt/auth``."""
        response = httpx.get(
            f"{self.url}/jwt/auth",
            params=[("service", "container_registry"), *(("scope", scope) for scope in scopes)],
            auth=(username, password or self.root_password),
            verify=self.verify,
            timeout=60,
        )
        response.raise_for_status()
        text: str = response.json()["token"]
        return text

    def request(
        self, method: str, path: str, *scopes: str, username: str = "root", **options: Any
    ) -> httpx.Response:
        """A request to the registry, with a token for `scopes`."""
        headers = {
            "Authorization": f"Bearer {self.token(*scopes, username=username)}",
            **options.pop("headers", {}),
        }
        return httpx.request(
            method,
            f"{self.registry_url}{path}",
            headers=headers,
            timeout=60,
            verify=self.verify,
            **options,
        )

    def bytes_on_disk(self) -> int:
        """The size of all files in the registry's store."""
        total = 0
        for path in (self.home / "registry").rglob("*"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size if path.is_file() else 0
        return total


def prepare(home: Path) -> None:
    """Prepare a state folder with the default settings."""
    Installation(home.with_name("settings")).manage("prepare", BERTH_HOME=str(home))


def wait_until(condition: Any, *, timeout: float = 60, interval: float = 0.2) -> Any:
    """The first true value of `condition`. Fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still {value!r} after {timeout} s")
        time.sleep(interval)
