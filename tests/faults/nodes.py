"""Installations for faults: on SQLite and on PostgreSQL, with their processes to be killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg

from registry.storage import paths
from tests.e2e import prepared_databases, seaweedfs
from tests.e2e.installation import Installation
from tests.e2e.postgresql import Server

QUICK = {
    "BERTH__GC_REVIEW_DELAY": "3s",
    "BERTH__UNDO_WINDOW": "3s",
    "BERTH__TOKEN_EXPIRE_DELAY": "60",
    "BERTH__DATABASE_TIMEOUT": "5s",
}


def databases(server: Server, name: str, *, empty: bool = False) -> dict[str, str]:
    """Settings for two databases of a server, prepared or `empty`."""
    make = prepared_databases.empty if empty else prepared_databases.prepared
    settings = make(server, name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        for side in ("gitlab", "registry"):
            # The tests' server promises nothing; here a commit has to survive the server's crash.
            connection.execute(f'ALTER DATABASE "{name}_{side}" SET synchronous_commit = on')
    return settings


def below(pid: int) -> dict[int, str]:
    """The process and all below it, with their command lines."""
    parents: dict[int, int] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError, ValueError):
                status = (folder / "stat").read_text().rpartition(")")[2].split()
                if status[0] == "Z":
                    continue
                parents[int(folder.name)] = int(status[1])
                text = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (folder / "environ").read_bytes()
                role = "registry" if b"BERTH__ROLES=registry" in environment else ""
                lines[int(folder.name)] = f"{role} {text}"
    found = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in found} - found
        if not more:
            return {one: lines.get(one, "") for one in found}
        found |= more


def registry_processes(berth: Installation) -> tuple[int, list[int]]:
    """The registry's gunicorn: its master, and its workers."""
    found = {pid for pid, line in below(berth.pid).items() if line.startswith("registry ")}
    master = min(pid for pid in found if parent(pid) not in found)
    return master, sorted(found - {master})


def celery_processes(berth: Installation) -> list[int]:
    """Celery's processes, the parent first."""
    return sorted(pid for pid, line in below(berth.pid).items() if " celery " in line)


def parent(pid: int) -> int:
    """The process that it belongs to; 0 where it has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def kill_one(pids: list[int], chance: random.Random) -> None:
    """kill -9 of one of them, unless it has just ended."""
    if pids:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(pids), signal.SIGKILL)


def kill_all(berth: Installation) -> None:
    """kill -9 of everything, as a power cut would, and start it again."""
    berth.discard()
    berth.start()


def is_on_s3(berth: Installation) -> bool:
    """Whether its bytes are in a bucket."""
    return berth.settings.get("REGISTRY__STORAGE__DRIVER") == "s3"


def path_of(berth: Installation, digest: str) -> Path:
    """The file of a blob."""
    return paths.blob(berth.home / "registry", digest)


def damage(berth: Installation, digest: str, body: bytes | None) -> None:
    """Let a blob have these bytes in the store, or none."""
    if not is_on_s3(berth):
        path = path_of(berth, digest)
        path.unlink() if body is None else path.write_bytes(body)
        return
    client = seaweedfs.SeaweedFS(berth.settings["REGISTRY__STORAGE__ENDPOINT"]).client()
    prefix = PurePosixPath(berth.settings["REGISTRY__STORAGE__PREFIX"])
    place = {"Bucket": seaweedfs.BUCKET, "Key": str(paths.blob(prefix, digest))}
    if body is None:
        client.delete_object(**place)
    else:
        client.put_object(**place, Body=body)


def server_folder(stack: dict[str, str]) -> Path:
    """The folder of the PostgreSQL that a stack has."""
    return Path(parse_qs(urlsplit(stack["BERTH__DATABASE_URL"]).query)["host"][0])


def server_processes(stack: dict[str, str]) -> list[int]:
    """That server's processes, the one that starts the others first."""
    first = int((server_folder(stack) / "data" / "postmaster.pid").read_text().split()[0])
    return [first, *sorted(set(below(first)) - {first})]


def restart_if_ended(berth: Installation) -> None:
    """Let a test begin with a node that runs, whatever became of it in the one before."""
    if berth.ended:
        berth.start()


def readiness(berth: Installation) -> int:
    """The registry's, 0 where nobody answers."""
    try:
        address = f"{berth.registry_url}/-/readiness"
        return httpx.get(address, timeout=15, verify=berth.verify).status_code
    except httpx.HTTPError:
        return 0


def until_ready(berth: Installation, seconds: float = 30) -> None:
    """I9: green again within so long, without a human."""
    deadline = time.monotonic() + seconds
    while readiness(berth) != 200:
        assert time.monotonic() < deadline, (
            f"I9: not ready after {seconds} s\n{berth.log()[-3000:]}"
        )
        time.sleep(0.2)


def emptied(berth: Installation, seconds: float = 60) -> Iterator[int]:
    """How many things wait for a review that is due, as the queue is worked off."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield berth.run_python(
            "from registry.models import Review\nanswer = Review.objects.count()"
        )
        time.sleep(2)
