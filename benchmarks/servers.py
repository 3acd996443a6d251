"""The servers that are compared, on the same disk, with the same tokens.

Berth as production would run it (gunicorn by `deploy/gunicorn.py`), docker-registry 2.8 of Debian.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")
_START_TIMEOUT = 30.0


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Return when somebody listens. Raises `TimeoutError`."""
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on {port}")


@dataclass
class Server:
    """A running server with all its processes."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def _pids(self) -> list[int]:
        listing = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return [self.process.pid, *(int(pid) for pid in listing.stdout.split())]

    def cpu_seconds(self) -> float:
        """CPU time that all its processes have used, in user and kernel mode."""
        total = 0
        for pid in self._pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / _TICKS

    def resident_mib(self) -> dict[int, float]:
        """Resident memory of each process."""
        found = {}
        for pid in self._pids():
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        found[pid] = int(line.split()[1]) / 1024
        return found

    def stop(self) -> None:
        """End it with everything that it started."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Bench:
    """A folder with a state of its own for each server, and a key pair that both know."""

    def __init__(
        self, folder: Path, *, database: str | None = None, gitlab_database: str | None = None
    ) -> None:
        self.folder = folder
        self.home = folder / "berth"
        self.environment: dict[str, str] = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("BERTH", "REGISTRY_"))},
            "BERTH_HOME": str(self.home),
            "BERTH__RATE_LIMITS__FAILED_LOGINS": "0",
            "BERTH__TOKEN_EXPIRE_DELAY": "600",
            "GITLAB_ROOT_PASSWORD": "correct-horse-battery",
            "DJANGO_SETTINGS_MODULE": "gitlab.settings",
        }
        if database:
            self.environment["BERTH__REGISTRY_DATABASE_URL"] = database
        if gitlab_database:
            self.environment["BERTH__DATABASE_URL"] = gitlab_database

    def manage(self, *arguments: str, **environment: str) -> str:
        """Run a command of `manage.py`; what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def python(self, code: str) -> str:
        """Run code in Berth's shell; the last line that it printed."""
        return self.manage("shell", "--no-imports", "-c", code).strip().splitlines()[-1]

    def token(self, *names: str) -> str:
        """A token to pull from and push to these repositories, and to list all."""
        return self.python(
            "from tokens.issue import issue; from tokens.access import Access;"
            f"print(issue([Access.repository(n, 'pull', 'push') for n in {names}]"
            " + [Access('registry', 'catalog', ('*',))], subject='bench').text)"
        )

    def berth(
        self, role: str, *, application: str = "gitlab.wsgi", realm: Server | None = None
    ) -> Server:
        """One process of Berth under gunicorn; `realm` is where tokens come from."""
        port = free_port()
        environment = {
            **self.environment,
            "BERTH__ROLES": role,
            "BERTH__WEB_HTTP_ADDR": f"127.0.0.1:{port}",
            "REGISTRY__REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
        }
        if realm is not None:
            environment["REGISTRY__TOKEN_REALM"] = _token_endpoint(realm)
        command = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.py", application]
        return self._start("berth", port, command, environment)

    def docker_registry(self, *, realm: Server) -> Server:
        """Debian's docker-registry with Berth's certificate."""
        port = free_port()
        root = self.folder / "docker-registry"
        root.mkdir(exist_ok=True)
        config = self.folder / "docker-registry.yml"
        config.write_text(
            f"""
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {root}, maxthreads: 100}}
  delete: {{enabled: true}}
  cache: {{blobdescriptor: inmemory}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth:
  token:
    realm: {_token_endpoint(realm)}
    service: container_registry
    issuer: gitlab-issuer
    rootcertbundle: {self.home}/keys/gitlab-registry.crt
"""
        )
        return self._start(
            "docker-registry", port, ["docker-registry", "serve", str(config)], dict(os.environ)
        )

    def _start(
        self, name: str, port: int, command: list[str], environment: dict[str, Any]
    ) -> Server:
        log = (self.folder / f"{name}-{port}.log").open("wb")
        process = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        wait_for(port)
        return Server(name, port, process, environment)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """`server`, stopped at the end."""
    try:
        yield server
    finally:
        server.stop()


def _token_endpoint(web: Server) -> str:
    # By name: docker refuses a realm on another loopback literal than the registry's own.
    return f"http://localhost:{web.port}/jwt/auth"


def missing_programs() -> list[str]:
    """What has to be installed first."""
    return [
        name
        for name in ("docker-registry", "wrk", "ab", "nginx")
        if shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None
    ]
