"""end-8a, 8b: the tags of a repository, by pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from registry.errors import Code
from registry.services import repositories
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

LIST = f"/v2/{APP}/tags/list"
NAMES = ["1.0", "A", "B", "Z_", "_x", "a", "a-b", "a.b", "a_b", "ab", "latest", "z"]
"""In byte order, which no language has."""


@pytest.fixture
def tags() -> None:
    """The app with many tags, pushed in another order, and one that has been deleted."""
    image = images.push_image(APP, "gone")
    for name in reversed(NAMES):
        images.push_manifest(APP, name, images.json.loads(image.payload))
    from registry.services import tags as service

    service.delete(APP, "gone", images.ALICE)


@pytest.mark.usefixtures("tags")
def test_it_works_in_byte_order(carol: Person) -> None:
    response = carol.send("GET", LIST)
    assert response.json() == {"name": APP, "tags": NAMES}
    assert "Link" not in response.headers
    assert response.headers["Content-Type"].startswith("application/json")


@pytest.mark.usefixtures("tags")
@pytest.mark.parametrize("n", [1, 5, 11, 12, 13])
def test_pages_lead_through_everything(carol: Person, n: int) -> None:
    found, path = [], f"{LIST}?n={n}"
    while path:
        response = carol.send("GET", path)
        page = response.json()["tags"]
        assert 0 < len(page) <= n
        found += page
        link = response.headers.get("Link", "")
        assert link.startswith("</v2/") or not link
        assert 'rel="next"' in link or not link
        path = link.partition(">")[0].lstrip("<")
    assert found == NAMES


@pytest.mark.usefixtures("tags")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("last=a", NAMES[6:]),
        ("last=a&n=2", NAMES[6:8]),
        ("last=aa", NAMES[9:]),
        ("last=z", []),
        ("last=zz", []),
        ("last=", NAMES),
        ("n=", NAMES),
        ("n=0", []),
        ("n=1000000", NAMES),
        (f"n={2**63}", NAMES),
        ("n=1&last=" + "z" * 4000, []),
        ("last=%00", NAMES),
        ("last=%00a%00", NAMES[6:]),
        ("last=%F0%9F%90%B3", []),
        ("last=%FF", []),
        ("last=%ED%A0%80", []),
        ("last=" + quote("' OR 1=1 --"), NAMES),
        ("ns=zeta/secret&unknown=1", NAMES),
    ],
)
def test_parameters(carol: Person, query: str, expected: list[str]) -> None:
    response = carol.send("GET", f"{LIST}?{query}")
    assert response.status_code == 200
    assert response.json()["tags"] == expected


@pytest.mark.usefixtures("tags")
def test_a_page_of_nothing_has_no_link(carol: Person) -> None:
    assert "Link" not in carol.send("GET", f"{LIST}?n=0").headers


@pytest.mark.usefixtures("tags")
def test_a_page_has_a_maximum(carol: Person, settings: Any) -> None:
    settings.REGISTRY_MAX_PAGE = 3
    for query in ("", "?n=10"):
        response = carol.send("GET", LIST + query)
        assert len(response.json()["tags"]) == 3
        assert "n=3" in response.headers["Link"]


@pytest.mark.parametrize("n", ["-1", "1.5", "x", "1e3", "%EF%BC%91", "0x10", "1" * 30, "%00", "+1"])
def test_it_refuses_odd_numbers(carol: Person, n: str) -> None:
    images.push_image(APP, "v1")
    response = carol.send("GET", f"{LIST}?n={n}")
    assert_refused(response, Code.PAGINATION_NUMBER_INVALID)


def test_head_says_what_get_says(carol: Person) -> None:
    images.push_image(APP, "v1")
    got, head = carol.send("GET", LIST), carol.send("HEAD", LIST)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_a_repository_without_tags_has_an_empty_list(carol: Person) -> None:
    images.push_image(APP, None)
    assert carol.send("GET", LIST).json() == {"name": APP, "tags": []}


def test_it_refuses_an_unknown_repository(carol: Person) -> None:
    assert_refused(carol.send("GET", LIST), Code.NAME_UNKNOWN)
    images.push_image(APP, "v1")
    repositories.close(APP, images.ALICE)
    assert_refused(carol.send("GET", LIST), Code.NAME_UNKNOWN)


def test_too_many_parameters_are_refused_in_the_protocols_form(carol: Person) -> None:
    response = carol.send("GET", f"{LIST}?" + "a&" * 2000)
    assert response.status_code == 400
    assert_refused(response, Code.UNSUPPORTED, 400)


@pytest.mark.parametrize(
    "name",
    ["Acme/app", "acme//app", "-acme/app", "acme/app-", "acme/a___b", "acme/_x", "acme/../x",
     "acme/app%0a", "acme/%00", "a" * 256, "acme/%C3%A9", "acme/a%D9%A1", "acme%5Capp", "acme/a..b",
     "acme/%F0%9F%90%B3", "acme/%FF", "acme/" + "a-" * 120 + "!"],
)  # fmt: skip
def test_it_refuses_malformed_names(nobody: Person, name: str) -> None:
    assert_refused(nobody.send("GET", f"/v2/{name}/tags/list"), Code.NAME_INVALID)


@pytest.mark.parametrize("name", ["a", "a/b/c/d/e", "a.b/c__d/e---f", "0/1", "a" * 255])
def test_it_takes_every_well_formed_name(carol: Person, name: str) -> None:
    images.push_image(name, "v1")
    assert carol.send("GET", f"/v2/{name}/tags/list").json()["tags"] == ["v1"]


@pytest.mark.parametrize("name", ["acme/blobs/uploads", "acme/manifests", "tags/list", "v2/tags"])
def test_names_that_look_like_addresses_work(carol: Person, name: str) -> None:
    image = images.push_image(name, "list")
    token = mint("carol", Access.repository(name, "pull"))
    response = carol.send("GET", f"/v2/{name}/tags/list", token=token)
    assert response.json()["tags"] == ["list"]
    response = carol.send("GET", f"/v2/{name}/manifests/list", token=token)
    assert response.content == image.payload


def test_it_checks_access(mallory: Person, nobody: Person) -> None:
    images.push_image(APP, "v1")
    assert_challenged(nobody.send("GET", LIST), f"repository:{APP}:pull")
    response = mallory.send("GET", LIST)
    assert_challenged(response, f"repository:{APP}:pull", "insufficient_scope")
