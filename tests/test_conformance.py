"""docs/conformance.md can't rot: every test that it names exists, every address is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from registry.errors import Code
from registry.gitlab_v1.urls import urlpatterns

pytestmark = pytest.mark.engineless

PROJECT = Path(__file__).resolve().parent.parent
TEXT = (PROJECT / "docs" / "conformance.md").read_text()
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", TEXT)))
ENDPOINTS = [
    "end-1", "end-2", "end-3", "end-4a", "end-4b", "end-4c", "end-5", "end-6", "end-7a", "end-7b",
    "end-8a", "end-8b", "end-9", "end-10", "end-11", "end-12a", "end-12b", "end-13", "end-14",
]  # fmt: skip
_SPECIFIED = frozenset(
    [
        "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID",
        "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
    ]
)  # fmt: skip
"""OCI distribution 1.1, "Error Codes"."""


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_is_named_exists(file: str) -> None:
    found = list((PROJECT / "tests").rglob(file))
    assert found, f"there is no {file}"
    text = "\n".join(path.read_text() for path in found)
    missing = [name for at, name in NAMED if at == file and f"def {name}(" not in text]
    assert not missing, f"{file} has no {', '.join(missing)}"


def test_everything_in_the_last_column_is_a_test() -> None:
    rows = [row for row in TEXT.splitlines() if row.startswith("|") and "::" in row]
    for row in rows:
        proof = row.rstrip(" |").rpartition(" | ")[2]
        rest = re.sub(r"`test_\w+\.py::test_\w+`", "", proof)
        assert not rest.strip(), row
    assert len(rows) > 70


def test_every_endpoint_of_the_specification_is_there_once() -> None:
    assert re.findall(r"^\| (end-\w+) \|", TEXT, re.MULTILINE) == ENDPOINTS


@pytest.mark.parametrize("route", [str(pattern.pattern) for pattern in urlpatterns[:-1]])
def test_every_address_of_gitlabs_api_is_there(route: str) -> None:
    assert "/" + re.sub(r"<\w+:(\w+)>", r"<\1>", route) in TEXT


def test_codes_beyond_the_specifications_are_dockers() -> None:
    further = {code.name for code in Code if code.status < 500} - _SPECIFIED
    assert further == {"RANGE_INVALID", "TAG_INVALID", "PAGINATION_NUMBER_INVALID"}
    assert {code.name for code in Code} >= _SPECIFIED
    for code in Code:
        assert re.fullmatch(r"[A-Z_]+", code.name)
        assert f"`{code.name}`" in TEXT or code.name in _SPECIFIED


def test_no_warnings_are_sent() -> None:
    sources = [path.read_text() for path in (PROJECT / "registry").rglob("*.py")]
    assert not [text for text in sources if re.search(r"""["']Warning["']""", text)]
