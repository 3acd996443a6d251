"""Every case of `tests/data/bad-inputs.json` against gunicorn, as deployed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_inputs.attacks import Forge
from tests.bad_inputs.bench import Bench
from tests.bad_inputs.checks import CHECKS
from tests.bad_inputs.exceptions import EXPECTED_TO_FAIL, OTHERWISE
from tests.bad_inputs.server import Node

pytestmark = pytest.mark.xdist_group("bad-inputs")

DATA = Path(__file__).resolve().parent.parent / "data" / "bad-inputs.json"
CASES: dict[str, Any] = {case["id"]: case for case in json.loads(DATA.read_text())["cases"]}
_LAST = ("AUTH-069", "AUTH-070", "HTTP-025", "HTTP-026", "DIG-023")
"""They leave something behind, or make the server wait."""
_BEFORE_ROWS = re.compile(r"HTTP-|METH-|JWT-0[0-5]")
"""Refused for the form of the request, its method or its token, before any row is asked for. The
others of HTTP's are those that make the server wait, which may keep connections to a database."""


def _marks(name: str) -> Iterator[pytest.MarkDecorator]:
    if name in EXPECTED_TO_FAIL:
        yield pytest.mark.xfail(reason=EXPECTED_TO_FAIL[name], strict=True)
    if _BEFORE_ROWS.match(name) and name not in _LAST:
        yield pytest.mark.engineless


def _parameters() -> list[Any]:
    names = [name for name in CASES if name not in _LAST] + list(_LAST)
    return [pytest.param(name, marks=list(_marks(name))) for name in names]


@pytest.mark.parametrize("name", _parameters())
def test_case(node: Node, forge: Forge, name: str) -> None:
    Bench(node, forge, CASES, name).run()


def test_memory_stays_small(node: Node) -> None:
    """After all of it: the registry's worker has grown by less than 32 MiB since its first
    request.
    """
    assert node.rss("registry") - node.rss_at_start < 32 * 1024 * 1024


def test_nothing_waits_on_disk_but_sessions_that_are_open(node: Node) -> None:
    """Every part belongs to a session that a client could still finish."""
    known = {str(row[0]).replace("-", "") for row in node.rows(
        "registry", "SELECT id FROM registry_uploadsession WHERE committed_digest = ''"
    )}  # fmt: skip
    uploads = node.home / "registry" / "uploads"
    found = {path.parent.name.replace("-", "") for path in uploads.rglob("*") if path.is_file()}
    assert found <= known


def test_every_sentence_of_the_catalogue_is_checked() -> None:
    sentences = {
        check
        for case in CASES.values()
        for check in case["expect"]["checks"]
        if not check.startswith("answer_under_ms:")
    }
    assert sentences <= set(CHECKS)
    assert set(EXPECTED_TO_FAIL) | set(OTHERWISE) <= set(CASES)
