"""``GET /gitlab/v1/usage/``: what quotas are held against."""

from __future__ import annotations

import pytest

from registry.errors import Code
from registry.services import usage
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person

pytestmark = pytest.mark.django_db(databases=["registry"])

OWN = Person(None, (), own=True)


def test_it_says_what_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    images.push_blob(APP, b"x" * 50)
    images.push_blob("acme/other", b"x" * 50)
    images.push_blob("globex/app", b"y")
    found = OWN.send("GET", f"/gitlab/v1/usage/?path=acme&path={APP}&path=nothing").json()
    assert found == [
        {
            "path": path,
            "size_bytes": size,
            "blobs_count": blobs,
            "repositories_count": repositories,
            "counted": True,
        }
        for path, size, blobs, repositories in (
            ("acme", 50, 1, 2),
            (APP, 50, 1, 1),
            ("nothing", 0, 0, 0),
        )
    ]
    monkeypatch.setattr(usage, "AT_ONCE", 1)
    (large,) = OWN.send("GET", "/gitlab/v1/usage/?path=acme").json()
    assert (large["counted"], large["repositories_count"]) == (False, 2)


def test_it_refuses(alice: Person) -> None:
    assert_refused(alice.send("GET", "/gitlab/v1/usage/?path=acme"), Code.UNAUTHORIZED)
    for query in ("", "?" + "&".join(f"path=a{n}" for n in range(101)), "?path=A"):
        assert OWN.send("GET", f"/gitlab/v1/usage/{query}").status_code == 400
