"""docs/clients.md names tests that are there and clients that are known."""

from __future__ import annotations

import re

import pytest

from tests.e2e import versions
from tests.e2e.installation import PROJECT

pytestmark = pytest.mark.engineless

PAGE = PROJECT / "docs" / "clients.md"
FOLDER = PROJECT / "tests" / "e2e"


def test_every_test_that_is_named_is_there() -> None:
    file = ""
    missing = []
    named = re.findall(r"`(test_\w+\.py)?::(test_\w+)`", PAGE.read_text())
    assert len(named) > 30
    for given, name in named:
        file = given or file
        if not re.search(rf"^def {name}\(", (FOLDER / file).read_text(), re.MULTILINE):
            missing.append(f"{file}::{name}")
    assert not missing


def test_every_client_has_a_line() -> None:
    page = PAGE.read_text()
    for client, version in versions.installed().items():
        print(f"{client} {version}")
        assert re.search(rf"^\| .*\b{client}\b.* \| .*\d+\.\d+", page, re.MULTILINE), client
