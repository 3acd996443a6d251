"""F08: a worker that dies at any step of a cleanup; another one finishes the plan and no more."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.cleanup import plan, requests, runs, services
from gitlab.container_registry.cleanup.models import CleanupBatch, CleanupRun
from gitlab.container_registry.client.responses import AgesPage, Freed, TagAge, TagDeletion
from gitlab.jobs import crash_points, leases
from gitlab.jobs.leases import Outcome

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]
PLANNED = [f"v{number}" for number in range(6)]
ALL = ["latest", *PLANNED, "x"]
DIGEST = f"sha256:{'a' * 64}"


class _Registry:
    """Tags in a file each, so that what a dead worker has done is done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "now").mkdir()
        (folder / "gone").mkdir()
        for name in ALL:
            (folder / "now" / name).touch()

    @property
    def own(self) -> Any:
        return self

    def left(self) -> list[str]:
        return sorted(file.name for file in (self.folder / "now").iterdir())

    def tag_ages(self, path: str, *, n: int, last: str) -> AgesPage:
        return AgesPage([TagAge(name, DIGEST, 5) for name in self.left()])

    def freed_by_many(self, path: str, tags: Any, *, seen: Any) -> Freed:
        return Freed(len(tags))

    def freed_by_manifests(self, path: str, digests: Any, *, seen: Any) -> Freed:
        return Freed(len(digests))

    def delete_unmoved(self, path: str, tags: Any, *, by: str, **_: Any) -> list[TagDeletion]:
        return [self._delete(name, by) for name, _ in tags]

    def _delete(self, name: str, by: str) -> TagDeletion:
        here, gone = self.folder / "now" / name, self.folder / "gone" / name
        outcome = "deleted" if here.exists() else "gone"
        if here.exists():
            gone.write_text(timezone.now().isoformat())
            here.unlink()
        until = dt.datetime.fromisoformat(gone.read_text())
        return TagDeletion(name, outcome, DIGEST, ALL.index(name) + 1, until, by)

    def restore_tags(self, path: str, intervals: Any, *, by: str, project: int) -> list[str]:
        names = [ALL[interval - 1] for interval in intervals]
        for name in names:
            (self.folder / "now" / name).touch()
        return names


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    return _Registry(tmp_path)


@pytest.fixture
def run(make_image: Any, alice: Any, enqueued: Any, monkeypatch: pytest.MonkeyPatch) -> CleanupRun:
    monkeypatch.setattr(plan, "GOING_IN_BATCH", 2)
    project = make_image("alice/app").project
    services.save_policy(alice, project, rules=[{"name_regex_delete": "v.*"}])
    return requests.request(alice, project)


def dies(pk: int, registry: Any, settings: Any, point: str) -> None:
    """Another process takes its turn, and is killed at `point`."""
    pid = os.fork()
    if pid == 0:
        try:
            connections["default"].connection = None  # Not closed: it is the parent's.
            settings.CRASH_AT = point
            runs.run(pk, registry)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == crash_points.EXIT_CODE


def succeed(pk: int, registry: Any) -> Outcome:
    """The lease of the dead is over, and another worker takes over."""
    assert runs.run(pk, registry) is Outcome.NOT_OURS
    long_ago = timezone.now() - leases.STALE - dt.timedelta(seconds=1)
    CleanupRun.objects.update(lease_renewed_at=long_ago)
    assert runs.due() == [pk]
    return runs.run(pk, registry)


def tags_of(run: CleanupRun, outcome: str) -> list[str]:
    batches = CleanupBatch.objects.filter(run=run, goes=True).order_by("number")
    found = [entry for batch in batches for entry in plan.entries_of(batch)]
    return [entry.name for entry in found if entry.outcome == outcome]


def test_while_it_plans(run: CleanupRun, registry: Any, settings: Any) -> None:
    dies(run.pk, registry, settings, "cleanup_planned")
    assert succeed(run.pk, registry) is Outcome.DONE
    run.refresh_from_db()
    assert (run.status, run.going_count) == ("planned", 6)
    assert CleanupBatch.objects.filter(run=run, goes=True).count() == 3
    assert registry.left() == ALL


POINTS = ["cleanup_begun", "cleanup_deleted", "cleanup_recorded", "cleanup_counted"]


@pytest.mark.parametrize("point", POINTS)
def test_while_it_deletes(
    run: CleanupRun, registry: Any, settings: Any, alice: Any, point: str
) -> None:
    runs.run(run.pk, registry)
    requests.approve(alice, run)
    dies(run.pk, registry, settings, point)
    assert len(registry.left()) == (8 if point == "cleanup_begun" else 6)
    # What comes after the plan is none of its business.
    (registry.folder / "now" / "v9").touch()
    assert succeed(run.pk, registry) is Outcome.DONE
    run.refresh_from_db()
    assert (run.status, run.deleted_count, run.spared_count) == ("finished", 6, 0)
    assert registry.left() == ["latest", "v9", "x"]
    assert tags_of(run, "deleted") == PLANNED
    told = AuditEvent.objects.filter(action="tag.delete").order_by("pk")
    assert [name for event in told for name in event.details["tags"]] == PLANNED


@pytest.mark.parametrize("point", ["cleanup_restored", "cleanup_recorded", "cleanup_counted"])
def test_while_it_is_undone(
    run: CleanupRun, registry: Any, settings: Any, alice: Any, point: str
) -> None:
    runs.run(run.pk, registry)
    requests.approve(alice, run)
    runs.run(run.pk, registry)
    run.refresh_from_db()
    requests.undo(alice, run)
    dies(run.pk, registry, settings, point)
    assert succeed(run.pk, registry) is Outcome.DONE
    run.refresh_from_db()
    assert (run.status, run.restored_count) == ("undone", 6)
    assert registry.left() == ALL


def test_one_that_died_can_be_cancelled_and_undone(
    run: CleanupRun, registry: Any, settings: Any, alice: Any
) -> None:
    """The batch that it was at is brought to its end, so that nothing is deleted and not told."""
    runs.run(run.pk, registry)
    requests.approve(alice, run)
    dies(run.pk, registry, settings, "cleanup_deleted")
    run.refresh_from_db()
    requests.cancel(alice, run)
    assert succeed(run.pk, registry) is Outcome.DONE
    run.refresh_from_db()
    assert (run.status, run.deleted_count) == ("cancelled", 2)
    assert len(registry.left()) == 6
    requests.undo(alice, run)
    assert runs.run(run.pk, registry) is Outcome.DONE
    assert registry.left() == ALL


def test_every_step_is_tried() -> None:
    ours = {point for point in crash_points.POINTS if point.startswith("cleanup_")}
    assert ours == {*POINTS, "cleanup_planned", "cleanup_restored"}
