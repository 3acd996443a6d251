"""Prints the clients that tests drive, with their versions: ``python -m tests.e2e.versions``."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess

from tests.e2e.components import find

PROGRAMS = ("docker", "dockerd", "podman", "buildah", "skopeo")
_NUMBER = re.compile(r"\d+\.\d+(?:\.\d+)*")


def installed() -> dict[str, str]:
    """The version of each client, ``-`` where it is not installed."""
    found = {program: _version(program) for program in PROGRAMS}
    return {**found, "oras-py": importlib.metadata.version("oras")}


def _version(program: str) -> str:
    path = find(program)
    if path is None:
        return "-"
    printed = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    number = _NUMBER.search(printed)
    return number[0] if number else printed.strip()


if __name__ == "__main__":
    for name, version in installed().items():
        print(f"{name:10} {version}")
