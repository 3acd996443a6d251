"""Quotas of a token, at every request of a push: what fits, what doesn't, and what is left then."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry import media_types
from registry.errors import Code
from registry.models import Blob, Manifest, Repository, RepositoryBlob, UploadSession, UsageTotal
from registry.services import upload_limits, usage
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import digests
from tokens.access import Access
from tokens.issue import issue

pytestmark = pytest.mark.django_db(databases=["registry"])

OTHER = "acme/other"
ELSEWHERE = "globex/app"


def token(name: str, *quotas: dict[str, Any], also: tuple[Access, ...] = ()) -> str:
    access = Access("repository", name, ("pull", "push"), {"quota": list(quotas)})
    return issue([access, *also], subject="bob").text


def limit(size: int | None = None, path: str = "acme", **more: Any) -> dict[str, Any]:
    return {"path": path, **({} if size is None else {"bytes": size}), **more}


def push(person: Person, body: bytes, *quotas: dict[str, Any], name: str = APP) -> Any:
    """As docker does: POST, PATCH, PUT. The first answer that refuses."""
    given = token(name, *quotas)
    begun = person.send("POST", f"/v2/{name}/blobs/uploads/", token=given)
    if begun.status_code != 202:
        return begun
    sent = person.send("PATCH", begun["Location"], body, chunked=True, token=given)
    if sent.status_code != 202:
        return sent
    finish = f"{sent['Location']}&digest={digests.of(body)}"
    return person.send("PUT", finish, token=given)


def used(path: str = "acme") -> int:
    return usage.of([path])[path].bytes


def state() -> Any:
    return (
        sorted(Blob.objects.values_list("digest", flat=True)),
        sorted(RepositoryBlob.objects.values_list("repository__name", "blob__digest")),
        sorted(Manifest.objects.values_list("digest", flat=True)),
        sorted(Repository.objects.values_list("name", "closed_at")),
        sorted(UploadSession.objects.values_list("pk", "offset", "committed_digest")),
        [used(path) for path in usage.of(["acme", APP])],
    )


def test_what_fits_to_the_last_byte(bob: Person) -> None:
    assert push(bob, b"x" * 60, limit(100)).status_code == 201
    assert push(bob, b"y" * 40, limit(100)).status_code == 201
    assert used() == 100
    refused = push(bob, b"z", limit(100))
    assert_refused(refused, Code.DENIED)
    assert used() == 100


def test_a_refusal_says_what_is_used_and_whom_to_ask(bob: Person) -> None:
    push(bob, b"x" * 9_800, limit(10_000))
    refused = push(bob, b"y" * 300, limit(10_000, ask="an administrator"))
    assert refused.status_code == 403
    assert refused.json()["errors"] == [
        {
            "code": "DENIED",
            "message": "the storage quota of acme is reached: 9.8 kB of 10 kB are used, and this"
            " needs 300 bytes more; delete what nobody needs, or ask an administrator",
            "detail": {"path": "acme", "quota": "bytes", "used": 9_800, "limit": 10_000},
        }
    ]


@pytest.mark.parametrize(
    "way", ["start", "announced", "streamed", "put with a body", "post with a digest", "mount"]
)
def test_each_way_of_a_blob_is_refused_and_changes_nothing(
    bob: Person, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_limits, "UNASKED", 0)
    body, size = b"y" * 50, 80
    images.push_blob(ELSEWHERE, body)
    push(bob, b"x" * 40, limit(size))
    if way == "start":
        size = 40
    quota = limit(size)
    given = token(APP, quota, also=(Access.repository(ELSEWHERE, "pull"),))
    address = f"/v2/{APP}/blobs/uploads/"
    location = "" if way == "start" else bob.send("POST", address, token=given)["Location"]
    digest = digests.of(body)
    before = state()
    answers = {
        "start": lambda: bob.send("POST", address, token=given),
        "announced": lambda: bob.send("PATCH", location, body, token=given),
        "streamed": lambda: bob.send("PATCH", location, body, chunked=True, token=given),
        "put with a body": lambda: bob.send(
            "PUT", f"{location}&digest={digest}", body, token=given
        ),
        "post with a digest": lambda: bob.send(
            "POST", f"{address}?digest={digest}", body, token=given
        ),
        "mount": lambda: bob.send(
            "POST", f"{address}?mount={digest}&from={ELSEWHERE}", token=given
        ),
    }
    assert_refused(answers[way](), Code.DENIED)
    assert state() == before


def test_parts_that_fitted_are_refused_at_the_commit(bob: Person) -> None:
    quota = limit(100)
    given = token(APP, quota)
    begun = bob.send("POST", f"/v2/{APP}/blobs/uploads/", token=given)
    body = b"y" * 70
    sent = bob.send("PATCH", begun["Location"], body, token=given)
    push(bob, b"x" * 60, quota)
    before = state()
    finish = f"{sent['Location']}&digest={digests.of(body)}"
    assert_refused(bob.send("PUT", finish, token=given), Code.DENIED)
    assert state() == before
    assert bob.send("PUT", finish, token=token(APP, limit(130))).status_code == 201, "it is kept"


def test_a_blob_counts_once_below_the_limited_path(bob: Person) -> None:
    both = limit(None), limit(None, path=APP)
    others = limit(None), limit(None, path=OTHER)
    push(bob, b"x" * 50, *both)
    push(bob, b"x" * 50, *others, name=OTHER)
    push(bob, b"x" * 50, *both)
    assert [used(path) for path in ("acme", APP, OTHER)] == [50, 50, 50]
    # What lies there already takes no room, where the digest is known before the bytes are.
    given = token("acme/third", limit(50))
    address = f"/v2/acme/third/blobs/uploads/?digest={digests.of(b'x' * 50)}"
    assert bob.send("POST", address, b"x" * 50, token=given).status_code == 201
    assert used() == 50


def test_a_path_is_no_prefix_of_another_ones_name(bob: Person) -> None:
    push(bob, b"x" * 50, limit(None))
    push(bob, b"y" * 70, limit(None, path="acme-evil"), name="acme-evil/app")
    push(bob, b"z" * 90, limit(None, path="acme0"), name="acme0/app")
    assert [used(path) for path in ("acme", "acme-evil", "acme0")] == [50, 70, 90]


def test_every_limit_on_the_way_counts(bob: Person) -> None:
    lower, upper = limit(30, path=APP), limit(100)
    assert push(bob, b"x" * 30, lower, upper).status_code == 201
    refused = push(bob, b"y" * 10, lower, upper)
    assert refused.json()["errors"][0]["detail"]["path"] == APP
    assert push(bob, b"y" * 60, upper, limit(None, path=OTHER), name=OTHER).status_code == 201
    refused = push(bob, b"z" * 20, limit(100, path=APP), upper)
    assert refused.json()["errors"][0]["detail"]["path"] == "acme"


def test_images(bob: Person) -> None:
    quota = {"path": "acme", "images": 2}
    assert push(bob, b"x", quota).status_code == 201
    assert push(bob, b"y", quota, name=OTHER).status_code == 201
    before = state()
    refused = push(bob, b"z", quota, name="acme/third")
    assert_refused(refused, Code.DENIED)
    assert "there are 2 of 2 images" in refused.json()["errors"][0]["message"]
    assert state() == before
    assert push(bob, b"z", quota).status_code == 201, "what is there may grow"


def test_a_manifest_where_more_is_used_than_there_may_be(bob: Person) -> None:
    config, layer = b"{}", b"layer"
    for body in (config, layer):
        push(bob, body, limit(100))
    payload = json.dumps(images.document(config, [layer])).encode()

    def put(size: int) -> Any:
        return bob.send(
            "PUT",
            f"/v2/{APP}/manifests/v1",
            payload,
            content_type=media_types.OCI_MANIFEST,
            token=token(APP, limit(size)),
        )

    before = state()
    assert_refused(put(6), Code.DENIED)
    assert state() == before
    assert put(7).status_code == 201


def test_what_was_there_before_is_counted_at_the_first_push(bob: Person) -> None:
    images.push_blob(APP, b"x" * 50)
    images.push_blob(OTHER, b"x" * 50)
    images.push_blob(ELSEWHERE, b"y" * 50)
    assert_refused(push(bob, b"z" * 60, limit(100)), Code.DENIED)
    assert used() == 50


@pytest.mark.parametrize(
    "quota",
    [
        "much",
        [1],
        [{"bytes": 1}],
        [{"path": "acme", "bytes": "1"}],
        [{"path": "acme", "bytes": True}],
        [{"path": "acme", "images": -1}],
        [{"path": "acme", "ask": 1}],
        [{"path": "acme"}] * 33,
    ],
)
def test_quotas_that_cannot_be_read_let_nobody_push(bob: Person, quota: Any) -> None:
    access = Access("repository", APP, ("pull", "push"), {"quota": quota})
    given = issue([access], subject="bob").text
    answer = bob.send("POST", f"/v2/{APP}/blobs/uploads/", token=given)
    assert_refused(answer, Code.DENIED)
    assert not Repository.objects.exists()


def test_what_quotas_cost(bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota more costs no question more, but for the one of each blob.

    Whether there is room is asked once a second.
    """
    monkeypatch.setattr(usage.Lately, "_SECONDS", 3600.0)
    push(bob, b"first", limit(1000), limit(1000, path=APP))

    def statements(*quotas: dict[str, Any]) -> int:
        with CaptureQueriesContext(connections["registry"]) as captured:
            assert push(bob, images.content(), *quotas).status_code == 201
        return len(captured)

    lock = int(connections["registry"].vendor == "postgresql")
    without = statements()
    assert statements(limit(1000)) == without + 1 + 2 + lock
    assert statements(limit(1000)) == without + 2 + lock
    two = limit(1000), limit(1000, path=APP)
    assert statements(*two) == without + 3 + lock


def test_room_is_asked_anew_where_it_would_not_fit(
    bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage.Lately, "_SECONDS", 3600.0)
    monkeypatch.setattr(upload_limits, "UNASKED", 0)
    quota = limit(100)
    push(bob, b"x" * 60, quota)
    given = token(APP, quota)
    begun = bob.send("POST", f"/v2/{APP}/blobs/uploads/", token=given)
    # Somebody else has deleted it, in another process, and the collector has been there.
    UsageTotal.objects.update(bytes=0)
    assert bob.send("PATCH", begun["Location"], b"y" * 70, token=given).status_code == 202


def test_room_that_another_process_has_taken_is_seen_at_the_commit(
    bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage.Lately, "_SECONDS", 3600.0)
    quota = limit(100)
    push(bob, b"x" * 60, quota)
    UsageTotal.objects.filter(bytes=60).update(bytes=90)
    given = token(APP, quota)
    begun = bob.send("POST", f"/v2/{APP}/blobs/uploads/", token=given)
    assert begun.status_code == 202
    assert_refused(push(bob, b"y" * 20, quota), Code.DENIED)
    assert Blob.objects.count() == 1
    assert usage.of(["acme"])["acme"].bytes == 90


def test_uploads_of_one_person_at_once(bob: Person, alice: Person, settings: Any) -> None:
    settings.REGISTRY_UPLOADS_PER_PERSON = 2
    uploads_of = f"/v2/{APP}/blobs/uploads/"

    def begin(person: Person) -> tuple[str, Any]:
        location = person.send("POST", uploads_of)["Location"]
        return location, person.send("PATCH", location, b"part")

    begun = [begin(bob) for _ in range(2)]
    assert [sent.status_code for _, sent in begun] == [202, 202]
    location, refused = begin(bob)
    assert_refused(refused, Code.TOOMANYREQUESTS)
    assert "2 uploads of bob are under way" in refused.json()["errors"][0]["message"]
    assert UploadSession.objects.count() == 2
    # What is whole in one request is not under way, and neither is another person's.
    finish = f"{location}&digest={digests.of(b'whole')}"
    assert bob.send("PUT", finish, b"whole").status_code == 201
    assert begin(alice)[1].status_code == 202
    # What has begun goes on, and one that ends makes room.
    assert bob.send("PATCH", begun[0][1]["Location"], b"more").status_code == 202
    finish = f"{begun[1][1]['Location']}&digest={digests.of(b'part')}"
    assert bob.send("PUT", finish).status_code == 201
    assert begin(bob)[1].status_code == 202


@pytest.mark.parametrize("way", ["post", "mount"])
def test_one_request_is_enough_to_begin_to_count(bob: Person, way: str) -> None:
    body = b"x" * 50
    images.push_blob(ELSEWHERE, body)
    given = token(APP, limit(40), also=(Access.repository(ELSEWHERE, "pull"),))
    query = {"post": "digest={}", "mount": f"mount={{}}&from={ELSEWHERE}"}[way]
    address = f"/v2/{APP}/blobs/uploads/?{query.format(digests.of(body))}"
    assert_refused(
        bob.send("POST", address, body if way == "post" else b"", token=given), Code.DENIED
    )
    assert used() == 0
