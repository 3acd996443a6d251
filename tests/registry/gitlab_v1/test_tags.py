"""Rich lists of tags: details, order, filter, pages in both directions, history, what frees
what.
"""

from __future__ import annotations

import importlib
import itertools
import json
from typing import Any

import pytest
from django.apps import apps
from django.db import connections

from registry.errors import Code
from registry.manifest import MAX_PLATFORMS
from registry.models import Manifest, Tag
from registry.services import tag_details, tags
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images, largest
from tests.registry.base import APP, Person, mint
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

LIST = f"/gitlab/v1/repositories/{APP}/tags/list/"
NAMES = ["A1", "B", "a1", "a2", "b", "latest", "v1_0"]


@pytest.fixture
def many() -> None:
    """Tags, published in another order than that of their names."""
    image = images.push_image(APP, "gone")
    for name in ["b", "A1", "latest", "a2", "v1_0", "B", "a1"]:
        images.push_manifest(APP, name, json.loads(image.payload))
    tags.delete(APP, "gone", images.ALICE)


PUBLISHED = ["b", "A1", "latest", "a2", "v1_0", "B", "a1"]


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [tag["name"] for tag in response.json()]


def links(response: Any) -> dict[str, str]:
    """The Link field as rel → address."""
    found = {}
    for part in response.headers.get("Link", "").split(", <"):
        if part:
            address, _, rel = part.lstrip("<").partition(">; rel=")
            found[rel.strip('"')] = address
    return found


def test_details(carol: Person) -> None:
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "arm64",
            "variant": "v8",
            "created": "2024-05-06T07:08:09.123456789+02:00",
        }
    ).encode()
    image = images.push_image(APP, "v1", config=config, layers=[images.content(1000)])
    (tag,) = carol.send("GET", LIST).json()
    assert tag["published_at"].endswith("+00:00")
    assert tag["pulls_counted_since"].endswith("+00:00")
    del tag["published_at"], tag["pulls_counted_since"]
    assert tag == {
        "name": "v1",
        "digest": image.digest,
        "config_digest": image.config,
        "media_type": image.media_type,
        "artifact_type": images.CONFIG,
        "size_bytes": 1000 + len(config),
        "created_at": "2024-05-06T05:08:09.123+00:00",
        "published_by": "alice",
        "platforms": [{"os": "linux", "architecture": "arm64", "variant": "v8"}],
        "last_pulled_at": None,
        "pulls": 0,
        "restored_at": None,
        "restored_by": "",
    }
    one = carol.send("GET", f"/gitlab/v1/berth/tag/{APP}/?tag=v1").json()
    assert one["digest"] == image.digest


def test_an_index_has_the_size_and_platforms_of_its_children(carol: Person) -> None:
    platforms = [{"os": "linux", "architecture": name} for name in ("amd64", "arm64")]
    children = [
        images.push_image(APP, None, config=b"{}", layers=[images.content(100)]).descriptor
        | {"platform": platform}
        for platform in platforms
    ]
    attestation = {"os": "unknown", "architecture": "unknown"}
    children.append(
        images.push_image(APP, None, config=b"{}").descriptor | {"platform": attestation}
    )
    images.push_index(APP, "multi", children)
    (tag,) = carol.send("GET", LIST).json()
    assert tag["platforms"] == platforms
    # They have one configuration in common.
    assert tag["size_bytes"] == 3 * 100 + 2


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", NAMES),
        ("name", NAMES),
        ("-name", NAMES[::-1]),
        ("published_at", PUBLISHED),
        ("-published_at", PUBLISHED[::-1]),
    ],
)
@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
def test_order_and_pages_both_ways(carol: Person, sort: str, expected: list[str], n: int) -> None:
    path = f"{LIST}?n={n}" + (f"&sort={sort}" if sort else "")
    pages, last = [], path
    while path:
        response = carol.send("GET", path)
        pages.append(names(response))
        last, path = path, links(response).get("next", "")
    assert list(itertools.chain(*pages)) == expected
    backwards, path = [pages[-1]], links(carol.send("GET", last)).get("previous", "")
    while path:
        response = carol.send("GET", path)
        backwards.insert(0, names(response))
        path = links(response).get("previous", "")
    assert list(itertools.chain(*backwards)) == expected
    assert all(0 < len(page) <= n for page in pages + backwards)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", ["a1", "a2", "latest"]),
        ("A", ["A1"]),
        ("1_", ["v1_0"]),
        ("_", ["v1_0"]),
        ("%25", []),
        ("%00a", ["a1", "a2", "latest"]),
        ("%5C", []),
        ("x" * 3000, []),
        ("%F0%9F%90%B3", []),
    ],
)
def test_the_filter_is_a_plain_part_of_the_name(
    carol: Person, name: str, expected: list[str]
) -> None:
    """Tags differ in case, so the filter does, on every engine."""
    assert names(carol.send("GET", f"{LIST}?name={name}")) == expected


@pytest.mark.usefixtures("many")
def test_the_filter_travels_with_the_pages(carol: Person) -> None:
    response = carol.send("GET", f"{LIST}?name=a&n=2&sort=-name")
    assert names(response) == ["latest", "a2"]
    response = carol.send("GET", links(response)["next"])
    assert names(response) == ["a1"]
    assert "next" not in links(response)
    assert names(carol.send("GET", links(response)["previous"])) == ["latest", "a2"]


@pytest.mark.usefixtures("many")
def test_a_marker_that_has_gone_keeps_its_place(carol: Person) -> None:
    tags.delete(APP, "a2", images.ALICE)
    assert names(carol.send("GET", f"{LIST}?last=a2")) == ["b", "latest", "v1_0"]
    by_date = carol.send("GET", f"{LIST}?last=a2&sort=published_at")
    assert names(by_date) == ["v1_0", "B", "a1"]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    "query", ["sort=size", "sort=name;drop", "last=a&before=b", "sort=-", "sort=--name"]
)
def test_odd_wishes_are_refused(carol: Person, query: str) -> None:
    assert_refused(carol.send("GET", f"{LIST}?{query}"), Code.UNSUPPORTED, 400)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("query", ["last=zzz", "before=0", "last=%00", "n=0", "before=%FF"])
def test_odd_markers_are_answered(carol: Person, query: str) -> None:
    assert carol.send("GET", f"{LIST}?{query}").status_code == 200


def test_a_page_takes_few_queries(carol: Person, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        images.push_image(APP, f"v{number}")
    with django_assert_max_num_queries(1 + 3, using="registry"):  # First: revocations.
        assert len(carol.send("GET", LIST).json()) == 20


def test_what_is_unknown_is_refused(carol: Person) -> None:
    assert_refused(carol.send("GET", LIST), Code.NAME_UNKNOWN)
    images.push_image(APP, "v1")
    path = f"/gitlab/v1/berth/tag/{APP}/"
    assert_refused(carol.send("GET", f"{path}?tag=none"), Code.MANIFEST_UNKNOWN)
    for tag in ("-x", ""):
        assert_refused(carol.send("GET", f"{path}?tag={tag}"), Code.TAG_INVALID)
    assert_refused(carol.send("GET", f"{LIST}?n=-1"), Code.PAGINATION_NUMBER_INVALID)


def test_a_tag_named_list_or_history_can_be_asked_for(carol: Person) -> None:
    for name in ("list", "history", "tags"):
        images.push_image(APP, name)
        response = carol.send("GET", f"/gitlab/v1/berth/tag/{APP}/?tag={name}")
        assert response.json()["name"] == name


# History


def test_history(alice: Person) -> None:
    pushed = [images.push_image(APP, "v1") for _ in range(3)]
    images.push_manifest(APP, "v1", json.loads(pushed[2].payload))
    alice.send("DELETE", f"/v2/{APP}/manifests/v1")
    images.push_manifest(APP, "v1", json.loads(pushed[0].payload))
    path = f"/gitlab/v1/berth/history/{APP}/?tag=v1"
    found = alice.send("GET", path).json()
    assert [interval["digest"] for interval in found] == [
        pushed[0].digest, pushed[2].digest, pushed[1].digest, pushed[0].digest,
    ]  # fmt: skip
    assert [interval["until"] is None for interval in found] == [True, False, False, False]
    assert [interval["restorable"] for interval in found] == [True] * 4
    assert found[2]["until"] == found[1]["from"]
    assert (found[1]["pushed_by"], found[1]["ended_by"]) == ("alice", "alice")
    assert len(alice.send("GET", f"{path}&n=2").json()) == 2
    assert alice.send("GET", path.replace("=v1", "=none")).json() == []


def test_the_past_outlives_what_was_collected(carol: Person, clock: Any) -> None:
    from registry.services.garbage import collection as garbage

    image = images.push_image(APP, "v1")
    tags.delete(APP, "v1", images.ALICE)
    clock.advance(days=30)
    garbage.review(100)
    (interval,) = carol.send("GET", f"/gitlab/v1/berth/history/{APP}/?tag=v1").json()
    assert (interval["digest"], interval["restorable"]) == (image.digest, False)
    assert Tag.objects.get().manifest_id is None


# What a deletion frees


def freed(person: Person, query: str = "", **more: Any) -> dict[str, int]:
    response = person.send("GET", f"/gitlab/v1/berth/freed/{APP}/{query}", **more)
    assert response.status_code == 200, response.content
    found: dict[str, int] = response.json()
    assert found.pop("exact") is True
    assert found.pop("missing") == (["none"] if query.endswith("=none") else [])
    return found


def test_freed(carol: Person) -> None:
    shared, elsewhere = images.content(1000), images.content(300)
    images.push_image(APP, "v1", config=b"{}", layers=[shared, images.content(70)])
    images.push_image(APP, "v2", config=b"{}", layers=[shared, elsewhere])
    images.push_image("acme/other", "v1", layers=[elsewhere])

    def said(query: str = "") -> dict[str, int]:
        both = [Access.repository(name, "pull") for name in (APP, "acme/other")]
        return freed(carol, query, token=mint("carol", *both))

    assert said("?tags=v1") == {"manifests": 1, "alone_bytes": 70, "shared_bytes": 1002}
    assert said("?tags=v2") == {"manifests": 1, "alone_bytes": 0, "shared_bytes": 1302}
    everything = {"manifests": 2, "alone_bytes": 1072, "shared_bytes": 300}
    assert said("?tags=v1,v2") == everything
    assert said() == everything
    assert said("?tags=none") == {"manifests": 0, "alone_bytes": 0, "shared_bytes": 0}


def test_nobody_learns_what_is_elsewhere(mallory: Person, gitlab: Person) -> None:
    """Who can guess a private layer pushes it, and can't tell whether anybody else has it."""
    guessed, unknown = images.content(300), images.content(300)
    images.push_image("acme/secret", "v1", layers=[guessed])
    for name, layer in (("mallory/evil", guessed), ("mallory/other", unknown)):
        images.push_image(name, "v1", config=b"{}", layers=[layer])
    answers = {}
    for name in ("mallory/evil", "mallory/other"):
        # A star is GitLab's own: in a person's token it is a name that nothing has.
        access = [Access.repository(each, "pull") for each in (name, "mallory/*", "acme/*")]
        token = mint("mallory", *access, Access("registry", "statistics", ("*",)))
        own = mint(None, access[0], access[1])
        answers[name] = [
            {key: value for key, value in found.items() if "bytes" in key}
            for each in (token, own)
            for found in (
                mallory.send("GET", f"/gitlab/v1/berth/freed/{name}/", token=each).json(),
                mallory.send("GET", f"/gitlab/v1/berth/freed/{name}/?tags=v1", token=each).json(),
                mallory.send("GET", f"/gitlab/v1/statistics/?path={name}", token=each).json()[0],
            )
        ]
    assert answers["mallory/evil"][:3] == answers["mallory/other"][:3]
    assert answers["mallory/evil"][0] == {"alone_bytes": 302, "shared_bytes": 0}
    # With all of mallory's images in the token the configuration counts as shared, the layer not.
    assert answers["mallory/evil"][3:] == answers["mallory/other"][3:]
    assert answers["mallory/evil"][3] == {"alone_bytes": 300, "shared_bytes": 2}
    (found,) = gitlab.send("GET", "/gitlab/v1/statistics/?path=mallory/evil").json()
    assert found["shared_bytes"] == 302


def test_freed_looks_at_what_an_index_and_another_tag_hold(carol: Person) -> None:
    child = images.push_image(APP, "child", config=b"{}")
    images.push_index(APP, "multi", [child.descriptor])
    assert freed(carol, "?tags=child")["manifests"] == 0
    assert freed(carol, "?tags=multi")["manifests"] == 1
    assert freed(carol, "?tags=multi,child")["manifests"] == 2
    images.push_manifest(APP, "again", json.loads(child.payload))
    assert freed(carol, "?tags=multi,child")["manifests"] == 1


def test_freed_takes_referrers_along(carol: Person) -> None:
    image = images.push_image(APP, "v1", config=b"{}")
    images.push_artifact(APP, image, "a/signature")
    assert freed(carol, "?tags=v1")["manifests"] == 2
    images.push_artifact(APP, image, "a/signature", tag="sig")
    assert freed(carol, "?tags=v1")["manifests"] == 2


def test_freed_refuses_odd_wishes(carol: Person) -> None:
    images.push_image(APP, "v1")
    path = f"/gitlab/v1/berth/freed/{APP}/"
    assert_refused(carol.send("GET", f"{path}?tags=-x"), Code.TAG_INVALID)
    many = ",".join(f"t{number}" for number in range(1001))
    assert_refused(carol.send("GET", f"{path}?tags={many}"), Code.UNSUPPORTED, 400)
    assert_refused(carol.send("GET", path.replace(APP, "acme/none")), Code.NAME_UNKNOWN)


def test_it_checks_access(mallory: Person, nobody: Person) -> None:
    images.push_image(APP, "v1")
    base = "/gitlab/v1/berth"
    own = [f"{base}/{call}/{APP}/?tag=v1" for call in ("tags", "tag", "history", "freed")]
    for path in (LIST, *own):
        assert_challenged(nobody.send("GET", path), f"repository:{APP}:pull")
        response = mallory.send("GET", path)
        assert_challenged(response, f"repository:{APP}:pull", "insufficient_scope")


# Lists that end


def test_long_history_and_many_deleted_tags_have_pages(alice: Person) -> None:
    for _ in range(5):
        images.push_image(APP, "v1")
    for number in range(5):
        images.push_image(APP, f"gone{number}")
        tags.delete(APP, f"gone{number}", images.ALICE)
    for call, key, count in (("history", "id", 5), ("deleted-tags", "interval", 5)):
        found: list[int] = []
        path = f"/gitlab/v1/berth/{call}/{APP}/?tag=v1&n=2"
        while path:
            response = alice.send("GET", path)
            assert 0 < len(response.json()) <= 2
            found += [entry[key] for entry in response.json()]
            path = links(response).get("next", "")
        assert found == sorted(set(found), reverse=True)
        assert len(found) == count
    odd = alice.send("GET", f"/gitlab/v1/berth/history/{APP}/?tag=v1&last=x")
    assert_refused(odd, Code.PAGINATION_NUMBER_INVALID)


@pytest.mark.parametrize("sort", ["name", "-name", "-published_at"])
def test_a_page_that_says_much_is_shorter(
    carol: Person, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    images.push_image(APP, "a")
    largest.push_platforms(APP, "b")
    largest.tag_also(APP, "b", "cdefg")
    monkeypatch.setattr(tag_details, "_MAX_PLATFORMS", 150)
    found, path = [], f"{LIST}?n=100&sort={sort}"
    while path:
        response = carol.send("GET", path)
        found.append(names(response))
        path = links(response).get("next", "")
    assert max(map(len, found)) < 5
    assert sorted(itertools.chain.from_iterable(found)) == list("abcdefg")
    back, path = [], f"{LIST}?n=100&sort={sort}&before={found[-1][-1]}"
    while path:
        response = carol.send("GET", path)
        back = names(response) + back
        path = links(response).get("previous", "")
    assert back == list(itertools.chain.from_iterable(found))[:-1]


def test_an_index_is_known_for_some_of_its_platforms(carol: Person) -> None:
    largest.push_platforms(APP, "all")
    (tag,) = carol.send("GET", LIST).json()
    assert len(tag["platforms"]) == MAX_PLATFORMS
    assert len({json.dumps(each) for each in tag["platforms"]}) == MAX_PLATFORMS


def test_longer_lists_from_before_are_cut() -> None:
    image = images.push_image(APP, "v1")
    long = [{"os": "linux", "architecture": f"a{number % 100}"} for number in range(300)]
    Manifest.objects.filter(digest=image.digest).update(platforms=long)
    migration = importlib.import_module("registry.migrations.0010_ends_of_lists")
    migration.cut(apps, connections["registry"].schema_editor(atomic=False))
    assert Manifest.objects.get(digest=image.digest).platforms == long[:64]
