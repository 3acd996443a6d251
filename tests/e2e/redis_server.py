"""A Redis server of the tests' own, with a password, on a free port. Nothing in it is kept."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import redis

from tests.e2e.components import find, free_port

PASSWORD = "canary-secret-of-redis"


class RedisServer:
    """Debian's server. Started again it has the same port and is empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._popen: subprocess.Popen[bytes] | None = None

    def url(self, number: int) -> str:
        """The address of one of its databases."""
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/{number}"

    def client(self, number: int) -> redis.Redis:
        """A client of the tests' own."""
        return redis.Redis.from_url(self.url(number), socket_timeout=10)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = self.folder / "redis.conf"
        settings.write_text(
            f'port {self.port}\nbind 127.0.0.1\nrequirepass {PASSWORD}\nsave ""\ndir {self.folder}\n'
        )
        settings.chmod(0o600)
        program = find("redis-server")
        assert program
        with (self.folder / "log").open("ab") as log:
            self._popen = subprocess.Popen(
                [program, settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.client(0).ping()
            except redis.RedisError:
                if self._popen.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it at once, as a crash does."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait(10)
