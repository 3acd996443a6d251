"""The programs of others that tests use: where they are, or why a test can't run."""

from __future__ import annotations

import functools
import os
import random
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

SHARED = pytest.StashKey[Path]()
"""The folder of what all workers of a run share."""

_chance = random.SystemRandom()
_ALSO_IN = [Path("/usr/sbin"), Path("/sbin")]
_NEEDS = {
    "docker": ("docker", "dockerd"),
    "podman": ("podman",),
    "skopeo": ("skopeo",),
    "buildah": ("buildah",),
    "docker-registry": ("docker-registry",),
    "postgresql": ("initdb", "postgres"),
    "redis": ("redis-server",),
    "nginx": ("nginx",),
    "haproxy": ("haproxy",),
    "own-names": ("unshare", "mount"),
    "namespaces": ("ip", "nsenter", "unshare", "mount"),
    "chromium": ("chromium",),
    "compose": ("docker-compose", "debootstrap"),
    "seaweedfs": ("weed",),
    "snapshots": ("mkfs.xfs", "mount", "losetup"),
    "ext4": ("mkfs.ext4",),
    "xfs": ("mkfs.xfs",),
    "btrfs": ("mkfs.btrfs",),
    "capabilities": ("setpriv",),
    "promtool": ("promtool",),
    "node": ("node",),
    "slapd": ("slapd", "slapadd"),
}
_NEED_ROOT = {"docker", "podman", "buildah", "own-names", "namespaces", "compose", "snapshots"}


@functools.cache
def find(program: str) -> Path | None:
    """The program, also where a person's PATH doesn't look."""
    found = shutil.which(program)
    if found:
        return Path(found)
    # What comes from a Python package lies beside the interpreter.
    beside = Path(sys.executable).parent / program
    if os.access(beside, os.X_OK):
        return beside
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    for folder in [*_ALSO_IN, *reversed(versions)]:
        if os.access(folder / program, os.X_OK):
            return folder / program
    return None


def missing(component: str) -> str:
    """Why tests that need `component` can't run here; empty where they can."""
    programs = [program for program in _NEEDS[component] if find(program) is None]
    if programs:
        return f"{component} is not installed ({', '.join(programs)} not found)"
    if component in _NEED_ROOT and os.geteuid() != 0:
        return f"{component} is run as root in these tests"
    return ""


def require(component: str) -> Path:
    """The first program of `component`. Skips the test, or fails it under ``REQUIRE_ALL=1``."""
    reason = missing(component)
    if reason:
        unavailable(reason, "run make test-packages")
    path = find(_NEEDS[component][0])
    assert path is not None
    return path


def unavailable(reason: str, advice: str = "") -> NoReturn:
    """Skip the test, or fail it under ``REQUIRE_ALL=1``."""
    if os.environ.get("REQUIRE_ALL") == "1":
        what = f"{reason}, and REQUIRE_ALL=1 is set"
        pytest.fail(f"{what}: {advice}" if advice else what, pytrace=False)
    pytest.skip(reason)


def free_port() -> int:
    """A port that nobody listens on.

    Below those that the kernel gives to connections: one of these could be taken by any connection
    before whoever asked listens on it.
    """
    while True:
        port = _chance.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
