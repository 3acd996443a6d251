"""Asking for the files of images, and what came of it. `by` is who asks.

Refusals: `Forbidden`, `NotFound`, `Invalid`, `TooMany`; of the registry `RegistryUnavailable`,
`RegistryRefused`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction
from django.utils import timezone

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import Part, StoredManifest
from gitlab.container_registry.contents import reading as contents
from gitlab.container_registry.layers import storing
from gitlab.container_registry.layers.comparing import Change
from gitlab.container_registry.layers.limits import Limits
from gitlab.container_registry.layers.models import Difference, FileJob
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs import enqueue
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Invalid, NotFound, TooMany

TASK = "workers.tasks.read_layers"

AT_ONCE = 5
"""Jobs of one person that are not over."""

MAX_LAYERS = 127
"""As many as clients take."""

PAGE = 100
"""Differences in a row of the database, and on a page."""

LIMITS = Limits()

_USED_EVERY = dt.timedelta(hours=12)
_FILES = ("rootfs.diff.tar", "image.layer.v1.tar", "image.layer.nondistributable.v1.tar")
"""What is in the media types of layers that are archives of files: docker's and OCI's."""

_Status = FileJob.Status


def layers_of(manifest: StoredManifest) -> list[Part]:
    """The layers of an image that are archives of files. Raises `Invalid` where there are none."""
    found = [part for part in manifest.parts("layers") if _is_archive(part.media_type)]
    if not found:
        raise Invalid({"digest": "It has no layers with files."})
    if len(found) > MAX_LAYERS:
        raise Invalid({"digest": f"It has more than {MAX_LAYERS} layers."})
    return found


def _is_archive(media_type: str) -> bool:
    return any(part in media_type for part in _FILES)


def of_image(repository: ContainerRepository, digest: str) -> FileJob | None:
    """The job about an image's files, None where nobody has asked for them."""
    return FileJob.objects.filter(repository=repository, digest=digest, other=None).first()


def of_two(
    repository: ContainerRepository, digest: str, other: ContainerRepository, other_digest: str
) -> FileJob | None:
    """The job that compares two images' files, None where nobody has asked for it."""
    return FileJob.objects.filter(
        repository=repository, digest=digest, other=other, other_digest=other_digest
    ).first()


def request(
    by: Person,
    repository: ContainerRepository,
    digest: str,
    *,
    other: ContainerRepository | None = None,
    other_digest: str = "",
    registry: Registry | None = None,
) -> FileJob:
    """Have an image's files listed, or compared with those of `other`; once is enough.

    Raises `TooMany` where so many of theirs are not over.
    """
    registry = registry or clients.for_pages()
    layers = _layers(by, repository, digest, registry)
    others = _layers(by, other, other_digest, registry) if other else []
    sizes = {part.digest: part.size_bytes for part in (*layers, *others)}
    if any(size > LIMITS.packed for size in sizes.values()):
        raise Invalid({"digest": f"A layer has more than {LIMITS.packed:,} bytes."})
    columns = {
        "by_id": by.person_id,
        "layers": [part.digest for part in layers],
        "other_layers": [part.digest for part in others],
        "sizes": sizes,
        "total_bytes": sum(sizes.values()),
    }
    mine = FileJob.objects.filter(by_id=by.person_id, status__in=("scheduled", "ongoing"))
    with transaction.atomic():
        row = FileJob.objects.filter(
            repository=repository, digest=digest, other=other, other_digest=other_digest
        ).first()
        if row is not None and not _is_to_be_repeated(row):
            return row
        if mine.count() >= AT_ONCE:
            raise TooMany({"__all__": f"{AT_ONCE} of your requests are not finished yet."})
        if row is None:
            row, _ = FileJob.objects.get_or_create(
                repository=repository,
                digest=digest,
                other=other,
                other_digest=other_digest,
                defaults=columns,
            )
        else:
            _repeat(row, columns)
        enqueue.on_commit(TASK, row.pk)
    return row


def _layers(
    by: Person, repository: ContainerRepository, digest: str, registry: Registry
) -> list[Part]:
    require_in_project(by, repository.project, Ability.READ_IMAGE)
    manifest = contents.manifest(registry, repository.path, digest)
    if manifest is None:
        raise NotFound("no such image")
    return layers_of(manifest)


def _is_to_be_repeated(row: FileJob) -> bool:
    """Whether it has failed, or its answer is not kept any more."""
    if row.status == _Status.FAILED:
        return True
    return row.status == _Status.FINISHED and not row.other_id and not storing.listed(row.layers)


def _repeat(row: FileJob, columns: dict[str, Any]) -> None:
    over = FileJob.objects.filter(pk=row.pk, status__in=(_Status.FAILED, _Status.FINISHED))
    over.update(
        **columns,
        status=_Status.SCHEDULED,
        requested_at=timezone.now(),
        used_at=timezone.now(),
        finished_at=None,
        next_attempt_at=None,
        done_bytes=0,
        failures=0,
        failure_reason="",
    )
    row.refresh_from_db()


def touch(row: FileJob) -> None:
    """Note that an answer is looked at, at most twice a day."""
    now = timezone.now()
    if row.used_at < now - _USED_EVERY:
        FileJob.objects.filter(pk=row.pk).update(used_at=now)


def changes_of(row: FileJob, kind: str, page: int) -> list[Change]:
    """A page of what a comparison found, from 0."""
    stored = Difference.objects.filter(job=row, change=kind, number=page).first()
    return [Change.read(entry) for entry in stored.entries] if stored else []
