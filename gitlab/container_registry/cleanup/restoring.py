"""The step of a run that takes its deletions back: one batch of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

from django.db import transaction
from django.db.models import Sum

from gitlab.audit.services import record
from gitlab.container_registry.cleanup import deletion
from gitlab.container_registry.cleanup.models import CleanupBatch, CleanupRun
from gitlab.container_registry.cleanup.plan import Entry, entries_of, is_digest
from gitlab.container_registry.client.connection import RegistryRefused
from gitlab.container_registry.client.registry import OwnApi, Registry, own_api
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.protection import guard
from gitlab.jobs import crash_points
from gitlab.principals import Person

RESTORED, LOST = "restored", "lost"
_Status = CleanupBatch.Status
_KEEPS_NOTHING = "keeps nothing of what was deleted"


class _Told(TypedDict):
    """What the registry is told besides."""

    by: str
    project: int


def next_batch(run: CleanupRun) -> CleanupBatch | None:
    """The next batch of which something was deleted, or may have been; None where all is done."""
    rows = CleanupBatch.objects.filter(run=run, goes=True, status__in=[_Status.BEGUN, _Status.DONE])
    return rows.select_related("repository").order_by("number").first()


def is_unclear(run: CleanupRun) -> bool:
    """Whether there is a batch of which nobody has written what became."""
    return CleanupBatch.objects.filter(run=run, goes=True, status=_Status.BEGUN).exists()


def restore(run: CleanupRun, batch: CleanupBatch, registry: Registry) -> None:
    """Let the tags of a batch that were deleted point again where they did.

    One that somebody has pushed since stays as it is, and what was collected is lost; the plan says
    so. Raises what the registry's client does; then it may be done again.
    """
    by, image = run.ended_by, batch.repository
    assert by is not None
    own = own_api(registry, _KEEPS_NOTHING)
    entries = entries_of(batch)
    if image is None or image.is_being_deleted:
        back: dict[str, str] = {}
    else:
        if batch.status == _Status.BEGUN:
            entries = [_found_out(run, image, each, own) for each in entries]
        deleted = [each for each in entries if each.outcome == deletion.DELETED]
        back = _bring_back(image, deleted, own, by)
    crash_points.reached("cleanup_restored")
    done = [_after(each, back) for each in entries]
    names = [each.name for each in done if each.outcome == RESTORED]
    with transaction.atomic():
        CleanupBatch.objects.filter(pk=batch.pk).update(
            status=_Status.UNDONE,
            entries=[each.as_row() for each in done],
            restored_count=len(names),
        )
        if names and image is not None:
            record("tag.restore", by=by, target=image, tags=names, cleanup=run.pk)
    crash_points.reached("cleanup_recorded")


def _found_out(run: CleanupRun, image: ContainerRepository, entry: Entry, own: OwnApi) -> Entry:
    """An entry of a batch of which nobody has written what became: by the tag's history."""
    if is_digest(entry.name):
        # Bringing back what was not deleted is refused, and says so.
        return entry.ended(deletion.DELETED)
    past = own.history(image.path, entry.name, n=1)
    if past and deletion.is_by(run, entry, past[0].digest, past[0].until, past[0].ended_by):
        return entry.ended(deletion.DELETED, interval=past[0].id)
    return entry


def _bring_back(
    image: ContainerRepository, deleted: Sequence[Entry], own: OwnApi, by: Person
) -> dict[str, str]:
    """By the name of a tag why it is not back, "" where it is."""
    refused = _refused(image, [each.name for each in deleted], by)
    deleted = [each for each in deleted if each.name not in refused]
    tags = [each for each in deleted if not is_digest(each.name)]
    others = [each for each in deleted if is_digest(each.name)]
    back = refused | {each.name: _one_back(image, each, own, by) for each in others}
    if tags:
        intervals = [each.interval for each in tags]
        try:
            own.restore_tags(image.path, intervals, by=by.username, project=image.project_id)
        except RegistryRefused:
            # All or none: one after the other says which can't.
            return back | {each.name: _one_back(image, each, own, by) for each in tags}
    return back | {each.name: "" for each in tags}


def _refused(image: ContainerRepository, names: Sequence[str], by: Person) -> dict[str, str]:
    """By name what a rule does not let this person bring back, and why."""
    standing = guard.Standing(by, image.project)
    of_image = standing.why_not_image(image.path, "push")
    found = ((name, of_image or standing.why_not(name, "push")) for name in names)
    return {name: why for name, why in found if why}


def _one_back(image: ContainerRepository, entry: Entry, own: OwnApi, by: Person) -> str:
    path, told = image.path, _Told(by=by.username, project=image.project_id)
    try:
        if is_digest(entry.name):
            own.restore_manifest(path, entry.digest, **told)
        else:
            own.restore_tags(path, [entry.interval], **told)
    except RegistryRefused as error:
        return str(error)
    return ""


def _after(entry: Entry, back: dict[str, str]) -> Entry:
    if entry.outcome != deletion.DELETED:
        return entry
    why = back.get(entry.name, "the image is gone")
    if why:
        return entry.ended(LOST, why, entry.interval)
    return replace(entry, outcome=RESTORED)


def count_of(run: CleanupRun) -> int:
    """How many tags are back."""
    done = CleanupBatch.objects.filter(run=run, goes=True)
    return done.aggregate(n=Sum("restored_count"))["n"] or 0
