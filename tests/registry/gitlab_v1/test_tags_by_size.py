"""Tags in the order of their size: kept on the tag's own row, so that an index has the order."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from registry.errors import Code
from registry.models import Tag
from registry.services import manifests, tags, undo
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person

pytestmark = pytest.mark.django_db(databases=["registry"])
LIST = f"/gitlab/v1/repositories/{APP}/tags/list/"
SIZES = {"e": 10, "a": 500, "c": 30, "b": 500, "d": 7, "f": 30}
BY_SIZE = ["d", "e", "c", "f", "a", "b"]
"""Of the same size those come first that were pushed first."""


@pytest.fixture
def many() -> None:
    for name, size in SIZES.items():
        images.push_image(APP, name, config=b"{}", layers=[images.content(size)])


def sizes_agree() -> bool:
    """Whether each open tag has its manifest's size."""
    found = Tag.objects.filter(ended_at=None).values_list("size", "manifest__content_size")
    return all(ours == theirs for ours, theirs in found)


def walk(person: Person, path: str, relation: str) -> list[list[str]]:
    """The names on this page and those that its links lead to."""
    pages = []
    while path:
        response = person.send("GET", path)
        pages.append([tag["name"] for tag in response.json()])
        found = re.search(rf'<([^>]*)>; rel="{relation}"', response.headers.get("Link", ""))
        path = found[1] if found else ""
    return pages


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("sort", ["size_bytes", "-size_bytes"])
@pytest.mark.parametrize("n", [1, 2, 5, 6, 100])
def test_pages_both_ways(carol: Person, sort: str, n: int) -> None:
    expected = BY_SIZE if sort == "size_bytes" else BY_SIZE[::-1]
    pages = walk(carol, f"{LIST}?sort={sort}&n={n}", "next")
    assert list(itertools.chain(*pages)) == expected
    assert all(len(page) <= n for page in pages)
    last = expected[-1]
    back = walk(carol, f"{LIST}?sort={sort}&n={n}&before={last}", "previous")
    assert list(itertools.chain(*reversed(back))) == expected[:-1]


@pytest.mark.usefixtures("many")
def test_a_marker_that_has_gone_keeps_its_place(carol: Person) -> None:
    tags.delete(APP, "c", images.ALICE)
    found = walk(carol, f"{LIST}?sort=size_bytes&last=c", "next")
    assert found == [["f", "a", "b"]]


@pytest.mark.usefixtures("many")
def test_by_exact_name(carol: Person) -> None:
    images.push_image(APP, "aa")
    assert walk(carol, f"{LIST}?name_exact=a", "next") == [["a"]]
    assert walk(carol, f"{LIST}?name_exact=A", "next") == [[]]
    assert walk(carol, f"{LIST}?name=a&n=1", "next") == [["a"], ["aa"]]


@pytest.mark.usefixtures("many")
def test_a_tag_that_moves_has_the_new_size() -> None:
    images.push_image(APP, "a", config=b"{}", layers=[images.content(9)])
    assert Tag.objects.get(name="a", ended_at=None).size == 11
    assert Tag.objects.get(name="a", ended_at__isnull=False).size == 502
    assert sizes_agree()


@pytest.mark.usefixtures("many")
def test_what_comes_back_has_its_size() -> None:
    past = Tag.objects.get(name="a")
    tags.delete(APP, "a", images.ALICE)
    undo.restore_tags(APP, [past.pk], images.ALICE)
    assert Tag.objects.get(name="a", ended_at=None).size == 502
    digest = Tag.objects.get(name="b").digest
    manifests.delete(APP, digest, images.ALICE)
    undo.restore_manifest(APP, digest, images.ALICE)
    assert Tag.objects.get(name="b", ended_at=None).size == 502


def test_an_index_grows_with_its_children() -> None:
    """A sparse index: one of its children is pushed after it, and it once more."""
    here = images.push_image(APP, None, config=b"{}", layers=[images.content(100)])
    layer = images.content(50)
    later = images.document(b"{}", [layer])
    payload = images.encoded(later)
    missing = {
        "mediaType": later["mediaType"],
        "digest": images.digests.of(payload, "sha256"),
        "size": len(payload),
    }
    index = images.push_index(APP, "multi", [here.descriptor, missing])
    images.push_manifest(APP, "other", json.loads(index.payload))
    assert set(Tag.objects.values_list("size", flat=True)) == {102}
    images.push_blob(APP, layer)
    images.push_manifest(APP, None, later)
    images.push_manifest(APP, "multi", json.loads(index.payload))
    assert set(Tag.objects.values_list("size", flat=True)) == {152}
    assert sizes_agree()


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("sort", ["size", "size_bytes,name", "--size_bytes", "Size_bytes"])
def test_odd_orders_are_refused(carol: Person, sort: str) -> None:
    assert_refused(carol.send("GET", f"{LIST}?sort={sort}"), Code.UNSUPPORTED, 400)


# Referrers


def types(tag: dict[str, Any]) -> list[str]:
    return sorted(referrer["artifactType"] for referrer in tag["referrers"])


@pytest.fixture
def signed() -> dict[str, images.Image]:
    """Three tags; the first with a signature and two SBOMs, the second with a signature."""
    made = {name: images.push_image(APP, name) for name in ("v1", "v2", "v3")}
    for kind in ("a/signature", "a/sbom", "a/sbom"):
        images.push_artifact(APP, made["v1"], kind)
    images.push_artifact(APP, made["v2"], "a/signature")
    return made


@pytest.mark.usefixtures("signed")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("referrers=true", [["a/sbom", "a/sbom", "a/signature"], ["a/signature"], []]),
        ("referrers=true&referrer_type=a/sbom", [["a/sbom", "a/sbom"], [], []]),
        ("referrers=true&referrer_type=a/signature,a/other", [["a/signature"], ["a/signature"], []]),
        ("referrers=true&referrer_type=none", [[], [], []]),
    ],
)  # fmt: skip
def test_referrers(carol: Person, query: str, expected: list[list[str]]) -> None:
    assert [types(tag) for tag in carol.send("GET", f"{LIST}?{query}").json()] == expected


def test_their_shape(carol: Person, signed: dict[str, images.Image]) -> None:
    artifact = images.push_artifact(APP, signed["v3"], "a/signature")
    tag = carol.send("GET", f"{LIST}?referrers=true").json()[2]
    assert tag["referrers"] == [{"artifactType": "a/signature", "digest": artifact.digest}]
    manifests.delete(APP, artifact.digest, images.ALICE)
    assert carol.send("GET", f"{LIST}?referrers=true").json()[2]["referrers"] == []


@pytest.mark.usefixtures("signed")
def test_they_are_there_only_where_asked_for(carol: Person) -> None:
    for query in ("", "?referrers=false", "?referrer_type=a/sbom"):
        assert all("referrers" not in tag for tag in carol.send("GET", LIST + query).json())
    assert_refused(carol.send("GET", f"{LIST}?referrers=1"), Code.UNSUPPORTED, 400)


@pytest.mark.usefixtures("signed")
def test_the_wish_travels_with_the_pages(carol: Person) -> None:
    response = carol.send("GET", f"{LIST}?referrers=true&referrer_type=a/sbom&n=1")
    found = re.search(r"<([^>]*)>", response.headers["Link"])
    assert found
    assert [types(tag) for tag in carol.send("GET", found[1]).json()] == [[]]


@pytest.mark.usefixtures("signed")
def test_those_of_another_repository_are_not_shown(
    carol: Person, signed: dict[str, images.Image]
) -> None:
    images.push_artifact("acme/other", signed["v3"], "a/secret")
    assert carol.send("GET", f"{LIST}?referrers=true").json()[2]["referrers"] == []


def test_a_query_for_all(carol: Person, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        images.push_artifact(APP, images.push_image(APP, f"v{number}"), "a/signature")
    with django_assert_max_num_queries(1 + 4, using="registry"):  # First: revocations.
        found = carol.send("GET", f"{LIST}?referrers=true").json()
    assert [len(tag["referrers"]) for tag in found] == [1] * 20


def test_so_many_at_most(
    carol: Person, signed: dict[str, images.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.services import tag_details

    monkeypatch.setattr(tag_details, "MAX_REFERRERS", 2)
    found = carol.send("GET", f"{LIST}?referrers=true").json()
    assert [len(tag["referrers"]) for tag in found] == [2, 1, 0]
