"""The short list of tags that cleanups ask for."""

from __future__ import annotations

import datetime as dt
import json
import time
from typing import Any

import pytest

from registry.errors import Code
from registry.models import Counting
from registry.services import manifests, pull_counts, tag_ages, tags
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tokens.verify import Claims

pytestmark = pytest.mark.django_db(databases=["registry"])
ADDRESS = f"/gitlab/v1/berth/ages/{APP}/"


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [tag[0] for tag in answer.json()["tags"]]


def test_it_works(carol: Person) -> None:
    config = json.dumps({"created": "2024-02-03T04:05:06Z"}).encode()
    image = images.push_image(APP, "v1", config=config)
    images.push_image(APP, "gone")
    tags.delete(APP, "gone", images.ALICE)
    ((name, digest, size, created, published, pulled),) = carol.send("GET", ADDRESS).json()["tags"]
    assert pulled is None
    assert (name, digest, created) == ("v1", image.digest, "2024-02-03T04:05:06.000+00:00")
    assert size > 100
    assert abs(dt.datetime.fromisoformat(published).timestamp() - time.time()) < 600
    images.push_image(APP, "v1")
    assert carol.send("GET", ADDRESS).json()["tags"][0][3] is None


def test_when_each_was_pulled_last(carol: Person) -> None:
    """By whatever reference, and since when that is counted."""
    image = images.push_image(APP, "v1")
    images.push_image(APP, "v2")
    claims = Claims("bob", (), 0.0, "id", auth_type="build")
    pull_counts.note(claims, manifests.find(APP, image.digest), image.digest)
    assert pull_counts.flush()
    body = carol.send("GET", ADDRESS).json()
    (_, never), (pulled, last) = sorted((tag[0], tag[5]) for tag in body["tags"])[::-1]
    assert (pulled, never) == ("v1", None)
    assert abs(dt.datetime.fromisoformat(last).timestamp() - time.time()) < 600
    since = Counting.objects.get(name="pulls").since
    assert dt.datetime.fromisoformat(body["pulls_counted_since"]) <= since


def test_by_pages(carol: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    image = images.push_image(APP, "b")
    for name in ("a", "B", "a-1", "c"):
        images.push_manifest(APP, name, json.loads(image.payload))
    answer = carol.send("GET", f"{ADDRESS}?n=2")
    assert names(answer) == ["B", "a"]
    assert 'last=a>; rel="next"' in answer.headers["Link"]
    answer = carol.send("GET", f"{ADDRESS}?n=9&last=a")
    assert names(answer) == ["a-1", "b", "c"]
    assert "Link" not in answer.headers
    monkeypatch.setattr(tag_ages, "MAX_PAGE", 3)
    for query in ("", "?n=100000", "?n=99999", "?n=x", "?n="):
        assert len(names(carol.send("GET", ADDRESS + query))) == 3
    assert len(names(carol.send("GET", f"{ADDRESS}?n=0"))) == 1


def test_it_refuses(carol: Person, mallory: Person, nobody: Person) -> None:
    images.push_image(APP, "v1")
    assert_challenged(nobody.send("GET", ADDRESS), f"repository:{APP}:pull")
    assert mallory.send("GET", ADDRESS).status_code == 401
    assert_refused(carol.send("GET", "/gitlab/v1/berth/ages/acme/none/"), Code.NAME_UNKNOWN)
    assert carol.send("POST", ADDRESS).status_code == 405
