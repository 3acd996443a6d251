"""A closed repository whose window is over: its content goes in batches, and at last its row."""

from __future__ import annotations

from django.utils import timezone

from registry.models import (
    DailyPulls,
    Manifest,
    ManifestBlob,
    ManifestChild,
    Repository,
    RepositoryBlob,
    Review,
    Tag,
    UploadSession,
)
from registry.services import pull_counts, upload_parts, usage
from registry.services.garbage import judging, reviews
from registry.services.garbage.batches import Batch
from registry.storage import chosen as storage

PURGE_BATCH = 200
"""Rows of one kind that one step removes."""


def judge_repository(batch: Batch) -> None:
    """One step of purging a closed repository: a batch of tags, manifests, rights, then it.

    Tags first: a hundred thousand of them may point at one manifest, and a step stays bounded.
    """
    (candidate,) = batch.candidates
    repository = batch.repositories.get(candidate.target)
    if repository is None or repository.closed_at is None:
        batch.keep(candidate)
        batch.settle()
        return
    until = repository.closed_at + reviews.window()
    if until > timezone.now():
        batch.postpone(candidate, until)
    elif (
        _purge_tags(repository)
        or _purge_manifests(repository, batch)
        or _purge_rights(repository, batch)
        or _purge_uploads(repository)
        or _purge_pulls(repository)
    ):
        batch.go_on(candidate, timezone.now())
    else:
        Repository.objects.filter(pk=repository.pk).delete()
    batch.settle()


def _purge_tags(repository: Repository) -> bool:
    tags = Tag.objects.filter(repository_id=repository.pk)
    ids = list(tags.values_list("pk", flat=True)[: PURGE_BATCH * 5])
    # By id and in pieces that every engine takes as parameters.
    for start in range(0, len(ids), PURGE_BATCH):
        Tag.objects.filter(pk__in=ids[start : start + PURGE_BATCH]).delete()
    return bool(ids)


def _purge_manifests(repository: Repository, batch: Batch) -> bool:
    some = list(
        Manifest.objects.filter(repository_id=repository.pk)
        .order_by("digest")
        .only("pk", "digest", "size", "repository_id")[:PURGE_BATCH]
    )
    ids = [manifest.pk for manifest in some]
    ManifestBlob.objects.filter(manifest_id__in=ids).delete()
    ManifestChild.objects.filter(parent_id__in=ids).delete()
    pull_counts.forget(ids)
    Manifest.objects.filter(pk__in=ids).delete()
    reviews.drop(Review.Kind.MANIFEST, ids)
    for manifest in some:
        batch.receipt("manifest", manifest.digest, repository, manifest.size, batch.candidates[0])
    return bool(some)


def _purge_rights(repository: Repository, batch: Batch) -> bool:
    some = list(RepositoryBlob.objects.filter(repository_id=repository.pk)[:PURGE_BATCH])
    ids = [link.pk for link in some]
    RepositoryBlob.objects.filter(pk__in=ids).delete()
    reviews.drop(Review.Kind.LINK, ids)
    usage.removed((repository.pk, repository.name, link.blob_id) for link in some)
    held = (batch.candidates[0], repository)
    judging.drop_blobs({link.blob_id: held for link in some}, batch)
    return bool(some)


def _purge_uploads(repository: Repository) -> bool:
    ids = list(
        UploadSession.objects.filter(repository_id=repository.pk).values_list("pk", flat=True)[
            :PURGE_BATCH
        ]
    )
    upload_parts.end(ids)
    for session_id in ids:
        storage.current().discard(session_id)
    return bool(ids)


def _purge_pulls(repository: Repository) -> bool:
    days = DailyPulls.objects.filter(repository_id=repository.pk)
    ids = list(days.values_list("pk", flat=True)[:PURGE_BATCH])
    DailyPulls.objects.filter(pk__in=ids).delete()
    return bool(ids)
