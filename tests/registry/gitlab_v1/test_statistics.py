"""Bytes and counts below a path: each blob once, alone or shared with others."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import Code
from registry.services import manifests, repositories, statistics, tags
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])
PATH = "/gitlab/v1/statistics/"


@pytest.fixture
def nested() -> bytes:
    """An image, two below it and one elsewhere, with layers in common. Answers the common one."""
    common, elsewhere = images.content(1000), images.content(300)
    images.push_image(APP, "v1", config=b"{}", layers=[common, images.content(70)])
    images.push_image(APP, "v2", config=b"{}", layers=[common])
    images.push_image(f"{APP}/sub", "v1", config=b"{}", layers=[common, elsewhere])
    images.push_image(f"{APP}/sub/deep", "v1", config=b"{}", layers=[common, images.content(5)])
    images.push_image("acme/app-2", "v1", config=b"{} ", layers=[elsewhere])
    return common


@pytest.mark.usefixtures("nested")
def test_one(gitlab: Person) -> None:
    response = gitlab.send("GET", f"{PATH}?path={APP}")
    assert response.status_code == 200
    assert response.json() == [
        {
            "path": APP,
            "repositories_count": 3,
            "tags_count": 4,
            "tags_never_pulled_count": 4,
            "manifests_count": 4,
            "blobs_count": 5,
            "size_bytes": 1377,
            "alone_bytes": 1077,
            "shared_bytes": 300,
            "size_precision": "default",
        }
    ]


@pytest.mark.usefixtures("nested")
def test_several_in_the_order_asked_for(gitlab: Person) -> None:
    query = f"path=acme&path={APP}/sub&path=none&path=acme"
    found = gitlab.send("GET", f"{PATH}?{query}").json()
    assert [(one["path"], one["alone_bytes"], one["shared_bytes"]) for one in found] == [
        ("acme", 1380, 0),
        (f"{APP}/sub", 5, 1302),
        ("none", 0, 0),
    ]


@pytest.mark.usefixtures("nested")
@pytest.mark.parametrize(
    ("size", "name", "expected"),
    [
        ("self", APP, 1072),
        ("self_with_descendants", APP, 1377),
        ("self", f"{APP}/sub", 1302),
        ("self_with_descendants", f"{APP}/sub", 1307),
        ("self_with_descendants", f"{APP}/sub/deep", 1007),
    ],
)
def test_details_agree(carol: Person, size: str, name: str, expected: int) -> None:
    found = carol.send("GET", f"/gitlab/v1/repositories/{name}/?size={size}").json()
    assert found["size_bytes"] == expected
    if size != "self":
        assert statistics.of(name).size == expected


def test_only_what_is_held_counts(nested: bytes) -> None:
    before = statistics.of(APP)
    images.push_blob(APP, images.content(9999))
    assert statistics.of(APP) == before
    repositories.close(f"{APP}/sub/deep", images.ALICE)
    after = statistics.of(APP)
    assert (after.repositories, after.tags, after.size) == (2, 3, 1372)
    image = manifests.find("acme/app-2", "v1")
    manifests.delete("acme/app-2", image.digest, images.ALICE)
    assert statistics.of("acme/app-2").size == 0
    tags.delete(APP, "v2", images.ALICE)
    assert statistics.of(APP).tags == 2


@pytest.mark.usefixtures("nested")
def test_more_than_can_be_counted_is_said() -> None:
    found = statistics.of(APP, max_blobs=3)
    assert (found.is_exact, found.blobs) == (False, 3)
    assert 0 < found.size <= 1377
    assert statistics.of(APP, max_blobs=5).is_exact


@pytest.mark.usefixtures("nested")
def test_two_queries_a_path(gitlab: Person, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(1 + 4, using="registry"):
        gitlab.send("GET", f"{PATH}?path={APP}&path=acme")


# Who may


@pytest.mark.usefixtures("nested")
def test_who_may_pull_one_may_ask_for_it(nobody: Person, carol: Person) -> None:
    token = mint("carol", Access.repository(APP, "pull"))
    assert carol.send("GET", f"{PATH}?path={APP}", token=token).status_code == 200
    other = carol.send("GET", f"{PATH}?path=acme/app-2", token=token)
    assert_challenged(other, "repository:acme/app-2:pull", "insufficient_scope")
    both = mint("carol", Access.repository(APP, "pull"), Access.repository("acme/app-2", "pull"))
    several = carol.send("GET", f"{PATH}?path={APP}&path=acme/app-2", token=both)
    assert_challenged(several, "registry:statistics:*", "insufficient_scope")
    assert_challenged(nobody.send("GET", f"{PATH}?path={APP}"), None)


def test_odd_wishes_are_refused(gitlab: Person) -> None:
    assert_refused(gitlab.send("GET", PATH), Code.UNSUPPORTED, 400)
    many = "&".join(f"path=a{number}" for number in range(101))
    assert_refused(gitlab.send("GET", f"{PATH}?{many}"), Code.UNSUPPORTED, 400)
    assert_refused(gitlab.send("GET", f"{PATH}?path=A"), Code.NAME_INVALID)
    assert_refused(gitlab.send("GET", f"{PATH}?path="), Code.NAME_INVALID)
    assert_refused(gitlab.send("POST", f"{PATH}?path=a"), Code.UNSUPPORTED)
