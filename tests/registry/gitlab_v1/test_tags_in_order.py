"""Tags as versions are ordered, by the age of their images, and those that match."""

from __future__ import annotations

import itertools
import json
import re
from importlib import import_module
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from django.apps import apps
from django.db import connections

from registry.errors import Code
from registry.models import Tag
from registry.services import tag_filters, tags
from registry.tag_order import MAX_LENGTH, sort_key
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person

pytestmark = pytest.mark.django_db(databases=["registry"])
LIST = f"/gitlab/v1/repositories/{APP}/tags/list/"
VERSIONS = [
    "1.2",
    "1.2.0",
    "1.2.3",
    "1.2.10",
    "1.10",
    "2",
    "10",
    "latest",
    "v1",
    "v01",
    "v9",
    "v10",
]


def names(person: Person, query: str) -> list[str]:
    """All names in their order, by pages of two."""
    found, path = [], f"{LIST}?n=2&{query}"
    while path:
        response = person.send("GET", path)
        assert response.status_code == 200, response.content
        found.append([tag["name"] for tag in response.json()])
        link = re.search(r'<([^>]*)>; rel="next"', response.headers.get("Link", ""))
        path = link[1] if link else ""
    return list(itertools.chain(*found))


@pytest.mark.engineless
def test_keys_have_the_order_of_versions() -> None:
    keyed = sorted(VERSIONS, key=lambda name: (sort_key(name), name))
    # Of one key by name, as bytes.
    assert keyed == [*VERSIONS[:8], "v01", "v1", *VERSIONS[10:]]
    assert len(sort_key("1a" * 64)) <= MAX_LENGTH
    assert sort_key("0") == sort_key("000")
    assert sort_key("9" * 128) > sort_key("1" + "0" * 120)


def test_pages_by_version(carol: Person) -> None:
    for name in ("v9", "v10", "latest", "v1", "v01", "v2-rc10", "v2-rc9"):
        images.push_image(APP, name)
    ordered = ["latest", "v01", "v1", "v2-rc9", "v2-rc10", "v9", "v10"]
    assert names(carol, "sort=version") == ordered
    assert names(carol, "sort=-version") == ordered[::-1]
    back = carol.send("GET", f"{LIST}?sort=version&n=3&before=v10")
    assert [tag["name"] for tag in back.json()] == ["v2-rc9", "v2-rc10", "v9"]
    tags.delete(APP, "v2-rc9", images.ALICE)
    assert names(carol, "sort=version&last=v2-rc9") == ["v2-rc10", "v9", "v10"]


def test_pages_by_age_of_the_image(carol: Person) -> None:
    """One that does not say when it was made is as old as its push."""
    for name, created in [("b", "2024-05-01T00:00:00Z"), ("a", "2025-05-01T00:00:00Z"), ("c", "")]:
        config = json.dumps({"created": created, "name": name}).encode()
        images.push_image(APP, name, config=config)
    assert names(carol, "sort=created_at") == ["b", "a", "c"]
    assert names(carol, "sort=-created_at") == ["c", "a", "b"]


def test_by_pattern_and_platform(carol: Person) -> None:
    for name, architecture in [("v1", "amd64"), ("v2", "arm64"), ("v10", "arm64"), ("x", "arm64")]:
        config = json.dumps({"os": "linux", "architecture": architecture, "n": name}).encode()
        images.push_image(APP, name, config=config)
    everywhere = [
        *_with("sort=version"),
        *_with("sort=-published_at"),
        *_with("sort=last_pulled_at"),
    ]
    for query, wanted in everywhere:
        assert sorted(names(carol, query)) == sorted(wanted)
    assert names(carol, f"sort=-version&pattern={quote('v[0-9]+')}") == ["v10", "v2", "v1"]


def _with(order: str) -> list[tuple[str, list[str]]]:
    return [
        (f"{order}&pattern={quote('v[0-9]+')}", ["v1", "v2", "v10"]),
        # A whole name, as deletions in bulk have it.
        (f"{order}&pattern=1", []),
        (f"{order}&platform=linux/arm64", ["v2", "v10", "x"]),
        (f"{order}&platform=linux", ["v1", "v2", "v10", "x"]),
        (f"{order}&platform=linux/arm", []),
        (f"{order}&platform=linux/arm64&name=v&pattern={quote('v[0-9]')}", ["v2"]),
    ]


@pytest.mark.parametrize("sort", ["version", "-version", "last_pulled_at"])
def test_a_walk_ends_and_its_link_goes_on(
    carol: Person, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    """Of what is rare a page may be empty, and the next one begins where nobody has looked."""
    image = images.push_image(APP, "t0")
    for number in range(1, 30):
        _also(image.digest, f"t{number}")
    monkeypatch.setattr(tag_filters, "MOST", 4)
    monkeypatch.setattr(tag_filters, "_FIRST", 4)
    assert names(carol, f"sort={sort}&pattern=t17") == ["t17"]
    first = carol.send("GET", f"{LIST}?n=2&sort={sort}&pattern=t17")
    assert first.json() == []
    back = carol.send("GET", f"{LIST}?n=2&sort={sort}&pattern=t17&before=t15")
    assert 'rel="previous"' in back.headers["Link"] or back.json()


def _also(digest: str, name: str) -> None:
    there = Tag.objects.get(digest=digest, name="t0", ended_at=None)
    Tag.objects.create(
        repository_id=there.repository_id,
        name=name,
        sort_key=sort_key(name),
        manifest_id=there.manifest_id,
        digest=digest,
    )


@pytest.mark.parametrize("pattern", ["(", "x" * 300, "a{1000}{1000}"])
def test_what_is_no_pattern_is_refused(carol: Person, pattern: str) -> None:
    images.push_image(APP, "v1")
    response = carol.send("GET", f"{LIST}?pattern={quote(pattern)}")
    assert_refused(response, Code.UNSUPPORTED, 400)


def test_tags_of_the_version_before_are_given_their_place(carol: Person) -> None:
    config = json.dumps({"created": "2024-05-01T00:00:00Z"}).encode()
    images.push_image(APP, "v9", config=config)
    images.push_image(APP, "v10")
    pushed = dict(Tag.objects.values_list("name", "dated_at"))
    Tag.objects.update(sort_key="", dated_at="2000-01-01T00:00:00Z")
    migration = import_module("registry.migrations.0019_tags_in_order")
    for _ in range(2):
        migration.fill(apps, SimpleNamespace(connection=connections["registry"]))
    assert dict(Tag.objects.values_list("name", "sort_key")) == {"v9": "v019", "v10": "v0210"}
    found = dict(Tag.objects.values_list("name", "dated_at"))
    assert found["v9"] == pushed["v9"]
    assert found["v10"] == Tag.objects.get(name="v10").started_at
