"""nginx and haproxy with the files of ``deploy/``, and names that only one test knows.

What a file has to be adapted to on a real machine (names, ports, paths, the user) is replaced here,
and each piece has to be there: the rest runs as it stands.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.certificates import Certificates
from tests.e2e.components import find
from tests.e2e.installation import PROJECT, Installation

GITLAB, REGISTRY = "gitlab.berth.test", "registry.berth.test"


def adapted(name: str, replacements: dict[str, str]) -> str:
    """A file of ``deploy/`` with other names, ports and paths."""
    text = (PROJECT / "deploy" / name).read_text()
    for old, new in replacements.items():
        assert old in text, f"deploy/{name} no longer has {old!r}"
        text = text.replace(old, new)
    return text


@dataclass
class Proxy:
    """One running proxy in front of an installation."""

    program: str
    folder: Path
    port: int
    certificates: Certificates
    behind: Installation
    changed: dict[str, str] = field(default_factory=dict)
    """Pieces to replace by others, such as wrong ones."""
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it in the foreground, and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self._nginx() if self.program == "nginx" else self._haproxy()
        with self.log_path.open("ab") as log:
            self.popen = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                if self.popen.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(self.log()) from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it."""
        if self.popen is not None and self.popen.poll() is None:
            self.popen.terminate()
            self.popen.wait(10)

    @property
    def log_path(self) -> Path:
        """What it prints."""
        return self.folder / "log"

    def log(self) -> str:
        """What it has printed, and logged of requests."""
        files = (self.log_path, self.folder / "access.log", self.folder / "error.log")
        return "".join(path.read_text() for path in files if path.exists())

    def _names(self) -> dict[str, str]:
        return {"gitlab.example.com": GITLAB, "registry.example.com": REGISTRY}

    def _servers(self) -> dict[str, str]:
        settings = self.behind.settings
        return {
            "127.0.0.1:8000": settings["BERTH__WEB_HTTP_ADDR"],
            "127.0.0.1:5000": settings["REGISTRY__REGISTRY_HTTP_ADDR"],
        }

    def _nginx(self) -> list[str]:
        text = adapted(
            "nginx.conf",
            {
                **self._names(),
                **self._servers(),
                "user berth;": "user root;" if os.geteuid() == 0 else "",
                "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                "/run/nginx.pid": str(self.folder / "pid"),
                "/var/log/nginx/error.log": str(self.folder / "error.log"),
                "/var/log/nginx/berth.log": str(self.folder / "access.log"),
                "/etc/berth/tls.crt": str(self.certificates.certificate),
                "/etc/berth/tls.key": str(self.certificates.key),
                "/var/lib/berth/registry/": f"{self.behind.home}/registry/",
                "worker_processes auto": "worker_processes 2",
                **self.changed,
            },
        )
        path = self.folder / "nginx.conf"
        path.write_text(text)
        program = str(find("nginx") or "nginx")
        return [program, "-p", str(self.folder), "-c", str(path), "-g", "daemon off;"]

    def _haproxy(self) -> list[str]:
        pair = self.folder / "tls.pem"
        pair.write_bytes(
            self.certificates.certificate.read_bytes() + self.certificates.key.read_bytes()
        )
        pair.chmod(0o600)
        text = adapted(
            "haproxy.cfg",
            {
                **self._names(),
                **self._servers(),
                "bind :443": f"bind 127.0.0.1:{self.port}",
                "/etc/berth/tls.pem": str(pair),
                # The tests' own sign of life: a check each second instead of five.
                "check inter 5s": "check inter 1s",
            },
        )
        path = self.folder / "haproxy.cfg"
        path.write_text(text)
        return [str(find("haproxy") or "haproxy"), "-db", "-f", str(path)]


def settings_behind(port: int, web: int, registry: int) -> dict[str, str]:
    """What docs/deployment.md says an installation behind a proxy is told."""
    return {
        "EXTERNAL_URL": f"https://{GITLAB}:{port}",
        "REGISTRY_EXTERNAL_URL": f"https://{REGISTRY}:{port}",
        "BERTH__WEB_HTTP_ADDR": f"127.0.0.1:{web}",
        "REGISTRY__REGISTRY_HTTP_ADDR": f"127.0.0.1:{registry}",
        "BERTH__TRUSTED_PROXIES": "127.0.0.1",
    }


class Machine:
    """A machine of its own as far as names and trust go: a mount namespace. Needs root.

    Go programs read ``/etc/hosts`` themselves; nobody else's is changed.
    """

    def __init__(self, folder: Path, authority: Path, registry: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.hosts = folder / "hosts"
        self.hosts.write_text(f"127.0.0.1 localhost {GITLAB} {REGISTRY}\n::1 localhost\n")
        self.trust = folder / "docker"
        place = self.trust / "certs.d" / registry
        place.mkdir(parents=True)
        shutil.copy(authority, place / "ca.crt")
        self._script = folder / "inside"
        self._script.write_text(
            "#!/bin/sh\nset -e\nmkdir -p /etc/docker\n"
            f"mount --bind '{self.hosts}' /etc/hosts\n"
            f"mount --bind '{self.trust}' /etc/docker\n"
            'exec "$@"\n'
        )
        self._script.chmod(0o700)

    @property
    def prefix(self) -> list[str]:
        """What stands before a command that runs there."""
        return ["unshare", "--mount", "--propagation", "private", str(self._script)]
