"""How much memory a large blob takes on its way to an S3 store and back.

python -m benchmarks.s3_memory [--gb 6] [--folder DIR]

Starts SeaweedFS and a registry, pushes blobs of growing size in one PATCH each, pulls them, and
prints the registry's largest resident size. Needs about three times the size on disk.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.e2e.installation import Installation
from tests.e2e.seaweedfs import Server

MIB = 1024 * 1024
_BLOCK = os.urandom(MIB)
SCOPE = "repository:root/big:pull,push"


def content(size: int) -> Iterator[bytes]:
    """`size` bytes in pieces of a MiB, no two of which are equal."""
    for number in range(size // MIB):
        yield number.to_bytes(8, "big") + _BLOCK[8:]


def workers(installation: Installation) -> list[Path]:
    """The folders in /proc of the processes that serve the registry."""
    mark = f"BERTH_HOME={installation.home}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environ = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if mark in environ and b"BERTH__ROLES=registry" in environ and b"gunicorn" in command:
            found.append(folder)
    return found


def forget_peaks(folders: list[Path]) -> None:
    """Let the kernel measure anew."""
    for folder in folders:
        (folder / "clear_refs").write_text("5")


def peak(folders: list[Path]) -> float:
    """The largest resident size of one process, in MiB."""
    sizes = [
        int(found[1])
        for folder in folders
        if (found := re.search(r"VmHWM:\s+(\d+) kB", (folder / "status").read_text()))
    ]
    return max(sizes) / 1024


def push(installation: Installation, size: int, digest: str) -> tuple[float, float]:
    """Seconds that the PATCH and the PUT took."""
    start = installation.request("POST", "/v2/root/big/blobs/uploads/", SCOPE)
    location = start.headers["Location"]
    headers = {"Authorization": f"Bearer {installation.token(SCOPE)}"}
    began = time.monotonic()
    sent = httpx.patch(
        installation.registry_url + location, content=content(size), headers=headers, timeout=1800
    )
    assert sent.status_code == 202, sent.text
    half = time.monotonic()
    headers = {"Authorization": f"Bearer {installation.token(SCOPE)}"}
    ended = httpx.put(
        f"{installation.registry_url}{sent.headers['Location']}&digest={digest}",
        headers=headers, timeout=1800,
    )  # fmt: skip
    assert ended.status_code == 201, ended.text
    return half - began, time.monotonic() - half


def pull(installation: Installation, digest: str) -> float:
    """Seconds that a GET took; what comes is checked."""
    headers = {"Authorization": f"Bearer {installation.token(SCOPE)}"}
    began = time.monotonic()
    hasher = hashlib.sha256()
    url = f"{installation.registry_url}/v2/root/big/blobs/{digest}"
    with httpx.stream("GET", url, headers=headers, timeout=1800) as response:
        for piece in response.iter_raw(MIB):
            hasher.update(piece)
    assert f"sha256:{hasher.hexdigest()}" == digest
    return time.monotonic() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.s3_memory")
    parser.add_argument("--gb", type=float, default=6.0, help="the largest blob, in GiB")
    parser.add_argument("--folder", type=Path, help="where all data is kept meanwhile")
    options = parser.parse_args()
    largest = int(options.gb * 1024)
    with tempfile.TemporaryDirectory(prefix="s3-memory-", dir=options.folder) as folder:
        server = Server(Path(folder) / "seaweedfs")
        running = server.start()
        installation = Installation(Path(folder) / "berth", **running.settings("memory"))
        try:
            installation.start()
            folders = workers(installation)
            print(f"{'size':>10} {'PATCH':>13} {'PUT':>9} {'GET':>12}   largest process")
            for mib in sorted({1, 64, 1024, largest}):
                size = mib * MIB
                hasher = hashlib.sha256()
                for piece in content(size):
                    hasher.update(piece)
                digest = f"sha256:{hasher.hexdigest()}"
                forget_peaks(folders)
                patch, put = push(installation, size, digest)
                pushed = peak(folders)
                forget_peaks(folders)
                get = pull(installation, digest)
                print(
                    f"{mib:>6} MiB {mib / patch:>7.0f} MiB/s {put:>7.1f} s {mib / get:>7.0f} MiB/s"
                    f"   {pushed:.0f} MiB pushing, {peak(folders):.0f} MiB pulling",
                    flush=True,
                )
        finally:
            installation.stop()
            server.stop()


if __name__ == "__main__":
    main()
