"""``scripts/audit-requirements``: what an answer of the advisory service, or none, means.

The service is a module of the test's own in the place of pip-audit, with answers in pip-audit's
form.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engineless

SCRIPT = Path(__file__).parent.parent / "scripts" / "audit-requirements"
FINE = {"name": "fine", "version": "1", "vulns": []}
BAD = {
    "name": "bad",
    "version": "2",
    "vulns": [{"id": "CVE-2026-1", "fix_versions": ["3"], "aliases": [], "description": ""}],
}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found"}


def audit(folder: Path, printed: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script, with a pip-audit that prints this."""
    (folder / "pip_audit.py").write_text(f"print({printed!r})\n")
    return subprocess.run(
        [sys.executable, SCRIPT, "requirements.txt"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def answer(*dependencies: Any) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


def test_nothing_is_known(tmp_path: Path) -> None:
    ran = audit(tmp_path, answer(FINE), REQUIRE_AUDIT="1")
    assert ran.returncode == 0
    assert "1 packages were asked for" in ran.stdout
    assert ran.stderr == ""


@pytest.mark.parametrize("others", [[], [FINE], [UNKNOWN]])
def test_a_vulnerability_fails(tmp_path: Path, others: list[Any]) -> None:
    ran = audit(tmp_path, answer(BAD, *others))
    assert ran.returncode == 1
    assert "bad 2: CVE-2026-1, fixed in 3" in ran.stdout


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("no JSON: nobody could be reached", "can't be reached"),
        (answer(UNKNOWN, FINE), "no answer for 1 of 2"),
        (answer(), "no answer for 0 of 0"),
    ],
)
def test_no_answer_passes_and_is_said(tmp_path: Path, printed: str, reason: str) -> None:
    ran = audit(tmp_path, printed)
    assert ran.returncode == 0
    assert "NOT AUDITED" in ran.stderr
    assert reason in ran.stderr
    assert audit(tmp_path, printed, REQUIRE_AUDIT="1").returncode == 1


def test_without_pip_audit(tmp_path: Path) -> None:
    ran = audit(tmp_path, "", AUDIT_PYTHON=str(tmp_path / "nowhere"))
    assert ran.returncode == 0
    assert "can't be reached" in ran.stderr
