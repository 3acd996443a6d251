"""The units in ``deploy/systemd`` as systemd itself reads them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.installation import PROJECT

pytestmark = [pytest.mark.system, pytest.mark.engineless]

UNITS = PROJECT / "deploy" / "systemd"


def test_the_units_are_valid(tmp_path: Path) -> None:
    """With our own folder and interpreter in place of /opt/berth, which systemd looks for."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    for unit in UNITS.iterdir():
        text = unit.read_text()
        text = text.replace("/opt/berth/.venv/bin/python", sys.executable)
        (tmp_path / unit.name).write_text(text)
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(str(path) for path in tmp_path.iterdir())],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    said = [
        line
        for line in (ran.stdout + ran.stderr).splitlines()
        if str(tmp_path) in line or "berth" in line
    ]
    assert not said


def test_they_run_what_the_procfile_runs() -> None:
    commands = [
        line.partition(": ")[2].partition("python ")[2]
        for line in (PROJECT / "Procfile").read_text().splitlines()
    ]
    units = "\n".join(unit.read_text() for unit in UNITS.iterdir())
    for command in commands:
        assert command.partition(" -m ")[2] in units or command in units
