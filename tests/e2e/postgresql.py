"""A PostgreSQL server of the tests' own, on a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.e2e.components import find

_PROMISES = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")


class Server:
    """Debian's server with its promises switched off: nothing here has to survive anything.

    `durable` leaves them on. In a `folder` of somebody else it goes on with what is there.
    """

    def __init__(self, folder: Path | None = None, *, durable: bool = False) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="berth-pg-"))
        self._is_ours, self._durable = folder is None, durable
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster, unless it is there, and wait until it answers."""
        initdb, postgres = find("initdb"), find("postgres")
        assert initdb
        assert postgres
        self._give_away()
        data = self.folder / "data"
        if not data.exists():
            sync = () if self._durable else ("--no-sync",)
            subprocess.run(
                [initdb, *sync, "--auth=trust", "--username=postgres", "--encoding=UTF8",
                 "--locale=C.UTF-8", "-D", data],
                check=True, capture_output=True, cwd=self.folder, **self._person(),
            )  # fmt: skip
        off = () if self._durable else _PROMISES
        options = [argument for name in off for argument in ("-c", f"{name}=off")]
        with (self.folder / "log").open("wb") as log:
            self._popen = subprocess.Popen(
                [postgres, "-D", data, "-k", self.folder, "-c", "listen_addresses=",
                 "-c", "max_connections=200", *options],
                stdout=log, stderr=log, cwd=self.folder, start_new_session=True, **self._person(),
            )  # fmt: skip
        self._wait()

    def url(self, name: str) -> str:
        """The address of a database; Django's test runner makes it, with a prefix."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def stop(self) -> None:
        """End it at once, as a crash would, and remove its folder where that is its own."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.send_signal(3)  # SIGQUIT: at once
            self._popen.wait(timeout=30)
        if self._is_ours:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        assert self._popen is not None
        socket = self.folder / ".s.PGSQL.5432"
        deadline = time.monotonic() + 30
        import psycopg

        while time.monotonic() < deadline and self._popen.poll() is None:
            try:
                psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres").close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"{socket}: no answer\n{(self.folder / 'log').read_text()}")

    def _person(self) -> dict[str, Any]:
        """As whom to run: the server refuses to run as root."""
        if os.geteuid() != 0:
            return {}
        entry = _unprivileged()
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _give_away(self) -> None:
        if os.geteuid() == 0:
            entry = _unprivileged()
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
