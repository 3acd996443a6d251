"""A tag or a manifest with all that a page about it shows, in one answer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry.errors import Code
from registry.models import RepositoryBlob
from registry.services import manifest_details, manifests, tags
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.gitlab_v1.test_manifests import push_attested
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])
OVERVIEW = f"/gitlab/v1/berth/overview/{APP}/"


def ask(person: Person, *seen: str, **query: Any) -> Any:
    also = tuple(Access.repository(name, "pull") for name in seen)
    answer = person.send("GET", f"{OVERVIEW}?{urlencode(query)}", also=also)
    assert answer.status_code == 200, answer.content
    return answer.json()


def asked_singly(person: Person, what: str, query: str) -> Any:
    return person.send("GET", f"/gitlab/v1/berth/{what}/{APP}/?{query}").json()


def test_it_says_what_the_others_say(carol: Person) -> None:
    first = images.push_image(APP, "v1")
    common = images.content(100)
    image = images.push_image(APP, "v1", layers=[common, images.content(10)])
    images.push_image("acme/app/web", "v1", layers=[common])
    images.push_image("acme/secret", "v1", layers=[common])
    found = ask(carol, APP, "acme/app/web", tag="v1", n=51, days=30, shared="true")
    assert found["digest"] == image.digest
    assert found["tag"] == asked_singly(carol, "tag", "tag=v1")
    assert found["history"] == asked_singly(carol, "history", "tag=v1")
    assert found["pulls"] == asked_singly(carol, "pulls", f"digest={image.digest}")["days"]
    assert [each["digest"] for each in found["manifests"]] == [image.digest, first.digest]
    assert found["shared_blobs"] == {
        "known": True,
        "blobs": [{"digest": image.layers[0], "count": 1, "names": ["acme/app/web"]}],
    }
    assert (found["has_config"], found["whole"], found["referrers"]) == (True, True, [])


def test_what_is_not_asked_for_is_not_told(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    found = ask(carol, digest=image.digest)
    assert not {"pulls", "shared_blobs"} & found.keys()
    assert (found["tag"], found["history"]) == (None, [])
    assert found["digest"] == image.digest


def test_what_belongs_to_it(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    sbom = images.push_artifact(APP, image, "application/spdx+json")
    signature = images.push_artifact(APP, sbom, "application/x.signature")
    tie = images.push_image(APP, f"{image.digest.replace(':', '-')}.sig")
    found = ask(carol, tag="v1")
    assert [(each["digest"], each["subject"]) for each in found["referrers"]] == [
        (sbom.digest, image.digest),
        (signature.digest, sbom.digest),
    ]
    (listed,) = carol.send("GET", f"/v2/{APP}/referrers/{image.digest}").json()["manifests"]
    assert found["referrers"][0] == {**listed, "subject": image.digest}
    assert not found["more_referrers"]
    assert [each["digest"] for each in found["signatures"]] == [tie.digest]


def test_more_referrers_than_are_told(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    for number in range(51):
        images.push_artifact(APP, image, f"application/x.{number}")
    found = ask(carol, tag="v1")
    assert len(found["referrers"]) == 50
    assert found["more_referrers"]


def test_an_index_with_what_it_lists(carol: Person) -> None:
    index = push_attested()
    found = ask(carol, tag="attested")
    children = [each["digest"] for each in json.loads(index.payload)["manifests"]]
    assert {each["digest"] for each in found["manifests"]} == {index.digest, *children}
    assert found["whole"]


def test_more_than_is_told(carol: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    push_attested()
    image = images.push_image(APP, "v1", layers=[images.content(10), images.content(10)])
    monkeypatch.setattr(manifest_details, "MAX_PARTS", 2)
    assert not ask(carol, tag="attested")["whole"]
    found = ask(carol, tag="v1")
    # The configuration is known whether or not it is among those that are told.
    assert (found["whole"], found["has_config"]) == (False, True)
    assert found["digest"] == image.digest


def test_a_configuration_that_may_not_be_served(carol: Person) -> None:
    image = images.push_image(APP, "v1", config=b'{"os": "linux"}')
    RepositoryBlob.objects.filter(blob__digest=image.config).update(deleted_at="2026-11-20T10:00Z")
    assert not ask(carol, tag="v1")["has_config"]


def test_a_tag_that_is_gone_has_its_history(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    tags.delete(APP, "v1", images.ALICE)
    found = ask(carol, tag="v1", n=51)
    assert (found["tag"], found["digest"]) == (None, "")
    assert [each["digest"] for each in found["history"]] == [image.digest]
    assert [each["digest"] for each in found["manifests"]] == [image.digest]
    assert ask(carol, tag="never", n=51)["history"] == []


def test_a_part_of_the_history(carol: Person, clock: Any) -> None:
    pushed = []
    for _ in range(3):
        pushed.append(images.push_image(APP, "v1").digest)
        clock.advance(days=1)
    found = ask(carol, tag="v1", n=2)["history"]
    assert [each["digest"] for each in found] == pushed[:0:-1]
    behind = ask(carol, tag="v1", n=2, last=found[-1]["id"])["history"]
    assert [each["digest"] for each in behind] == pushed[:1]
    then = int(clock.now().timestamp()) - 2 * 24 * 3600 + 1
    assert [each["digest"] for each in ask(carol, tag="v1", n=9, before=then)["history"]] == pushed[
        1::-1
    ]


def test_a_manifest_that_is_not_here(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    elsewhere = images.push_image("acme/other", "v1")
    manifests.delete(APP, image.digest, images.ALICE)
    for digest in (image.digest, elsewhere.digest):
        answer = carol.send("GET", f"{OVERVIEW}?digest={digest}")
        assert_refused(answer, Code.MANIFEST_UNKNOWN, 404)


@pytest.mark.parametrize(
    "query", ["", "tag=-x", "digest=x", "tag=v1&days=x", "tag=v1&n=x", "tag=v1&shared=1"]
)
def test_what_is_refused(carol: Person, query: str) -> None:
    images.push_image(APP, "v1")
    assert carol.send("GET", f"{OVERVIEW}?{query}").status_code == 400


def test_who_may(nobody: Person, carol: Person) -> None:
    assert_refused(carol.send("GET", f"{OVERVIEW}?tag=v1"), Code.NAME_UNKNOWN, 404)
    images.push_image(APP, "v1")
    assert_challenged(nobody.send("GET", f"{OVERVIEW}?tag=v1"), f"repository:{APP}:pull")


def test_how_many_queries(carol: Person) -> None:
    """A referrer costs one more, and no more; the length of the history costs none."""

    def cost() -> int:
        with CaptureQueriesContext(connections["registry"]) as captured:
            ask(carol, APP, f"{APP}/*", tag="v1", n=51, days=30, shared="true")
        return len(captured)

    image = images.push_image(APP, "v1", layers=[images.content(10)] * 40)
    plain = cost()
    assert plain <= 20
    for _ in range(10):
        images.push_image(APP, "v2")
    images.push_artifact(APP, image, "application/x")
    # What it says is read in one query, and what refers to it in turn in another.
    assert cost() <= plain + 2


class TestBlobs:
    address = f"/gitlab/v1/berth/blobs/{APP}/"

    def ask(self, person: Person, digests: list[str]) -> Any:
        return person.send("POST", self.address, json.dumps({"digests": digests}).encode())

    def test_which_are_here(self, carol: Person) -> None:
        image = images.push_image(APP, "v1", layers=[images.content(10)])
        elsewhere = images.push_image("acme/other", "v1", layers=[images.content(10)])
        asked = [*elsewhere.layers, *image.layers, image.config, *image.layers]
        found = self.ask(carol, asked).json()
        assert found == {"digests": [*image.layers, image.config]}

    def test_who_may(self, carol: Person, nobody: Person) -> None:
        image = images.push_image(APP, "v1")
        assert self.ask(carol, [image.config]).status_code == 200
        assert self.ask(carol, ["x"]).status_code == 400
        assert_challenged(self.ask(nobody, [image.config]), f"repository:{APP}:pull")
