"""Manifests that nothing holds: listed and deleted, for repositories that keep them."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from registry.errors import Code
from registry.models import Manifest
from registry.services import repositories, tags, undo, untagged
from registry.services.garbage import collection as garbage
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person

pytestmark = pytest.mark.django_db(databases=["registry"])
LIST = f"/gitlab/v1/berth/untagged/{APP}/"
DELETE = f"/gitlab/v1/berth/delete-untagged/{APP}/"


def ask(person: Person, address: str, body: Any) -> Any:
    return person.send("POST", address, json.dumps(body).encode())


def listed(person: Person, query: str = "") -> list[str]:
    answer = person.send("GET", LIST + query)
    assert answer.status_code == 200
    return [row[0] for row in answer.json()["manifests"]]


def outcomes(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.content
    return [(each["name"], each["outcome"]) for each in answer.json()]


def test_what_nothing_holds(carol: Person, clock: Any) -> None:
    image = images.push_image(APP, "v1")
    child = images.push_image(APP, None)
    images.push_index(APP, "index", [child.descriptor])
    signature = images.push_artifact(APP, image, "application/signature")
    moved = images.push_image(APP, "moves")
    clock.advance(days=3)
    images.push_image(APP, "moves")
    alone = images.push_image(APP, None)
    assert listed(carol) == [moved.digest, alone.digest]
    ((_, size, since), _) = carol.send("GET", LIST).json()["manifests"]
    assert size > 0
    assert abs(dt.datetime.fromisoformat(since) - clock.now()) < dt.timedelta(minutes=10)
    tags.delete(APP, "v1", images.ALICE)
    # What the subject holds goes with it.
    assert signature.digest not in listed(carol)
    assert image.digest in listed(carol)


def test_by_pages(carol: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untagged, "MAX_PAGE", 2)
    wanted = [images.push_image(APP, None).digest for _ in range(3)]
    images.push_image(APP, "v1")
    found: list[str] = []
    after = 0
    for _ in range(9):
        body = carol.send("GET", f"{LIST}?after={after}").json()
        found += [row[0] for row in body["manifests"]]
        after = body["next"]
        if not after:
            break
    assert found == wanted


def test_a_page_is_full_or_has_looked_far(carol: Person) -> None:
    """Of an image with many tags and little else, one question tells what many did."""
    wanted = []
    for number in range(3):
        images.push_image(APP, f"v{number}")
        wanted.append(images.push_image(APP, None).digest)
    first = carol.send("GET", f"{LIST}?n=2").json()
    assert [row[0] for row in first["manifests"]] == wanted[:2]
    behind = carol.send("GET", f"{LIST}?n=2&after={first['next']}").json()
    assert [row[0] for row in behind["manifests"]] == wanted[2:]
    assert not behind["next"]


def test_deleted(alice: Person, clock: Any) -> None:
    repositories_kept = images.push_image(APP, None)
    repositories.set_collect_untagged(APP, False)
    kept = images.push_image(APP, "v1")
    frees = {"digests": [repositories_kept.digest]}
    freed = ask(alice, f"/gitlab/v1/berth/freed/{APP}/", frees).json()
    assert freed["manifests"] == 1
    assert freed["alone_bytes"] > 0
    answer = ask(alice, DELETE, frees)
    assert outcomes(answer) == [(repositories_kept.digest, "deleted")]
    assert answer.json()[0]["ended_by"] == "alice"
    assert outcomes(ask(alice, DELETE, frees)) == [(repositories_kept.digest, "gone")]
    undo.restore_manifest(APP, repositories_kept.digest, images.ALICE)
    assert outcomes(ask(alice, DELETE, frees)) == [(repositories_kept.digest, "deleted")]
    clock.advance(days=30)
    garbage.review(100)
    assert list(Manifest.objects.values_list("digest", flat=True)) == [kept.digest]


def test_what_is_held_by_then_stays(alice: Person) -> None:
    child, tagged = images.push_image(APP, None), images.push_image(APP, None)
    images.push_index(APP, "index", [child.descriptor])
    images.push_manifest(APP, "v1", json.loads(tagged.payload))
    never = f"sha256:{'0' * 64}"
    answer = ask(alice, DELETE, {"digests": [child.digest, tagged.digest, never]})
    assert outcomes(answer) == [(child.digest, "held"), (tagged.digest, "held"), (never, "gone")]
    assert not Manifest.objects.exclude(deleted_at=None).exists()


def test_it_refuses(alice: Person, carol: Person, nobody: Person, settings: Any) -> None:
    digest = images.push_image(APP, None).digest
    assert_challenged(nobody.send("GET", LIST), f"repository:{APP}:pull")
    assert_challenged(ask(nobody, DELETE, {"digests": [digest]}), f"repository:{APP}:delete")
    assert ask(carol, DELETE, {"digests": [digest]}).status_code == 401
    many = [f"sha256:{number:064}" for number in range(untagged.MAX_AT_ONCE + 1)]
    for body in ({}, {"digests": []}, {"digests": many}, {"digests": "x"}):
        assert_refused(ask(alice, DELETE, body), Code.UNSUPPORTED, 400)
    assert_refused(ask(alice, DELETE, {"digests": [7]}), Code.DIGEST_INVALID)
    assert_refused(carol.send("GET", f"{LIST}?after=x"), Code.PAGINATION_NUMBER_INVALID)
    settings.REGISTRY_DELETE_ENABLED = False
    assert_refused(ask(alice, DELETE, {"digests": [digest]}), Code.UNSUPPORTED)
    assert not Manifest.objects.exclude(deleted_at=None).exists()
