"""GitLab's client against the registry itself: each call is granted, understood, and does what it
says.

Elsewhere each side is tested against one that plays the other, which grants whatever is asked.
"""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client
from django.utils import timezone

from gitlab.container_registry import timeline
from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.container_registry.client.capabilities import Capabilities
from gitlab.container_registry.client.connection import Connection, RegistryRefused
from gitlab.container_registry.client.responses import Ended
from registry.models import Receipt, Review, Revocation
from registry.services import manifests, pull_counts
from registry.services.garbage import collection as garbage
from tests.registry import images
from tokens.verify import Claims

pytestmark = pytest.mark.django_db(databases=["registry"])

APP = "acme/app"


class InProcess(httpx.BaseTransport):
    """Hands requests to the registry's views."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport.handle_request`."""
        headers = {
            name: value for name, value in request.headers.items() if name != "content-length"
        }
        answer = Client().generic(
            request.method,
            request.url.raw_path.decode(),
            request.read(),
            content_type=headers.pop("content-type", ""),
            headers=headers,
        )
        return httpx.Response(
            answer.status_code,
            headers=list(answer.headers.items()),
            stream=httpx.ByteStream(b"".join(answer) if answer.streaming else answer.content),
        )


@pytest.fixture(autouse=True)
def _registry(settings: Any, tmp_path: Path) -> None:
    settings.ROOT_URLCONF = "registry.urls"
    settings.MIDDLEWARE = ["gitlab.server.middleware.RequestIdMiddleware"]
    settings.REGISTRY_STORAGE = {"driver": "filesystem", "root": tmp_path / "store"}


@pytest.fixture
def client() -> BerthRegistry:
    """As the worker has it, without a network in between."""

    def missing() -> None:
        raise AssertionError("the registry has that address")

    return BerthRegistry("http://registry.example", missing=missing, transport=InProcess())


def test_it_is_known_for_ours() -> None:
    """By what the choice of a client asks, and by an answer, not for want of one."""
    asked = Capabilities(Connection("http://registry.example", transport=InProcess()))
    assert asked.has_own_api
    assert asked._has_own_api is True


def test_reading(client: BerthRegistry) -> None:
    image = images.push_image(APP, "v1")
    below = images.push_image(f"{APP}/tools", "v1")
    found = client.repository(APP)
    assert found is not None
    whole = client.repository(APP, below=True)
    assert whole is not None
    assert found.size_bytes is not None
    assert whole.size_bytes is not None
    assert whole.size_bytes > found.size_bytes > 100
    assert client.repository("acme/none") is None
    assert [tag.name for tag in client.tags(APP, name="v", sort="-name").tags] == ["v1"]
    assert client.tags("acme/none").tags == []
    (short,) = client.tag_ages(APP).tags
    (long,) = client.tags(APP).tags
    for column in ("name", "digest", "size_bytes", "created_at", "last_pulled_at"):
        assert getattr(short, column) == getattr(long, column)
    assert short.published_at is not None
    assert long.published_at is not None
    assert abs(short.published_at - long.published_at) < dt.timedelta(milliseconds=2)
    assert client.tag_ages("acme/none").tags == []
    tag = client.tag(APP, "v1")
    assert tag is not None
    assert tag.digest == image.digest
    assert client.tag(APP, "v2") is None
    assert [interval.digest for interval in client.history(APP, "v1")] == [image.digest]
    stored = client.manifest(f"{APP}/tools", below.digest)
    assert stored is not None
    assert stored.payload == below.payload
    freed = client.freed(APP, ["v1"])
    assert freed is not None
    assert freed.alone_bytes


def test_pulls(client: BerthRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours count for nothing."""
    monkeypatch.setattr(pull_counts, "_gathered", pull_counts.Gathered())
    image = images.push_image(APP, "v1")
    assert client.manifest(APP, "v1") is not None
    claims = Claims("bob", (), 0.0, "id", auth_type="build")
    pull_counts.note(claims, manifests.find(APP, "v1"), "v1")
    assert pull_counts.flush()
    (day,) = client.pulls(APP, digest=image.digest)
    assert (day.credential, day.pulls) == ("job", 1)
    assert client.pulls(APP, tag="v1", days=1) == client.pulls(APP) == [day]
    assert client.pulls("acme/none") == []
    tag, found = client.tag(APP, "v1"), client.repository(APP)
    assert tag is not None
    assert found is not None
    assert (tag.pulls, found.pulls_30_days) == (1, 1)
    assert tag.last_pulled_at is not None
    assert found.last_pulled_at == tag.last_pulled_at
    assert tag.pulls_counted_since == found.pulls_counted_since is not None
    assert [tag.name for tag in client.tags(APP, sort="-last_pulled_at").tags] == ["v1"]
    ages = client.tag_ages(APP)
    assert [age.last_pulled_at for age in ages.tags] == [tag.last_pulled_at]
    assert ages.pulls_counted_since == tag.pulls_counted_since


def test_what_is_stored(client: BerthRegistry) -> None:
    common = images.content(1000)
    images.push_image(f"{APP}/web", "v1", config=b"{}", layers=[common, images.content(70)])
    images.push_image(f"{APP}/web", "v2", config=b"{}", layers=[common])
    images.push_image("acme/other", "v1", config=b"{}", layers=[common])
    found = client.stored(APP)
    assert (found.size_bytes, found.alone_bytes, found.images, found.tags) == (1072, 1072, 1, 2)
    assert found.is_exact
    assert client.stored(APP, seen=["acme/*"]).alone_bytes == 70
    assert client.stored("acme").images == 2
    assert client.delete_tag(f"{APP}/web", "v1")
    found = client.stored(APP)
    assert (found.waiting_tags, found.waiting_images) == (1, 0)
    assert found.first_until == found.last_until
    assert found.last_until is not None
    (share,) = client.shares(f"{APP}/web")
    assert (share.names, share.tags, share.alone_bytes, share.size_bytes) == (
        ("v2",),
        1,
        1002,
        1002,
    )
    assert client.shares("acme/nothing") == []


def test_what_is_being_pushed(client: BerthRegistry) -> None:
    images.push_blob(f"{APP}/web", images.content(7))
    (one,) = client.under_way(APP).arriving
    assert (one.path, one.blobs, one.size_bytes) == (f"{APP}/web", 1, 7)
    assert client.under_way(APP, below=False).arriving == ()
    images.push_image(APP, "v1")
    (pushed,) = client.under_way(APP, below=False).pushed
    assert (pushed.path, pushed.tag, pushed.actor) == (APP, "v1", "alice")
    assert client.under_way("acme/nothing").pulls_today == 0


def test_a_tag_goes_and_comes_back(client: BerthRegistry) -> None:
    image = images.push_image(APP, "v1")
    stored = client.manifest(APP, "v1")
    assert stored is not None
    client.point(APP, "v2", stored, by="alice")
    assert client.delete_tag(APP, "v1", by="alice")
    assert not client.delete_tag(APP, "v1")
    ((deleted,), behind) = client.deleted_tags(APP)
    assert behind == 0
    assert client.deleted_tags(APP, name="v1") == ([deleted], 0)
    assert client.deleted_tags(APP, name="V1") == ([], 0)
    assert (deleted.name, deleted.digest) == ("v1", image.digest)
    (latest, *_) = client.history(APP, "v1")
    assert client.restore_tags(APP, [latest.id], by="alice") == ["v1"]
    assert client.delete_manifest(APP, image.digest)
    assert client.tags(APP).tags == []


def test_tags_go_only_where_they_were(client: BerthRegistry) -> None:
    image, other = images.push_image(APP, "v1"), images.push_image(APP, "v2")
    wanted = [("v1", image.digest), ("v2", image.digest), ("v3", image.digest)]
    assert client.freed_by_many(APP, ["v1"]).alone_bytes
    assert client.freed_by_many("acme/none", ["v1"]).alone_bytes == 0
    found = client.delete_unmoved(APP, wanted, by="alice")
    assert [(tag.name, tag.outcome) for tag in found] == [
        ("v1", "deleted"), ("v2", "moved"), ("v3", "gone"),
    ]  # fmt: skip
    assert found[1].digest == other.digest
    again = client.delete_unmoved(APP, wanted[:1], by="alice")
    assert (again[0].outcome, again[0].ended_by) == ("gone", "alice")
    assert (again[0].interval, again[0].until) == (found[0].interval, found[0].until)
    assert client.restore_tags(APP, [found[0].interval]) == ["v1"]
    assert client.delete_unmoved("acme/none", wanted)[2].outcome == "gone"


def test_an_image_goes_and_comes_back(client: BerthRegistry) -> None:
    image = images.push_image(APP, "v1")
    found = client.repository(APP)
    assert found is not None
    assert client.delete_batch(APP) == 0
    assert client.repository(APP) is None
    assert found.id is not None
    client.restore_repository(APP, found.id, by="alice")
    assert client.manifest(APP, image.digest) is not None


def test_referrers(client: BerthRegistry) -> None:
    image = images.push_image(APP, "v1")
    made = sorted(
        images.push_artifact(APP, image, kind).digest
        for kind in ("application/vnd.example.sbom", "application/vnd.example.signature")
    )
    found = client.referrers(APP, image.digest)
    assert [each.digest for each in found.referrers] == made
    assert {each.artifact_type for each in found.referrers} == {
        "application/vnd.example.sbom", "application/vnd.example.signature",
    }  # fmt: skip
    assert found.next_last == ""
    first = client.referrers(APP, image.digest, n=1)
    assert first.next_last == made[0]
    second = client.referrers(APP, image.digest, n=1, last=first.next_last)
    assert [each.digest for each in second.referrers] == made[1:]
    signed = client.referrers(APP, image.digest, artifact_type="application/vnd.example.sbom")
    assert len(signed.referrers) == 1
    assert client.referrers("acme/none", image.digest).referrers == []


def test_what_holds_a_digest(client: BerthRegistry) -> None:
    image = images.push_image(APP, "v1")
    other = images.push_image("acme/other", "v1")
    held = client.holders(APP, image.layers[0])
    assert (held.state, held.kinds, held.is_complete) == ("held", ("blob",), True)
    assert [step["kind"] for step in held.holders[0].chain] == ["manifest", "tag"]
    assert held.holders[0].path == APP
    assert client.holders(APP, other.digest).state == "unknown"
    assert client.holders("acme/none", image.digest).state == "unknown"
    assert client.holders_anywhere(other.digest).holders[0].path == "acme/other"
    assert client.holders_anywhere(f"sha256:{'0' * 64}").state == "unknown"
    client.delete_tag(APP, "v1")
    waiting = client.holders(APP, image.digest)
    assert waiting.state == "garbage"
    assert waiting.goes_at is not None


@pytest.mark.parametrize("new", ["acme/new", "acme/team/app", "app"])
def test_renaming(client: BerthRegistry, new: str) -> None:
    image = images.push_image(APP, "v1")
    images.push_image(f"{APP}/tools", "v1")
    assert client.rename(APP, new, dry_run=True)
    assert client.manifest(APP, "v1") is not None
    assert client.rename(APP, new)
    moved = client.manifest(new, image.digest)
    assert moved is not None
    assert client.tags(f"{new}/tools").tags
    assert not client.rename(APP, new)
    images.push_image(APP, "v1")
    with pytest.raises(RegistryRefused) as refused:
        client.rename(APP, new)
    assert refused.value.status == 409


def test_what_is_kept_without_a_tag(client: BerthRegistry, settings: Any) -> None:
    image = images.push_image(APP, None)
    assert client.keep_untagged(APP, keep=True)
    assert not client.keep_untagged("acme/none", keep=True)
    settings.REGISTRY_GC_REVIEW_DELAY = settings.UNDO_WINDOW = dt.timedelta(0)
    Review.objects.update(due_at=timezone.now())
    client.review_garbage()
    assert client.manifest(APP, image.digest) is not None
    assert client.keep_untagged(APP, keep=False)
    client.review_garbage()
    assert client.manifest(APP, image.digest) is None


def test_tokens_end(client: BerthRegistry) -> None:
    client.revoke([Ended(subject="bob"), Ended(subject="bob", path="acme")], time.time())
    assert Revocation.objects.count() == 2


def test_events(client: BerthRegistry) -> None:
    images.push_image(APP, "v1")
    happened = client.events(0)
    assert {(event.action, event.path) for event in happened} >= {("push", APP)}
    assert client.events(happened[-1].id) == []


def test_collecting_and_verifying(client: BerthRegistry, settings: Any) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = settings.UNDO_WINDOW = dt.timedelta(0)
    images.push_image(APP, None)
    run = client.review_garbage()
    assert run.removed
    while client.garbage().due:
        client.review_garbage()
    assert not garbage.review(100).reviewed
    found = client.garbage()
    assert sum(day.count for day in found.removed) == Receipt.objects.count() > 0
    assert sum(day.bytes for day in found.removed) > 0
    assert (found.faults, found.paused_until) == (0, None)
    images.push_image(APP, "v1")
    assert client.verify_slice() == 0


def test_looking_inside(client: BerthRegistry) -> None:
    image = images.push_image(APP, "v1", config=b"{}")
    images.push_image(f"{APP}/tools", "v1", config=b"{}")
    signature = f"{image.digest.replace(':', '-')}.sig"
    images.push_image(APP, signature)
    missing = f"sha256:{'0' * 64}"
    assert client.blob(APP, image.config) == b"{}"
    assert client.blob(APP, missing) is None
    assert (client.has_blob(APP, image.config), client.has_blob(APP, missing)) == (True, False)
    assert client.has_manifest(APP, image.digest)
    assert not client.has_manifest(f"{APP}/tools", image.digest)
    found = client.manifest_details(APP, [image.digest, missing])
    assert found.keys() == {image.digest}
    assert found[image.digest].size_bytes > 100
    assert client.manifest_details("acme/none", [missing]) == {}
    shared = client.shared_blobs(APP, [image.config, *image.layers], seen=[APP, f"{APP}/*"])
    assert shared is not None
    assert {digest: each.names for digest, each in shared.items()} == {
        image.config: (f"{APP}/tools",)
    }
    listed = client.tags(APP, signatures=False, belongings=True).tags
    assert [(tag.name, tag.belongings) for tag in listed] == [("v1", ("cosign.sig",))]
    assert client.tags(APP, signed=True).tags == client.tags(APP, signatures=False).tags
    assert client.tags(APP, signed=False).tags == []
    tag = client.tag(APP, "v1", belongings=True)
    assert tag is not None
    assert tag.belongings == ("cosign.sig",)
    details = client.repository(APP)
    assert details is not None
    assert (details.pull_tag, details.signature_tags_count) == ("v1", 1)


def test_an_overview(client: BerthRegistry) -> None:
    first = images.push_image(APP, "v1")
    image = images.push_image(APP, "v1", config=b"{}")
    images.push_image(f"{APP}/tools", "v1", config=b"{}")
    referrer = images.push_artifact(APP, image, "application/x.sbom")
    below = images.push_artifact(APP, referrer, "application/x.signature")
    tie = images.push_image(APP, f"{image.digest.replace(':', '-')}.sig")
    found = client.overview(APP, tag="v1", history=timeline.part(), days=30, seen=[APP, f"{APP}/*"])
    assert found is not None
    assert found.tag == client.tag(APP, "v1")
    assert found.digest == image.digest
    assert list(found.history) == client.history(APP, "v1")
    assert found.manifests == client.manifest_details(APP, [image.digest, first.digest])
    assert found.referrers == client.referrers(APP, image.digest)
    assert found.below == {referrer.digest: client.referrers(APP, referrer.digest).referrers}
    assert found.below[referrer.digest][0].digest == below.digest
    assert [(each.digest, each.kind) for each in found.signatures] == [(tie.digest, "sig")]
    assert found.shared_blobs == client.shared_blobs(APP, [image.config], seen=[f"{APP}/*"])
    assert (found.has_config, found.is_whole, list(found.pulls)) == (True, True, [])
    assert client.overview(APP, digest=first.digest) is not None
    assert client.overview(APP, digest=f"sha256:{'0' * 64}") is None
    assert client.overview("acme/none", tag="v1") is None
    never = client.overview(APP, tag="never", history=timeline.part())
    assert never is not None
    assert (never.tag, never.digest, list(never.history)) == (None, "", [])
    here = client.has_blobs(APP, [image.config, *image.layers, f"sha256:{'0' * 64}"])
    assert here == {image.config, *image.layers}
    assert client.has_blobs("acme/none", [image.config]) == set()


def test_pointing_back(client: BerthRegistry) -> None:
    first = images.push_image(APP, "v1")
    images.push_image(APP, "v1")
    _, past = client.history(APP, "v1")
    assert client.history(APP, "v1", before=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)) == []
    with pytest.raises(RegistryRefused):
        client.restore_tags(APP, [past.id], by="bob")
    assert client.restore_tags(APP, [past.id], by="bob", move=True) == ["v1"]
    tag = client.tag(APP, "v1")
    assert tag is not None
    assert (tag.digest, tag.published_at, tag.restored_by) == (first.digest, past.since, "bob")
    latest = client.history(APP, "v1", n=1)[0]
    assert (latest.pushed_at, latest.restored_at) == (past.since, latest.since)


def test_a_blob_as_it_comes(client: BerthRegistry) -> None:
    image = images.push_image(APP, "v1", config=b"{}")
    assert b"".join(client.layer(APP, image.config)) == b"{}"
    for path, digest in ((APP, f"sha256:{'0' * 64}"), (f"{APP}/tools", image.config)):
        with pytest.raises(RegistryRefused):
            list(client.layer(path, digest))
