"""What the collector asks of manifests, of rights to blobs and of blobs, and how it removes them.

Each question is one query for a whole batch, asked in the transaction that removes, with the
batch's repositories held.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from django.db import connections
from django.db.models import Exists, Max, Min, OuterRef
from django.utils import timezone

from registry.models import (
    Blob,
    Manifest,
    ManifestBlob,
    ManifestChild,
    Repository,
    RepositoryBlob,
    Review,
    Tag,
    Tombstone,
)
from registry.services import database, pull_counts, tags, usage
from registry.services.garbage import holding, reviews
from registry.services.garbage.batches import Batch


def judge_manifests(batch: Batch) -> None:
    """Remove the manifests that nothing holds; what they referred to is reviewed next."""
    found = Manifest.objects.defer("payload").in_bulk([c.target for c in batch.candidates])
    live = held(batch.repositories, found.values())
    windows = windows_of(found.values())
    now = timezone.now()
    for candidate in batch.candidates:
        if candidate.target not in found or candidate.target in live:
            batch.keep(candidate)
        elif windows[candidate.target] > now:
            batch.postpone(candidate, windows[candidate.target])
    doomed = batch.settle()
    if doomed:
        _remove_manifests([(found[c.target], c) for c in doomed], batch)


def held(repositories: Mapping[int, Repository], manifests: Iterable[Manifest]) -> set[int]:
    """The ids of those that a tag, an index, a subject or their repository's setting holds.

    The review of a closed repository takes everything in it: here that counts as held.
    """
    asked = Manifest.objects.filter(pk__in=[manifest.pk for manifest in manifests])
    found = asked.filter(holding.held_manifests())
    return set(found.values_list("pk", flat=True)) | _elsewhere(repositories, manifests)


def _elsewhere(
    repositories: Mapping[int, Repository], rows: Iterable[Manifest | RepositoryBlob]
) -> set[int]:
    """The ids of those whose repository has gone or is closed."""
    open_ones = {pk for pk, row in repositories.items() if row.closed_at is None}
    return {row.pk for row in rows if row.repository_id not in open_ones}


def windows_of(manifests: Iterable[Manifest]) -> dict[int, dt.datetime]:
    """By id when the window of its deletion, of its last tag and of its own age is over."""
    manifests = list(manifests)
    ended = _last_ends(manifest.pk for manifest in manifests)
    return {
        manifest.pk: max(
            moment
            for moment in (manifest.deleted_at or manifest.pushed_at, ended.get(manifest.pk))
            if moment is not None
        )
        + reviews.window()
        for manifest in manifests
    }


def kept_until(manifest: Manifest) -> dt.datetime:
    """`windows_of` one."""
    return windows_of([manifest])[manifest.pk]


def _last_ends(ids: Iterable[int]) -> dict[int, dt.datetime]:
    past = Tag.objects.filter(manifest_id__in=list(ids)).values("manifest_id")
    rows = past.annotate(last=Max("ended_at")).values_list("manifest_id", "last")
    return {pk: last for pk, last in rows if pk is not None and last is not None}


def _last_tags(ids: Sequence[int]) -> dict[int, str]:
    """By id the tag that ended last; of several that ended together the first by name."""
    ends = _last_ends(ids)
    past = Tag.objects.filter(manifest_id__in=ids, ended_at__in=set(ends.values()))
    rows = past.values("manifest_id", "ended_at").annotate(first=Min("name"))
    return {
        row["manifest_id"]: row["first"]
        for row in rows
        if row["ended_at"] == ends[row["manifest_id"]]
    }


def _remove_manifests(doomed: list[tuple[Manifest, Review]], batch: Batch) -> None:
    ids = [manifest.pk for manifest, _ in doomed]
    gone: defaultdict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for manifest, candidate in doomed:
        gone[candidate.cause].append((manifest.pk, manifest.repository_id, manifest.digest))
    last_tags = _last_tags(ids)
    left = {cause: holding.dependents(some) for cause, some in gone.items()}
    ManifestBlob.objects.filter(manifest_id__in=ids).delete()
    ManifestChild.objects.filter(parent_id__in=ids).delete()
    Tag.objects.filter(manifest_id__in=ids).update(manifest_id=None)
    pull_counts.forget(ids)
    Manifest.objects.filter(pk__in=ids).delete()
    for cause, named in left.items():
        # A HEAD may have promised one of them a moment ago, while the manifest still held it.
        reviews.queue(Review.Kind.LINK, named.links, "manifest removed", cause=cause)
        others = named.manifests.difference(ids)
        reviews.queue(Review.Kind.MANIFEST, others, "index or subject removed", cause=cause)
        pairs = [(repository_id, digest) for _, repository_id, digest in gone[cause]]
        tags.end_signatures(batch.repositories, pairs, cause)
    for manifest, candidate in doomed:
        repository = batch.repositories[manifest.repository_id]
        last_tag = last_tags.get(manifest.pk, "")
        batch.receipt("manifest", manifest.digest, repository, manifest.size, candidate, last_tag)


def judge_links(batch: Batch) -> None:
    """Remove the rights to blobs that no manifest needs, and each blob with its last one."""
    ids = [candidate.target for candidate in batch.candidates]
    found = RepositoryBlob.objects.in_bulk(ids)
    used = RepositoryBlob.objects.filter(holding.held_links(), pk__in=ids)
    live = set(used.values_list("pk", flat=True))
    live |= _elsewhere(batch.repositories, found.values())
    for candidate in batch.candidates:
        if candidate.target not in found or candidate.target in live:
            batch.keep(candidate)
    doomed = batch.settle()
    RepositoryBlob.objects.filter(pk__in=[candidate.target for candidate in doomed]).delete()
    pairs = [(found[candidate.target], candidate) for candidate in doomed]
    names = {pk: repository.name for pk, repository in batch.repositories.items()}
    usage.removed(
        (link.repository_id, names[link.repository_id], link.blob_id) for link, _ in pairs
    )
    drop_blobs(
        {link.blob_id: (c, batch.repositories[link.repository_id]) for link, c in pairs}, batch
    )


def judge_blobs(batch: Batch) -> None:
    """Remove the blobs that no repository may serve any more."""
    batch.settle()
    drop_blobs({candidate.target: (candidate, None) for candidate in batch.candidates}, batch)


def drop_blobs(by_id: dict[int, tuple[Review, Repository | None]], batch: Batch) -> None:
    """Remove the rows of those blobs that no repository may serve, and doom their bytes.

    `by_id` says which candidate each goes with, and whose right was the last. They are held in
    order of id and once in a transaction, so that two who share blobs never wait for each other in
    a ring.
    """
    if not by_id:
        return
    holes = ", ".join(["%s"] * len(by_id))
    database.column(
        f"SELECT id FROM registry_blob WHERE id IN ({holes}) ORDER BY id" + database.row_lock(),
        sorted(by_id),
    )
    right = RepositoryBlob.objects.filter(blob_id=OuterRef("pk"))
    gone = list(Blob.objects.filter(~Exists(right), pk__in=list(by_id)).order_by("digest"))
    ids = [blob.pk for blob in gone]
    Blob.objects.filter(pk__in=ids).delete()
    now = timezone.now()
    database.insert(
        Tombstone,
        ("digest", "created_at"),
        [(blob.digest, now) for blob in gone],
        "ON CONFLICT DO NOTHING",
    )
    _drop_reviews_of_blobs(ids)
    for blob in gone:
        candidate, repository = by_id[blob.pk]
        batch.receipt("blob", blob.digest, repository, blob.size, candidate)
        batch.doomed.append(blob.digest)


def _drop_reviews_of_blobs(ids: list[int]) -> None:
    """Those that another worker holds are left: it waits for these blobs, and finds them gone."""
    waiting = Review.objects.filter(kind=Review.Kind.BLOB, target__in=ids)
    if connections[database.ALIAS].vendor == "postgresql":
        waiting = waiting.select_for_update(skip_locked=True)
    pks = list(waiting.values_list("pk", flat=True))
    Review.objects.filter(pk__in=pks).delete()
