"""Deleting tags on the condition that they point where they did."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.errors import Code
from registry.models import Event, Review, Tag
from registry.services import tag_deletion, tags
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tokens.access import Access
from tokens.issue import issue

pytestmark = pytest.mark.django_db(databases=["registry"])
ADDRESS = f"/gitlab/v1/berth/delete-tags/{APP}/"


def ask(person: Person, address: str, body: Any) -> Any:
    return person.send("POST", address, json.dumps(body).encode())


def asked(*tags: tuple[str, str]) -> dict[str, Any]:
    return {"tags": [{"name": name, "digest": digest} for name, digest in tags]}


def test_it_works(alice: Person) -> None:
    first, second = images.push_image(APP, "v1"), images.push_image(APP, "v2")
    images.push_image(APP, "kept")
    before = Event.objects.count()
    answer = ask(alice, ADDRESS, asked(("v1", first.digest), ("v2", second.digest)))
    assert answer.status_code == 200
    assert [(tag["name"], tag["outcome"]) for tag in answer.json()] == [
        ("v1", "deleted"),
        ("v2", "deleted"),
    ]
    assert all(tag["ended_by"] == "alice" and tag["until"] for tag in answer.json())
    assert list(Tag.objects.filter(ended_at=None).values_list("name", flat=True)) == ["kept"]
    assert Event.objects.count() == before + 2
    assert Review.objects.filter(reason="tag deleted").count() == 2
    intervals = {tag["interval"] for tag in answer.json()}
    assert intervals == set(Tag.objects.exclude(ended_at=None).values_list("pk", flat=True))


def test_what_moved_stays(alice: Person) -> None:
    first = images.push_image(APP, "v1")
    second = images.push_image(APP, "v1")
    (found,) = ask(alice, ADDRESS, asked(("v1", first.digest))).json()
    assert (found["outcome"], found["digest"]) == ("moved", second.digest)
    assert Tag.objects.filter(name="v1", ended_at=None).exists()


def test_what_a_rule_of_the_token_protects_stays(alice: Person) -> None:
    first, second = images.push_image(APP, "v1"), images.push_image(APP, "w1")
    rules = {"tag_immutable_patterns": ["^v"]}
    token = issue([Access("repository", APP, ("delete",), rules)], subject="alice").text
    body = json.dumps(asked(("v1", first.digest), ("w1", second.digest))).encode()
    answer = alice.send("POST", ADDRESS, body, token=token)
    assert {tag["name"]: tag["outcome"] for tag in answer.json()} == {
        "v1": "protected",
        "w1": "deleted",
    }
    assert tags.page(APP, "", 9) == ["v1"]
    unreadable = {"tag_immutable_patterns": ["("]}
    token = issue([Access("repository", APP, ("delete",), unreadable)], subject="alice").text
    body = json.dumps(asked(("v1", first.digest))).encode()
    assert_refused(alice.send("POST", ADDRESS, body, token=token), Code.DENIED, 403)
    assert tags.page(APP, "", 9) == ["v1"]


def test_twice_is_once(alice: Person) -> None:
    first = images.push_image(APP, "v1")
    (before,) = ask(alice, ADDRESS, asked(("v1", first.digest))).json()
    (after,) = ask(alice, ADDRESS, asked(("v1", first.digest))).json()
    assert after == before | {"outcome": "gone"}
    (never,) = ask(alice, ADDRESS, asked(("v9", first.digest))).json()
    assert (never["outcome"], never["interval"], never["until"]) == ("gone", 0, None)


def test_what_many_tags_would_free(carol: Person) -> None:
    images.push_image(APP, "v1")
    names = ["v1", *(f"{number:0128}" for number in range(999))]
    address = f"/gitlab/v1/berth/freed/{APP}/"
    found = ask(carol, address, {"tags": names}).json()
    assert found.pop("missing") == names[1:]
    assert found | {"missing": []} == carol.send("GET", f"{address}?tags=v1").json()
    assert found["manifests"] == 1
    for body in ({}, {"tags": []}, {"tags": [1]}, {"tags": ["v1"] * 1001}):
        assert_refused(ask(carol, address, body), Code.UNSUPPORTED, 400)
    assert tags.page(APP, "", 9) == ["v1"]


def test_it_refuses(alice: Person, carol: Person, nobody: Person, settings: Any) -> None:
    digest = images.push_image(APP, "v1").digest
    assert_challenged(ask(nobody, ADDRESS, asked(("v1", digest))), f"repository:{APP}:delete")
    assert ask(carol, ADDRESS, asked(("v1", digest))).status_code == 401
    many = asked(*((f"t{number}", digest) for number in range(tag_deletion.MAX_AT_ONCE + 1)))
    for body in ({}, {"tags": []}, {"tags": ["v1"]}, {"tags": [{"name": "v1"}]}, many):
        assert_refused(ask(alice, ADDRESS, body), Code.UNSUPPORTED, 400)
    assert_refused(ask(alice, ADDRESS, asked(("v1", "x"))), Code.DIGEST_INVALID)
    assert_refused(ask(alice, ADDRESS, asked(("-", digest))), Code.TAG_INVALID)
    none = "/gitlab/v1/berth/delete-tags/acme/none/"
    assert ask(alice, none, asked(("v1", digest))).status_code in (401, 404)
    settings.REGISTRY_DELETE_ENABLED = False
    assert_refused(ask(alice, ADDRESS, asked(("v1", digest))), Code.UNSUPPORTED)
    assert Tag.objects.filter(name="v1", ended_at=None).exists()
