"""``POST /gitlab/v1/search/``: tags and digests by how they begin."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry.errors import Code
from registry.services import search, tags
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.test_query_plans import assert_indexed, plan_of

pytestmark = pytest.mark.django_db(databases=["registry"])
OWN = Person(None, (), own=True)
URL = "/gitlab/v1/search/"


def find(*repositories: str, person: Person = OWN, **wanted: Any) -> Any:
    body = json.dumps({"repositories": repositories, **wanted}).encode()
    return person.send("POST", URL, body, content_type="application/json")


def names(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 200, response.content
    return [(each["repository"], each["tag"]) for each in response.json()]


def test_tags_by_their_beginning() -> None:
    for tag in ("v1", "v10", "V1", "x-v1"):
        images.push_image(APP, tag)
    images.push_image("acme/other", "v1.5")
    images.push_image("acme/secret", "v1")
    assert names(find("acme/other", APP, tag="v1")) == [
        ("acme/other", "v1.5"),
        (APP, "v1"),
        (APP, "v10"),
    ]
    tags.delete(APP, "v10", images.ALICE)
    assert names(find(APP, "acme/none", tag="v1")) == [(APP, "v1")]
    assert names(find(tag="v1")) == []


def test_digests_by_twelve_characters_or_all() -> None:
    image = images.push_image(APP, "v1")
    images.push_image(APP, "v2")
    for digest in (image.digest, image.digest[: len("sha256:") + 12]):
        (found,) = find(APP, digest=digest).json()
        assert found == {"repository": APP, "tag": "", "digest": image.digest}
    assert find("acme/other", digest=image.digest).json() == []


def test_it_finds_no_more_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_AT_ONCE", 2)
    for number in range(5):
        images.push_image(f"acme/app{number}", "v1")
    named = [f"acme/app{number}" for number in range(5)]
    assert names(find(*named, tag="v")) == [(name, "v1") for name in named]
    assert len(search.tags(named, "v", 3)) == 3


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"tag": ""},
        {"tag": "a b"},
        {"tag": 1},
        {"digest": "sha256:0123"},
        {"digest": "0" * 64},
        {"digest": "sha256:" + "G" * 64},
    ],
)
def test_what_is_no_search_is_refused(wanted: dict[str, Any]) -> None:
    assert_refused(find(APP, **wanted), Code.UNSUPPORTED, 400)


def test_too_many_repositories_are_refused() -> None:
    many = [f"acme/a{number}" for number in range(search.MAX_REPOSITORIES + 1)]
    assert_refused(find(*many, tag="v1"), Code.UNSUPPORTED, 400)


def test_only_gitlab_asks(alice: Person) -> None:
    """Whoever may pull all of them: the names of others come along in no token of theirs."""
    assert_refused(find(APP, person=alice, tag="v1"), Code.UNAUTHORIZED)


def test_it_goes_along_indexes() -> None:
    image = images.push_image(APP, "v1")
    with CaptureQueriesContext(connections["registry"]) as captured:
        search.tags([APP, "acme/other"], "v")
        search.manifests([APP], image.digest[:20])
    with connections["registry"].cursor() as cursor:
        if connections["registry"].vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
    for query in captured.captured_queries:
        assert_indexed(plan_of(query["sql"]), query["sql"])
