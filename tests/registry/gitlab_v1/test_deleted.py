"""Deleted tags that can be brought back, at and below a path."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from registry.errors import Code
from registry.services import manifests, repositories, tags, undo
from registry.services.garbage import collection as garbage
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import Person

pytestmark = pytest.mark.django_db(databases=["registry"])
LIST = "/gitlab/v1/berth/deleted-tags/acme/app/"


def names(person: Person, query: str = "") -> list[tuple[str, str]]:
    answer = person.send("GET", LIST + query)
    assert answer.status_code == 200
    return [(tag["path"], tag["name"]) for tag in answer.json()]


def test_it_works(carol: Person, clock: Any) -> None:
    first = images.push_image("acme/app", "v1")
    for path, tag in [("acme/app", "kept"), ("acme/app/web", "v2"), ("acme/app-x", "v1")]:
        images.push_image(path, tag)
    tags.delete("acme/app", "v1", images.ALICE)
    clock.advance(hours=1)
    tags.delete("acme/app/web", "v2", images.ALICE)
    tags.delete("acme/app-x", "v1", images.ALICE)
    assert names(carol) == [("acme/app/web", "v2"), ("acme/app", "v1")]
    assert names(carol, "?n=1") == [("acme/app/web", "v2")]
    found = carol.send("GET", LIST).json()[1]
    assert found["digest"] == first.digest
    assert found["deleted_by"] == "alice"
    assert found["size_bytes"] > 0
    until, at = (dt.datetime.fromisoformat(found[key]) for key in ("until", "deleted_at"))
    assert until - at == dt.timedelta(days=7)


def test_what_comes_back_is_listed_no_more(alice: Person, carol: Person) -> None:
    images.push_image("acme/app", "v1")
    images.push_image("acme/app", "v1")
    assert names(carol) == []  # Moved, and so not deleted.
    tags.delete("acme/app", "v1", images.ALICE)
    (found,) = carol.send("GET", LIST).json()
    assert undo.restore_tags("acme/app", [found["interval"]], images.ALICE) == ["v1"]
    assert names(carol) == []


def test_a_manifest_takes_its_tags_along(carol: Person) -> None:
    image = images.push_image("acme/app", "v1")
    manifests.delete("acme/app", image.digest, images.ALICE)
    assert names(carol) == [("acme/app", "v1")]


def test_what_is_over_is_listed_no_more(carol: Person, clock: Any) -> None:
    images.push_image("acme/app", "v1")
    images.push_image("acme/app", "v2")
    tags.delete("acme/app", "v1", images.ALICE)
    clock.advance(days=6)
    assert names(carol) == [("acme/app", "v1")]
    clock.advance(days=2)
    assert names(carol) == []
    garbage.review(100)
    assert names(carol) == []


def test_a_deleted_repository_is_not_told_of(carol: Person) -> None:
    images.push_image("acme/app", "v1")
    tags.delete("acme/app", "v1", images.ALICE)
    repositories.close("acme/app", images.ALICE)
    assert names(carol) == []


def test_it_refuses(carol: Person, mallory: Person, nobody: Person) -> None:
    assert_challenged(nobody.send("GET", LIST), "repository:acme/app:pull")
    assert mallory.send("GET", LIST).status_code == 401
    assert_refused(carol.send("GET", f"{LIST}?n=x"), Code.PAGINATION_NUMBER_INVALID)
    assert carol.send("POST", LIST).status_code == 405
