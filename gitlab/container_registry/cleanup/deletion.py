"""The step of a run that deletes: one batch of the plan, each tag looked at again.

Our registry deletes a tag only while it points at the digest of the plan and nothing has pulled
that since, in one transaction. Another one is asked before; between that and the deletion somebody
may push, for a moment.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Sum

from gitlab.audit.services import record
from gitlab.container_registry.cleanup.models import CleanupBatch, CleanupRun
from gitlab.container_registry.cleanup.plan import Entry, entries_of, is_digest
from gitlab.container_registry.cleanup.protection import protects_in, rules_of
from gitlab.container_registry.client.connection import RegistryRefused
from gitlab.container_registry.client.registry import OwnApi, Registry
from gitlab.container_registry.client.responses import TagDeletion
from gitlab.jobs import crash_points

_CLOCKS = dt.timedelta(minutes=2)
"""By which the registry's clock may be behind ours."""

DELETED, SPARED = "deleted", "spared"
_SPARED = {
    "moved": "points elsewhere since it was planned",
    "protected": "a rule protects it since it was planned",
    "pulled": "pulled since it was planned",
    "held": "has a tag since, or something refers to it",
    "gone": "was gone already",
}
"""What the registry says of what it has not deleted, in words."""

_Status = CleanupBatch.Status
_OPEN = (_Status.WAITING, _Status.BEGUN)


def next_batch(run: CleanupRun) -> CleanupBatch | None:
    """The next batch of those that go, None where all are done."""
    rows = CleanupBatch.objects.filter(run=run, goes=True, status__in=_OPEN)
    return rows.select_related("repository").order_by("number").first()


def delete(run: CleanupRun, batch: CleanupBatch, registry: Registry) -> None:
    """Delete what of a batch is still as it was planned, and write down what came of each tag.

    Raises what the registry's client does; then nothing is written, and it may be done again.
    """
    was_begun = batch.status == _Status.BEGUN
    CleanupBatch.objects.filter(pk=batch.pk).update(status=_Status.BEGUN)
    crash_points.reached("cleanup_begun")
    entries = entries_of(batch)
    done = _done(run, batch, entries, registry, was_begun=was_begun)
    crash_points.reached("cleanup_deleted")
    with transaction.atomic():
        names = [entry.name for entry in done if entry.outcome == DELETED]
        CleanupBatch.objects.filter(pk=batch.pk).update(
            status=_Status.DONE,
            entries=[entry.as_row() for entry in done],
            deleted_count=len(names),
            spared_count=len(done) - len(names),
        )
        if names and batch.repository is not None:
            record(
                "tag.delete",
                by=run.approved_by,
                target=batch.repository,
                tags=names,
                cleanup=run.pk,
            )
    crash_points.reached("cleanup_recorded")


def _done(
    run: CleanupRun,
    batch: CleanupBatch,
    entries: Sequence[Entry],
    registry: Registry,
    *,
    was_begun: bool,
) -> list[Entry]:
    image = batch.repository
    if image is None or image.is_being_deleted:
        return [entry.ended(SPARED, "the image is gone or being deleted") for entry in entries]
    path = image.path
    spared = dict(_spared(run, path, entries))
    wanted = [entry for entry in entries if entry.name not in spared]
    own = registry.own
    if not wanted:
        found = {}
    elif own is not None:
        found = _by_our_registry(run, path, wanted, own, was_begun=was_begun)
    else:
        found = {each.name: _by_another(path, each, registry) for each in wanted}
    return [
        entry.ended(SPARED, spared[entry.name]) if entry.name in spared else found[entry.name]
        for entry in entries
    ]


def _spared(run: CleanupRun, path: str, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """Names of tags that a rule protects by now, and why."""
    protects = protects_in(run.project)(path)
    for entry in entries:
        if not is_digest(entry.name) and (why := protects(entry.name)):
            yield entry.name, f"protected since: {why}"


def _username(run: CleanupRun) -> str:
    return run.approved_by.username if run.approved_by is not None else ""


def _by_our_registry(
    run: CleanupRun, path: str, wanted: Sequence[Entry], own: OwnApi, *, was_begun: bool
) -> dict[str, Entry]:
    pairs = [(entry.name, entry.digest) for entry in wanted if not is_digest(entry.name)]
    digests = [entry.digest for entry in wanted if is_digest(entry.name)]
    told: dict[str, Any] = {
        "by": _username(run), "project": run.project_id, "cause": run.cause
    }  # fmt: skip
    found = []
    if pairs:
        since = (run.planned_at or run.requested_at) if run.watches_pulls else None
        rules = rules_of(run.project)
        found += own.delete_unmoved(path, pairs, **told, rules=rules, unless_pulled_since=since)
    if digests:
        found += own.delete_untagged(path, digests, **told)
    by_name = {each.name: each for each in found}
    return {
        entry.name: _ended(run, entry, by_name[entry.name], was_begun=was_begun) for entry in wanted
    }


def _ended(run: CleanupRun, entry: Entry, told: TagDeletion, *, was_begun: bool) -> Entry:
    is_ours = told.outcome == "deleted" or (
        was_begun
        and told.outcome == "gone"
        and is_by(run, entry, told.digest, told.until, told.ended_by)
    )
    if is_ours:
        return entry.ended(DELETED, interval=told.interval)
    return entry.ended(SPARED, _SPARED.get(told.outcome, f"the registry says: {told.outcome}"))


def is_by(
    run: CleanupRun, entry: Entry, digest: str, until: dt.datetime | None, ended_by: str
) -> bool:
    """Whether it is a run that has ended a tag, by a worker which then died.

    Told by the last part of the tag's history: what it pointed at, `until` when, who ended that.
    """
    return (
        digest == entry.digest
        and ended_by == _username(run)
        and until is not None
        and run.started_at is not None
        and until >= run.started_at - _CLOCKS
    )


def _by_another(path: str, entry: Entry, registry: Registry) -> Entry:
    tag = registry.tag(path, entry.name)
    if tag is None:
        return entry.ended(SPARED, "was gone already")
    if tag.digest != entry.digest:
        return entry.ended(SPARED, "points elsewhere since it was planned")
    try:
        registry.delete_tag(path, entry.name)
    except RegistryRefused as error:
        return entry.ended(SPARED, f"the registry keeps it: {error}")
    return entry.ended(DELETED)


def counts_of(run: CleanupRun) -> dict[str, Any]:
    """The columns of a run that say how far it is, as its batches say."""
    done = CleanupBatch.objects.filter(run=run, goes=True)
    found = done.aggregate(deleted=Sum("deleted_count"), spared=Sum("spared_count"))
    deleted, spared = found["deleted"] or 0, found["spared"] or 0
    return {"done_count": deleted + spared, "deleted_count": deleted, "spared_count": spared}
