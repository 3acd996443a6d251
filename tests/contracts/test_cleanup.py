"""A cleanup against the registry itself: previewed, approved, run, undone, run again, collected."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from gitlab.container_registry.cleanup import collecting, plan, requests, runs, services
from gitlab.container_registry.cleanup.models import CleanupBatch, CleanupRun
from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.jobs.leases import Outcome
from registry.models import Blob, Manifest, Receipt, Tag
from registry.services import repositories, tags
from registry.services.garbage import collection as garbage
from tests.contracts.test_registry_client import InProcess, _registry  # noqa: F401
from tests.gitlab.factories import *  # noqa: F403
from tests.registry import images
from tests.registry.conftest import Clock

pytestmark = pytest.mark.django_db(databases=["default", "registry"])
PATH = "acme/app"


@pytest.fixture
def registry() -> BerthRegistry:
    return BerthRegistry("http://registry.example", transport=InProcess())


@pytest.fixture
def app(alice: Any, make_project: Any, make_image: Any, enqueued: Any) -> Any:
    project = make_project(PATH, owner=alice)
    make_image(PATH, of=project)
    return project


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock of both sides to move."""
    moved = Clock()
    monkeypatch.setattr(timezone, "now", moved.now)
    return moved


def there() -> set[str]:
    return set(Tag.objects.filter(ended_at=None).values_list("name", flat=True))


def transcript(run: CleanupRun) -> list[str]:
    """The plan as people read it, with what came of it."""
    batches = CleanupBatch.objects.filter(run=run).order_by("number")
    found = [entry for batch in batches for entry in plan.entries_of(batch)]
    return [f"{each.name}: {each.reason} {each.outcome} {each.said}".strip() for each in found]


def test_preview_approve_run_receipt_undo(app: Any, alice: Any, registry: Any, clock: Any) -> None:
    base, first, second = b"shared layer", b"of the first", b"of the second"
    old = images.push_image(PATH, "v1", layers=[base, first])
    clock.advance(days=20)
    images.push_image(PATH, "v2", layers=[base, second])
    images.push_image(PATH, "latest", layers=[base])
    services.save_policy(alice, app, rules=[{"name_regex_delete": ".*", "keep_n": 1}])

    run = requests.request(alice, app)
    assert runs.run(run.pk, registry) is Outcome.DONE
    run.refresh_from_db()
    assert transcript(run) == [
        "v1: deleted: older than the newest 1 of .*",
        "latest: kept: latest always stays",
        "v2: kept: newest 1 of .*",
    ]
    assert there() == {"v1", "v2", "latest"}
    assert run.shared_bytes >= len(base)
    assert run.freed_bytes >= len(first)

    requests.approve(alice, run)
    assert runs.run(run.pk, registry) is Outcome.DONE
    run.refresh_from_db()
    assert (run.status, run.deleted_count) == ("finished", 1)
    assert transcript(run)[0] == "v1: deleted: older than the newest 1 of .* deleted"
    assert there() == {"v2", "latest"}
    assert Tag.objects.get(name="v1").ended_by == "alice"

    requests.undo(alice, run)
    assert runs.run(run.pk, registry) is Outcome.DONE
    run.refresh_from_db()
    assert (run.status, run.restored_count) == ("undone", 1)
    assert there() == {"v1", "v2", "latest"}
    stored = registry.manifest(PATH, "v1")
    assert stored is not None
    assert stored.payload == old.payload


def test_the_bytes_of_the_plan_are_those_that_the_collector_frees(
    app: Any, alice: Any, registry: Any, clock: Any
) -> None:
    for number in range(3):
        images.push_image(PATH, f"v{number}", layers=[b"shared", bytes([number]) * 1000])
        clock.advance(days=1)
    images.push_image(PATH, "kept", layers=[b"shared"])
    images.push_image(PATH, "other", layers=[b"shared", b"another's"], config=b"{}")
    services.save_policy(alice, app, rules=[{"name_regex_delete": "v.*"}])
    clock.advance(days=10)
    run = requests.request(alice, app)
    runs.run(run.pk, registry)
    requests.approve(alice, run)
    runs.run(run.pk, registry)
    run.refresh_from_db()
    before = sum(Blob.objects.values_list("size", flat=True))
    # Somebody else deletes at the same time: that is not this run's work.
    tags.delete(PATH, "other", images.ALICE)
    clock.advance(days=30)
    assert collecting.note_collected(registry) == 0
    for _ in range(5):
        garbage.review(1000)
        clock.advance(days=2)
    after = sum(Blob.objects.values_list("size", flat=True))
    assert before - after == run.freed_bytes + len(b"another's{}")
    assert run.is_exact
    assert collecting.note_collected(registry) == 1
    run.refresh_from_db()
    assert run.collected_bytes == run.freed_bytes
    assert run.collected_at is not None
    assert there() == {"kept"}
    assert Receipt.objects.filter(kind="manifest").count() == 4
    assert Receipt.objects.filter(kind="manifest", cause=run.cause).count() == 3
    assert Manifest.objects.count() == 1


def test_what_is_pushed_meanwhile_stays(app: Any, alice: Any, registry: Any) -> None:
    for number in range(4):
        images.push_image(PATH, f"v{number}", layers=[bytes([number])])
    services.save_policy(alice, app, rules=[{"name_regex_delete": ".*"}])
    run = requests.request(alice, app)
    runs.run(run.pk, registry)
    moved = images.push_image(PATH, "v1", layers=[b"anew"])
    images.push_image(PATH, "v9", layers=[b"new"])
    requests.approve(alice, run)
    runs.run(run.pk, registry)
    assert there() == {"v1", "v9"}
    assert Tag.objects.get(name="v1", ended_at=None).digest == moved.digest
    run.refresh_from_db()
    assert (run.deleted_count, run.spared_count) == (3, 1)


def test_signatures_go_with_their_image(app: Any, alice: Any, registry: Any, clock: Any) -> None:
    image = images.push_image(PATH, "v1", layers=[b"signed"])
    name = f"{image.digest.replace(':', '-')}.sig"
    images.push_image(PATH, name, layers=[b"signature"])
    services.save_policy(alice, app, rules=[{"name_regex_delete": ".*"}])
    clock.advance(days=10)
    run = requests.request(alice, app)
    runs.run(run.pk, registry)
    requests.approve(alice, run)
    runs.run(run.pk, registry)
    assert there() == {name}
    clock.advance(days=30)
    for _ in range(5):
        garbage.review(1000)
        clock.advance(days=2)
    assert there() == set()


def test_images_without_a_tag(app: Any, alice: Any, registry: Any, clock: Clock) -> None:
    alone = images.push_image(PATH, None, layers=[b"alone"])
    tagged = images.push_image(PATH, None, layers=[b"tagged since"])
    child = images.push_image(PATH, None, layers=[b"of an index"])
    images.push_index(PATH, "index", [child.descriptor])
    repositories.set_collect_untagged(PATH, False)
    clock.advance(days=45)
    young = images.push_image(PATH, None, layers=[b"young"])
    clock.advance(days=3)
    services.save_policy(alice, app, rules=[{"untagged": True, "older_than": "30d"}])
    run = requests.request(alice, app)
    assert runs.run(run.pk, registry) is Outcome.DONE
    run.refresh_from_db()
    assert transcript(run) == [
        f"{alone.digest}: deleted: without a tag for 48 days",
        f"{tagged.digest}: deleted: without a tag for 48 days",
        "index: kept: no rule matches it",
        f"{young.digest}: kept: without a tag for 3 days only",
    ]
    assert run.freed_bytes > len(b"alone")
    images.push_manifest(PATH, "v1", json.loads(tagged.payload))
    requests.approve(alice, run)
    assert runs.run(run.pk, registry) is Outcome.DONE
    assert [line.rpartition(" days ")[2] for line in transcript(run)[:2]] == [
        "deleted",
        "spared has a tag since, or something refers to it",
    ]
    assert set(Manifest.objects.exclude(deleted_at=None).values_list("digest", flat=True)) == {
        alone.digest
    }
    run.refresh_from_db()
    requests.undo(alice, run)
    assert runs.run(run.pk, registry) is Outcome.DONE
    run.refresh_from_db()
    assert (run.status, run.restored_count) == ("undone", 1)
    assert not Manifest.objects.exclude(deleted_at=None).exists()
