"""Deleting tags on the condition that they point where they did."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from registry.errors import Code
from registry.models import Event, Manifest, ManifestPulls, Review, Tag
from registry.services import tag_deletion, tags
from registry.services.garbage import collection as garbage
from registry.services.garbage import freed
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


def test_what_was_pulled_since_stays(alice: Person) -> None:
    now = timezone.now()
    pulled = {"early": now - dt.timedelta(hours=2), "late": now, "never": None}
    wanted = []
    for name, at in pulled.items():
        digest = images.push_image(APP, name).digest
        wanted.append((name, digest))
        if at is not None:
            manifest = Manifest.objects.get(digest=digest)
            ManifestPulls.objects.create(
                manifest=manifest, repository_id=manifest.repository_id, pulls=1, last_at=at
            )
    body = asked(*wanted) | {"unless_pulled_since": (now - dt.timedelta(hours=1)).timestamp()}
    found = ask(alice, ADDRESS, body).json()
    assert {tag["name"]: tag["outcome"] for tag in found} == {
        "early": "deleted",
        "late": "pulled",
        "never": "deleted",
    }
    assert tags.page(APP, "", 9) == ["late"]
    (again,) = ask(alice, ADDRESS, asked(*wanted[1:2])).json()
    assert again["outcome"] == "deleted"


@pytest.mark.parametrize("moment", ["now", -1, True, 2**40, float("inf"), [0]])
def test_a_moment_that_is_none(alice: Person, moment: Any) -> None:
    digest = images.push_image(APP, "v1").digest
    body = asked(("v1", digest)) | {"unless_pulled_since": moment}
    assert_refused(ask(alice, ADDRESS, body), Code.UNSUPPORTED, 400)
    assert tags.page(APP, "", 9) == ["v1"]


def test_what_is_collected_is_told_by_the_job_that_the_token_names(
    alice: Person, gitlab: Person, clock: Any, settings: Any
) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = settings.UNDO_WINDOW = dt.timedelta(0)
    shared, own = images.content(), images.content()
    first = images.push_image(APP, "v1", layers=[shared, own], config=b"{}")
    images.push_image(APP, "v2", layers=[shared], config=b"{}")
    meta = {"cause": "cleanup-7"}
    token = issue([Access("repository", APP, ("delete",), meta)], subject="alice").text
    body = json.dumps(asked(("v1", first.digest))).encode()
    assert alice.send("POST", ADDRESS, body, token=token).status_code == 200
    address = "/gitlab/v1/garbage/causes/cleanup-7"
    assert gitlab.send("GET", address).json() == {
        "waiting": 1, "removed": 0, "bytes": 0, "last_removed_at": None
    }  # fmt: skip
    for _ in range(4):
        clock.advance(seconds=1)
        garbage.review(100)
    found = gitlab.send("GET", address).json()
    assert found.pop("last_removed_at")
    assert found == {"waiting": 0, "removed": 2, "bytes": len(own)}
    assert gitlab.send("GET", "/gitlab/v1/garbage/causes/none").json() == {
        "waiting": 0, "removed": 0, "bytes": 0, "last_removed_at": None
    }  # fmt: skip
    refused = alice.send("GET", address)
    assert_challenged(refused, "registry:garbage:*", "insufficient_scope")


def test_who_deletes_something_again_is_its_cause(alice: Person) -> None:
    """The last one to drop a reference, be it nobody's job."""
    image = images.push_image(APP, "v1")
    meta = {"cause": "cleanup-7"}
    token = issue([Access("repository", APP, ("delete",), meta)], subject="alice").text
    body = json.dumps(asked(("v1", image.digest))).encode()
    alice.send("POST", ADDRESS, body, token=token)
    assert Review.objects.get(kind="manifest").cause == "cleanup-7"
    images.push_manifest(APP, "v2", json.loads(image.payload))
    tags.delete(APP, "v2", images.ALICE)
    assert Review.objects.get(kind="manifest").cause == ""


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


def test_what_a_plan_would_free(
    gitlab: Person, carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitLab's own jobs ask about ten thousand at once: what only these share goes with them."""
    shared, first, second = (images.content(size) for size in (1000, 100, 10))
    images.push_image(APP, "v1", layers=[shared, first], config=b"{}")
    images.push_image(APP, "v2", layers=[shared, second], config=b"{}")
    images.push_image(APP, "kept", layers=[images.content()], config=b"{}")
    address = f"/gitlab/v1/berth/freed/{APP}/"
    others = [f"{number:0128}" for number in range(9998)]
    found = ask(gitlab, address, {"tags": ["v1", "v2", *others]}).json()
    assert found.pop("missing") == others
    assert found == {"manifests": 2, "alone_bytes": 1110, "shared_bytes": 2, "exact": True}
    assert [
        ask(gitlab, address, {"tags": [tag]}).json()["alone_bytes"] for tag in ("v1", "v2")
    ] == [
        100,
        10,
    ]
    assert_refused(ask(gitlab, address, {"tags": ["v1"] * 10_001}), Code.UNSUPPORTED, 400)
    assert_refused(ask(carol, address, {"tags": ["v1", *others[:1000]]}), Code.UNSUPPORTED, 400)
    monkeypatch.setattr(freed, "PLANNED", freed.Bounds(1, 1000))
    found = ask(gitlab, address, {"tags": ["v1", "v2", *others[:1000]]}).json()
    assert (found["alone_bytes"], found["exact"]) == (0, False)


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
