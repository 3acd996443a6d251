"""A job measures what is stored: image by image, project by project, namespace by namespace.

The rows are the queue: one whose `due_at` has come is measured, once a day, and soon after
something was pushed or deleted there, which the registry's events tell. Whoever takes a row moves
`due_at` by a lease first; one who dies leaves it where it is found when that is over. Twice is as
once.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import OwnApi, Registry
from gitlab.container_registry.client.responses import Happened, Share, Stored
from gitlab.container_registry.image_paths import located
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Namespace, Project
from gitlab.storage.models import Candidate, DailySize, Measure

BUDGET = 20.0
"""Seconds of one task."""

DAY = dt.timedelta(days=1)
LEASE = dt.timedelta(minutes=10)
SOON = dt.timedelta(minutes=2)
"""From a push to the measure of its image and project: several pushes are measured once."""

LATER = dt.timedelta(minutes=30)
"""To that of the namespaces above, which costs more."""

KEPT_DAYS = 400
"""Days of growth that are kept."""

SHARES = 50
"""Tags of an image that are known by what they hold alone."""

CANDIDATES = 5
"""Of one image."""

UNUSED = dt.timedelta(days=30)
"""What was neither pushed nor pulled for so long could be deleted."""

_NEW = 500
_SWEPT = 5000


def measure(registry: Registry | None = None, *, budget: float = BUDGET) -> int:
    """Measure what is due, until nothing is or the time is up; how many rows that were.

    None are where the registry has no API of ours. Raises `RegistryUnavailable`, `RegistryRefused`;
    what was measured before stays.
    """
    own = (registry or clients.for_jobs()).own
    if own is None:
        return 0
    until = time.monotonic() + budget
    _note_new()
    _sweep()
    done = 0
    while time.monotonic() < until:
        row = Measure.objects.filter(due_at__lte=timezone.now()).order_by("due_at").first()
        if row is None:
            break
        lease = timezone.now() + LEASE
        if Measure.objects.filter(pk=row.pk, due_at=row.due_at).update(due_at=lease):
            _measure(row, own)
            # What has happened meanwhile has made it due earlier.
            taken = Measure.objects.filter(pk=row.pk, due_at=lease)
            taken.update(due_at=timezone.now() + DAY)
            done += 1
    return done


def note(events: Sequence[Happened], registry: Registry) -> None:
    """Have measured soon what `events` have changed. A reader of `container_registry.events`."""
    images = located({event.path for event in events})
    projects = {image.project.id for image in images.values() if image.project}
    namespaces = {pk for image in images.values() for pk in image.ancestors}
    _hurry(Measure.objects.filter(repository__path__in=list(images)), SOON)
    _hurry(Measure.objects.filter(project_id__in=projects), SOON)
    _hurry(Measure.objects.filter(namespace_id__in=namespaces), LATER)


def _hurry(rows: QuerySet[Measure], delay: dt.timedelta) -> None:
    at = timezone.now() + delay
    rows.filter(due_at__gt=at).update(due_at=at)


def _note_new() -> None:
    """A row for each that has none yet."""
    kinds: Sequence[tuple[str, type[Model]]] = (
        ("repository", ContainerRepository),
        ("project", Project),
        ("namespace", Namespace),
    )
    for name, model in kinds:
        every = model._default_manager.order_by("pk")  # noqa: SLF001
        new = list(every.filter(measure=None).values_list("pk", flat=True)[:_NEW])
        if not new:
            continue
        with transaction.atomic():
            # Held until theirs are there: what has gone meanwhile would leave a row of nothing.
            held = every.filter(pk__in=new).select_for_update(no_key=True)
            rows = [Measure(**{f"{name}_id": pk}) for pk in held.values_list("pk", flat=True)]
            Measure.objects.bulk_create(rows, ignore_conflicts=True)


def _sweep() -> None:
    first = timezone.now().date() - dt.timedelta(days=KEPT_DAYS)
    old = DailySize.objects.filter(day__lt=first).order_by("day")
    DailySize.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:_SWEPT])).delete()


def _measure(row: Measure, own: OwnApi) -> None:
    """Measure one, unless it has gone meanwhile."""
    try:
        if row.repository_id is not None:
            images = ContainerRepository.objects.select_related("project__namespace")
            _measure_image(row, images.get(pk=row.repository_id), own)
        elif row.project_id is not None:
            project = Project.objects.select_related("namespace").get(pk=row.project_id)
            _keep(row, own.stored(project.full_path, seen=[f"{project.namespace.full_path}/*"]))
        elif row.namespace_id is not None:
            namespace = Namespace.objects.select_related("parent").get(pk=row.namespace_id)
            seen = [f"{namespace.parent.full_path}/*"] if namespace.parent else []
            _keep(row, own.stored(namespace.full_path, seen=seen))
    except ObjectDoesNotExist:
        return


@transaction.atomic
def _keep(row: Measure, found: Stored) -> None:
    is_there = _update(
        row,
        size_bytes=found.size_bytes,
        alone_bytes=found.alone_bytes,
        images=found.images,
        tags=found.tags,
        is_exact=found.is_exact,
        waiting_bytes=found.waiting_bytes,
        waiting_tags=found.waiting_tags,
        waiting_images=found.waiting_images,
        first_until=found.first_until,
        last_until=found.last_until,
    )
    if not is_there:
        return
    of = {"project_id": row.project_id} if row.project_id else {"namespace_id": row.namespace_id}
    DailySize.objects.update_or_create(
        **of,
        day=timezone.now().date(),
        defaults={"size_bytes": found.size_bytes, "waiting_bytes": found.waiting_bytes},
    )


def _update(row: Measure, **values: Any) -> bool:
    """Whether the row is still there."""
    # Not the whole row: `due_at` may be another by now.
    there = Measure.objects.filter(pk=row.pk)
    return bool(there.update(measured_at=timezone.now(), **values))


def _measure_image(row: Measure, image: ContainerRepository, own: OwnApi) -> None:
    freed = own.freed(image.path, seen=_of_project(image.project))
    details = own.repository(image.path, size=False)
    shares = own.shares(image.path, SHARES)
    candidates = [*_unused(image, shares, own), *_untagged(image, own)]
    with transaction.atomic():
        is_there = _update(
            row,
            size_bytes=freed.alone_bytes + freed.shared_bytes if freed else 0,
            alone_bytes=freed.alone_bytes if freed else 0,
            images=1,
            tags=details.tags_count or 0 if details else 0,
            is_exact=freed.is_exact if freed else False,
            pulled_at=details.last_pulled_at if details else None,
            shares=[_as_json(share) for share in shares],
        )
        image.candidates.all().delete()
        if is_there:
            Candidate.objects.bulk_create(candidates)


def _of_project(project: Project) -> list[str]:
    return [project.full_path, f"{project.full_path}/*"]


def _as_json(share: Share) -> list[Any]:
    """A share as `Measure.shares` keeps it: tags (some), how many, bytes, those alone."""
    return [list(share.names[:3]), share.tags, share.size_bytes, share.alone_bytes]


def _unused(image: ContainerRepository, shares: Sequence[Share], own: OwnApi) -> list[Candidate]:
    """Tags that nobody has pushed or pulled for long and that hold most alone.

    Not what was pushed last, however long ago: an image that is done is no rubbish.
    """
    before = timezone.now() - UNUSED
    latest = max((share.published_at for share in shares if share.published_at), default=before)
    old = [
        share
        for share in shares
        if share.alone_bytes and share.published_at and share.published_at < min(before, latest)
        if share.last_pulled_at is None or share.last_pulled_at < before
        if share.tags == len(share.names)
    ]
    found = []
    for share in old[:CANDIDATES]:
        here, at_top = (
            own.freed_by_many(image.path, share.names, seen=seen).alone_bytes
            for seen in (_of_project(image.project), _at_top(image.project))
        )
        if here:
            found.append(
                Candidate(
                    repository=image,
                    digest=share.digest,
                    names=list(share.names),
                    freed_bytes=here,
                    freed_at_top_bytes=at_top,
                    published_at=share.published_at,
                    pulled_at=share.last_pulled_at,
                )
            )
    return found


def _at_top(project: Project) -> list[str]:
    return [*_of_project(project), f"{project.namespace.root_path}/*"]


def _untagged(image: ContainerRepository, own: OwnApi) -> list[Candidate]:
    """What an image keeps that no tag points at; where it is collected, it goes by itself."""
    if not image.keeps_untagged:
        return []
    loose, _ = own.untagged(image.path)
    digests = [each.digest for each in loose]
    if not digests:
        return []
    here, at_top = (
        own.freed_by_manifests(image.path, digests, seen=seen).alone_bytes
        for seen in (_of_project(image.project), _at_top(image.project))
    )
    if not here:
        return []
    since = max((each.published_at for each in loose if each.published_at), default=None)
    return [
        Candidate(
            repository=image,
            manifests=len(digests),
            freed_bytes=here,
            freed_at_top_bytes=at_top,
            published_at=since,
        )
    ]
