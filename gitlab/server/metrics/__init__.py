"""Numbers for Prometheus from the web and registry processes, at ``/-/metrics``.

The worker's are in `workers.measures`.

A process counts into files below ``HOME/metrics/<kind>``, one of its own each, and whichever
process is asked adds them up. Nothing is counted where nobody has called `use_folder` first: in
commands and tests the numbers stay in memory.
"""

from __future__ import annotations

import shutil
from pathlib import Path

shared: list[Path] = []
"""The folder in use, where there is one."""


def folder(home: Path, kind: str) -> Path:
    """Where the processes of a kind count: ``web`` or ``registry``."""
    return home / "metrics" / kind


def file_of_worker(home: Path) -> Path:
    """Where the worker leaves its numbers for the web process of its node."""
    return home / "metrics" / "worker.prom"


def use_folder(home: Path, kind: str) -> dict[str, str]:
    """Let this process and its children count together; the environment that this takes.

    It has to be set before prometheus_client is imported.
    """
    shared[:] = [folder(home, kind)]
    return {"PROMETHEUS_MULTIPROC_DIR": str(shared[0])}


def empty_folder(home: Path, kind: str) -> None:
    """What processes that are gone have counted starts again at zero."""
    path = folder(home, kind)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, mode=0o700)


def forget(pid: int) -> None:
    """A process has ended: what it was at is over. What it has counted stays."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(pid)
