"""SeaweedFS as an S3 store for tests: one server, started by whoever needs it first."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.components import find

ACCESS_KEY = "berth-test-access"
SECRET_KEY = "canary-secret-of-the-store"
BUCKET = "registry"
_PORTS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class SeaweedFS:
    """A running server."""

    endpoint: str

    def client(self, **options: Any) -> Any:
        """A client of the tests' own."""
        import boto3  # Here, as it takes a while and most tests have no store.
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, **options),
        )

    def settings(self, prefix: str, **more: str) -> dict[str, str]:
        """An installation's settings, as the environment spells them."""
        return {
            "REGISTRY__STORAGE__DRIVER": "s3",
            "REGISTRY__STORAGE__BUCKET": BUCKET,
            "REGISTRY__STORAGE__PREFIX": prefix,
            "REGISTRY__STORAGE__ENDPOINT": self.endpoint,
            "REGISTRY__STORAGE__ACCESS_KEY": ACCESS_KEY,
            "REGISTRY__STORAGE__SECRET_KEY": SECRET_KEY,
            **more,
        }

    def objects(self, prefix: str) -> dict[str, int]:
        """Sizes of the objects below a prefix, by key."""
        pages = self.client().get_paginator("list_objects_v2")
        return {
            entry["Key"]: entry["Size"]
            for page in pages.paginate(Bucket=BUCKET, Prefix=prefix)
            for entry in page.get("Contents", [])
        }

    def unfinished(self, prefix: str) -> list[str]:
        """The keys of uploads that nobody has ended."""
        answer = self.client().list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
        return [upload["Key"] for upload in answer.get("Uploads", [])]


class Server:
    """A server of its own in `folder`. Stopped and started again it has what it had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state = folder / "state.json"

    def start(self) -> SeaweedFS:
        """Start it; on the ports that it had, where it ran before."""
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        if self._state.exists():
            ports = json.loads(self._state.read_text())["ports"]
        else:
            ports = _free_ports()
        s3_config = self.folder / "s3.json"
        keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "berth", "credentials": [keys], "actions": actions}
        s3_config.write_text(json.dumps({"identities": [identity]}))
        with (self.folder / "log").open("ab") as log:
            popen = subprocess.Popen(
                [find("weed") or "weed", "server", f"-dir={self.folder / 'data'}",
                 "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.iam=false",
                 *(f"-{name}.port={ports[name]}" for name in _PORTS),
                 *(f"-{name}.port.grpc={ports[f'{name}.grpc']}" for name in _PORTS),
                 "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={s3_config}",
                 # It would tell its makers that it runs.
                 "-master.telemetry=false",
                 "-master.volumeSizeLimitMB=1024", "-volume.max=200"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip
        self._state.write_text(json.dumps({"pid": popen.pid, "ports": ports}))
        running = SeaweedFS(f"http://127.0.0.1:{ports['s3']}")
        deadline = time.monotonic() + 60
        while True:
            try:
                if BUCKET not in _buckets(running):
                    running.client().create_bucket(Bucket=BUCKET)
                running.client().put_object(Bucket=BUCKET, Key="ready", Body=b"")
            except Exception:
                if popen.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text()[-4000:]) from None
                time.sleep(0.2)
            else:
                return running

    def running(self) -> SeaweedFS | None:
        """The server, where one runs."""
        with suppress(FileNotFoundError, ProcessLookupError):
            state = json.loads(self._state.read_text())
            os.kill(state["pid"], 0)
            return SeaweedFS(f"http://127.0.0.1:{state['ports']['s3']}")
        return None

    def stop(self, *, keep: bool = False) -> None:
        """End it, and remove what it had unless that is kept."""
        with suppress(FileNotFoundError):
            state = json.loads(self._state.read_text())
            _end(state["pid"])
            for port in state["ports"].values():
                for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    socket_file.unlink(missing_ok=True)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def shared(folder: Path) -> Iterator[SeaweedFS]:
    """The server of this run in `folder`: started by the first who asks, stopped by the session."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = Server(folder)
        running = server.running() or server.start()
    yield running


def _buckets(running: SeaweedFS) -> list[str]:
    client = running.client(connect_timeout=1, retries={"total_max_attempts": 1})
    return [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]


def _free_ports() -> dict[str, int]:
    """Ports below those that the kernel gives to connections, such as the server's own."""
    names = [*_PORTS, *(f"{name}.grpc" for name in _PORTS)]
    ports: dict[str, int] = {}
    while len(ports) < len(names):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in ports.values():
                ports[names[len(ports)]] = port
    return ports


def _end(pid: int) -> None:
    """End it at once: by itself it takes ten seconds, and it keeps what it has answered anyway."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
        while True:
            # It may be a child of ours, or of another worker's.
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            os.kill(pid, 0)
            time.sleep(0.05)
