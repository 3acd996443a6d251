"""Rows against bytes, bytes against rows, and rows against each other, while everybody goes on.

What looks wrong is looked at again before it is called so, in one statement or with the row held:
a push or the collector may have been in between. A round goes through phases, page by page in the
order of a key, so that memory stays flat and a round can be resumed at any page.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from registry import digest as digests
from registry.models import Blob, Manifest, RepositoryBlob, Review, Tombstone
from registry.services import database, usage
from registry.services.garbage import holding, reviews
from registry.services.verification import listing
from registry.storage import chosen as storage
from registry.storage.base import CHUNK, StorageFull, StorageUnavailable, StoredBlob

MEBIBYTE = 1024 * 1024
_PAGE = 200
_PAYLOADS = 8 * MEBIBYTE
"""Bytes of manifests that are in memory at once, or one manifest."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. `subject` is a digest or a row's id; `needed_by` names tags."""

    kind: str
    subject: str
    detail: str
    needed_by: tuple[str, ...] = ()


@dataclass
class Page:
    """What one page has shown. `position` is where the next one begins, None after the last."""

    position: str | None = None
    checked: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


class Throttle:
    """At most so many bytes a second, averaged since it was made; None is no limit."""

    def __init__(self, bytes_per_second: float | None) -> None:
        self._rate = bytes_per_second
        self._begun, self._read = time.monotonic(), 0

    def passed(self, count: int) -> None:
        """`count` bytes were read: wait where that was too fast."""
        self._read += count
        if self._rate:
            ahead = self._read / self._rate - (time.monotonic() - self._begun)
            if ahead > 0:
                time.sleep(ahead)


@dataclass
class Verifier:
    """How to verify. Data is read where `reads_data`, of blobs up to `largest` bytes.

    A page of blobs ends early after `page_bytes`, so that it does not take for ever.
    """

    reads_data: bool = False
    throttle: Throttle = field(default_factory=lambda: Throttle(None))
    page_size: int = _PAGE
    page_bytes: int | None = None
    largest: int | None = None

    def page(self, phase: str, position: str) -> Page:
        """The page of `phase` after `position` ("" is the first)."""
        return _PHASES[phase](self, position)

    # Bytes

    def _blobs(self, position: str) -> Page:
        rows = list(Blob.objects.filter(digest__gt=position).order_by("digest")[: self.page_size])
        page = Page(rows[-1].digest if len(rows) == self.page_size else None)
        sizes = _sizes([row.digest for row in rows])
        for row in rows:
            page.checked += 1
            size = sizes[row.digest]
            if isinstance(size, StorageUnavailable):
                detail = f"the store can't reach it: {size}"
                page.findings.append(Finding("unreachable", row.digest, detail, needed_by(row.pk)))
            elif finding := self._wrong_blob(row, size, page):
                page.findings.append(finding)
            if self.page_bytes is not None and page.bytes >= self.page_bytes:
                page.position = row.digest if row is not rows[-1] else page.position
                break
        return page

    def _wrong_blob(self, row: Blob, size: int | None, page: Page) -> Finding | None:
        if size != row.size:
            return _missing_or_truncated(row)
        too_large = self.largest is not None and row.size > self.largest
        if not self.reads_data or too_large or self.is_sound(row.digest, page):
            return None
        # Replaced while it was read, or removed? Then the second look is another one.
        if self.is_sound(row.digest, page):
            return None
        if not Blob.objects.filter(pk=row.pk).exists():
            return None
        if storage.current().size(row.digest) != row.size:
            return _missing_or_truncated(row)
        return Finding("damaged", row.digest, "its bytes have another digest", needed_by(row.pk))

    def is_sound(self, digest: str, page: Page) -> bool:
        """Whether the bytes hash to their digest. `page` counts what was read."""
        hasher = hashlib.new(digests.algorithm_of(digest))
        try:
            with storage.current().open(digest) as file:
                while chunk := file.read(CHUNK):
                    hasher.update(chunk)
                    page.bytes += len(chunk)
                    self.throttle.passed(len(chunk))
        except (OSError, StorageUnavailable):
            return False
        return f"{digests.algorithm_of(digest)}:{hasher.hexdigest()}" == digest

    def _files(self, position: str) -> Page:
        """The files whose digests begin with the next two digits; `position` is the last ones."""
        number = int(position, 16) + 1 if position else 0
        page = Page(f"{number:02x}" if number < 255 else None)
        before = timezone.now() - max(reviews.grace(), _ON_THE_WAY)
        batch: list[StoredBlob] = []
        for found in storage.current().blobs(f"{number:02x}"):
            page.checked += 1
            if found.modified_at < before:
                batch.append(found)
            if len(batch) == _PAGE:
                page.findings += _orphans(batch)
                batch.clear()
        page.findings += _orphans(batch)
        return page

    # Rows

    def _manifests(self, position: str) -> Page:
        first = int(position or 0)
        sizes = Manifest.objects.filter(pk__gt=first).order_by("pk").values_list("pk", "size")
        ids: list[int] = []
        total = 0
        for pk, size in sizes[: self.page_size]:
            if ids and total + size > _PAYLOADS:
                break
            ids.append(pk)
            total += size
        page = Page(str(ids[-1]) if ids else None)
        rows = Manifest.objects.filter(pk__in=ids)
        for row in rows.only("pk", "digest", "media_type", "size", "payload"):
            page.checked += 1
            page.bytes += len(row.payload)
            if finding := _wrong_manifest(row):
                page.findings.append(finding)
        return page

    def _rows(self, kind: str, detail: str, sql: str, position: str) -> Page:
        """A check by one statement, which so sees one moment. It answers ids and what they are."""
        with connections[database.ALIAS].cursor() as cursor:
            cursor.execute(sql, [int(position or 0), self.page_size])
            found = cursor.fetchall()
        return self._page(kind, detail, found)

    def _page(self, kind: str, detail: str, found: Sequence[tuple[int, str]]) -> Page:
        page = Page(str(found[-1][0]) if len(found) == self.page_size else None)
        page.checked = len(found)
        page.findings = [Finding(kind, str(pk), f"{what}: {detail}") for pk, what in found]
        return page

    def _unreviewed(
        self, kind: str, detail: str, loose: QuerySet[Any], digest: str, position: str
    ) -> Page:
        """As `_rows`: of `loose` in open repositories those for which no review waits."""
        review = Review.objects.filter(kind=_REVIEWS[kind], target=OuterRef("pk"))
        rows = loose.filter(~Exists(review), pk__gt=int(position or 0), repository__closed_at=None)
        found = list(
            rows.order_by("pk").values_list("pk", "repository__name", digest)[: self.page_size]
        )
        return self._page(kind, detail, [(pk, f"{name}@{text}") for pk, name, text in found])

    def _tags(self, position: str) -> Page:
        detail = "the tag points at a manifest that was deleted"
        return self._rows("tag of a deleted manifest", detail, _TAGS, position)

    def _dangling(self, position: str) -> Page:
        detail = "nothing holds the manifest, and no review waits"
        loose = Manifest.objects.exclude(holding.held_manifests())
        return self._unreviewed("unreviewed manifest", detail, loose, "digest", position)

    def _rights(self, position: str) -> Page:
        detail = "no manifest names the blob here, and no review waits"
        loose = RepositoryBlob.objects.exclude(holding.held_links())
        return self._unreviewed("unreviewed right", detail, loose, "blob__digest", position)

    def _usage(self, position: str) -> Page:
        """A step of counting a path anew. `position` is the last path that is done, by its id, and
        behind a dot the one under way. What has drifted is mended at the end of the count.
        """
        done, _, under_way = position.partition(".")
        usage_id = usage.next_after(int(done or 0))
        if usage_id is None:
            return Page(None)
        if under_way != str(usage_id):
            usage.count_again(usage_id)
        page = Page(f"{done or 0}.{usage_id}", checked=1)
        count = usage.count_on(usage_id)
        if count is not None and count.has_drifted:
            detail = f"{count.said} bytes were noted where {count.found} are"
            page.findings.append(Finding("usage", count.path, detail))
        if not usage.is_being_counted(usage_id):
            page.position = str(usage_id)
        return page

    def _orphan_rows(self, position: str) -> Page:
        detail = "no repository may serve the blob, and no review waits"
        return self._rows("orphan row", detail, _ORPHAN_ROWS, position)

    def _closed(self, position: str) -> Page:
        detail = "the repository was deleted, and no review waits"
        return self._rows("unreviewed repository", detail, _CLOSED, position)


_PHASES: dict[str, Callable[[Verifier, str], Page]] = {
    "blobs": Verifier._blobs,  # noqa: SLF001
    "files": Verifier._files,  # noqa: SLF001
    "manifests": Verifier._manifests,  # noqa: SLF001
    "tags": Verifier._tags,  # noqa: SLF001
    "dangling": Verifier._dangling,  # noqa: SLF001
    "rights": Verifier._rights,  # noqa: SLF001
    "orphan rows": Verifier._orphan_rows,  # noqa: SLF001
    "closed": Verifier._closed,  # noqa: SLF001
    "usage": Verifier._usage,  # noqa: SLF001
}
PHASES = tuple(_PHASES)

_ON_THE_WAY = dt.timedelta(minutes=10)
"""Bytes that are put in place, and the transaction that lets a row know them, are less apart."""

_REVIEWS = {"unreviewed manifest": Review.Kind.MANIFEST, "unreviewed right": Review.Kind.LINK}
_UNREVIEWED = """
AND NOT EXISTS (SELECT 1 FROM registry_review v WHERE v.kind = '{kind}' AND v.target = {target})
"""
_TAGS = """
SELECT t.id, r.name || ':' || t.name FROM registry_tag t
JOIN registry_manifest m ON m.id = t.manifest_id AND m.deleted_at IS NOT NULL
JOIN registry_repository r ON r.id = t.repository_id
WHERE t.ended_at IS NULL AND t.id > %s ORDER BY t.id LIMIT %s
"""
_ORPHAN_ROWS = f"""
SELECT b.id, b.digest FROM registry_blob b WHERE b.id > %s
AND NOT EXISTS (SELECT 1 FROM registry_repositoryblob l WHERE l.blob_id = b.id)
{_UNREVIEWED.format(kind="blob", target="b.id")}
ORDER BY b.id LIMIT %s
"""
_CLOSED = f"""
SELECT r.id, r.name FROM registry_repository r WHERE r.id > %s AND r.closed_at IS NOT NULL
{_UNREVIEWED.format(kind="repository", target="r.id")}
ORDER BY r.id LIMIT %s
"""


def _sizes(names: list[str]) -> dict[str, int | StorageUnavailable | None]:
    """The sizes of blobs, or why the store can't tell one.

    Raises `StorageUnavailable` where it can do nothing at all.
    """
    store = storage.current()
    try:
        return {**store.sizes(names)}
    except StorageUnavailable:
        with contextlib.suppress(StorageFull):
            store.check()
    sizes: dict[str, int | StorageUnavailable | None] = {}
    for digest in names:
        try:
            sizes[digest] = store.size(digest)
        except StorageUnavailable as error:
            sizes[digest] = error
    return sizes


def _wrong_manifest(row: Manifest) -> Finding | None:
    payload = bytes(row.payload)
    real = digests.of(payload, digests.algorithm_of(row.digest))
    if real != row.digest or len(payload) != row.size:
        detail = f"its {len(payload)} bytes have another digest or size ({row.size})"
        return Finding("damaged manifest", row.digest, detail, tags_of(row.pk))
    if missing := listing.unrecorded(row.pk, row.media_type, payload):
        detail = f"{row.digest} lists {len(missing)} digests that no row says, as {min(missing)}"
        # Removed meanwhile? Then its rows went with it.
        if Manifest.objects.filter(pk=row.pk).exists():
            return Finding("unrecorded list", str(row.pk), detail, tags_of(row.pk))
    return None


def _missing_or_truncated(row: Blob) -> Finding | None:
    """Asked again between two looks at the row: then no collector has been in between."""
    current = Blob.objects.filter(pk=row.pk).first()
    if current is None:
        return None
    size = storage.current().size(row.digest)
    if size == current.size or not Blob.objects.filter(pk=row.pk).exists():
        return None
    if size is None:
        return Finding("missing", row.digest, "its bytes are not there", needed_by(row.pk))
    detail = f"it has {size} bytes instead of {current.size}"
    return Finding("truncated", row.digest, detail, needed_by(row.pk))


def _orphans(batch: list[StoredBlob]) -> Iterator[Finding]:
    names = [found.digest for found in batch]
    known = set(Blob.objects.filter(digest__in=names).values_list("digest", flat=True))
    for found in batch:
        if found.digest not in known and is_orphan(found.digest):
            yield Finding(
                "orphan file",
                found.digest,
                f"no row knows its {found.size} bytes of {found.modified_at:%Y-%m-%d %H:%M}",
            )


def is_orphan(digest: str) -> bool:
    """Whether bytes lie in the store that no row and no tombstone knows."""
    return on_orphan(digest, lambda: storage.current().size(digest) is not None)


def on_orphan(digest: str, act: Callable[[], bool]) -> bool:
    """What `act` answers, where no row and no tombstone knows the digest; False where one does.

    An upload that is being committed has written its row before its bytes are moved. So the attempt
    to write the same row waits for it; while it stands, a commit of the digest waits for us. It is
    taken back at the end.
    """
    with database.atomic():
        if Blob.objects.filter(digest=digest).exists():
            return False
        Blob.objects.bulk_create([Blob(digest=digest, size=0)], ignore_conflicts=True)
        ours = Blob.objects.filter(digest=digest, size=0, repositoryblob=None)
        is_dying = Tombstone.objects.filter(digest=digest).exists()
        answer = not is_dying and ours.exists() and act()
        connections[database.ALIAS].set_rollback(True)
    return answer


def needed_by(blob_id: int, limit: int = 20) -> tuple[str, ...]:
    """The tags, or where there are none the manifests, that can't be pulled without a blob."""
    links = RepositoryBlob.objects.filter(blob_id=blob_id, repository__closed_at=None)
    rights = links.order_by("pk").values_list("repository_id", "blob__digest", "pk")[:limit]
    ids = [pk for right in rights for pk in holding.naming(*right)[:limit]]
    naming = Manifest.objects.filter(pk__in=ids).order_by("pk")
    rows = naming.values_list("pk", "digest", "repository__name")[:limit]
    names: list[str] = []
    for pk, digest, repository in rows:
        names += tags_of(pk, limit) or (f"{repository}@{digest}",)
    return tuple(names[:limit])


def tags_of(manifest_id: int, limit: int = 20) -> tuple[str, ...]:
    """The open tags of a manifest: ``acme/app:latest``."""
    found = Manifest.objects.filter(pk=manifest_id, tag__ended_at=None, tag__isnull=False)
    rows = found.values_list("repository__name", "tag__name").order_by("tag__name")[:limit]
    return tuple(f"{repository}:{tag}" for repository, tag in rows)
