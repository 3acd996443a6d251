"""What can be done about what a verification has found. Nothing is deleted.

Damaged bytes are moved to the quarantine: the blob is then missing, HEAD says so, and the next push
of an image with it uploads it again. What dangles without a review gets one. A damaged manifest is
left to the next push of it, which writes its bytes anew.
"""

from __future__ import annotations

from collections.abc import Callable

from registry import crash_points
from registry.models import Blob, Manifest, Review, Tag
from registry.services import database, repositories
from registry.services.garbage import reviews
from registry.services.verification import listing
from registry.services.verification.comparison import Finding, Page, Verifier, on_orphan
from registry.storage import chosen as storage

_REASON = "found by registry_verify"
_QUEUES = {
    "unreviewed manifest": Review.Kind.MANIFEST,
    "unreviewed right": Review.Kind.LINK,
    "orphan row": Review.Kind.BLOB,
    "unreviewed repository": Review.Kind.REPOSITORY,
}


def repair(finding: Finding) -> str:
    """Do what can be done; what was done, in words."""
    if finding.kind in _QUEUES:
        return _queue(finding)
    if finding.kind in _REPAIRS:
        return _REPAIRS[finding.kind](finding.subject)
    if finding.kind == "usage":
        return "the totals are those that were counted"
    if finding.kind == "unreachable":
        return "give the registry the right to read it, or look after the disk"
    return "push it again: that heals it"


def _queue(finding: Finding) -> str:
    kind = _QUEUES[finding.kind]
    is_quick = kind in (Review.Kind.LINK, Review.Kind.BLOB)
    after = reviews.grace() if is_quick else reviews.window()
    with database.atomic():
        reviews.queue(kind, [int(finding.subject)], _REASON, after=after)
    return "queued a review"


def _record(manifest_id: str) -> str:
    return f"{listing.record(int(manifest_id))} digests are held from now on"


def _quarantine_damaged(digest: str) -> str:
    """Move the bytes aside, unless a push has replaced them since.

    The row of the blob is held meanwhile, so a commit of the same digest comes before or after.
    """
    store = storage.current()
    found = store.status(digest)
    if found is None:
        return "its bytes are not there any more"
    verifier = Verifier(reads_data=True)
    row = Blob.objects.filter(digest=digest).first()
    if row is None or (found.size == row.size and verifier.is_sound(digest, Page())):
        return "it is sound by now"
    with database.atomic():
        database.one(
            "SELECT id FROM registry_blob WHERE digest = %s" + database.row_lock(), [digest]
        )
        moved = store.quarantine(found)
    crash_points.reached("blob_quarantined")
    return "moved to quarantine; pushing it again heals it" if moved else "replaced meanwhile"


def _quarantine_orphan(digest: str) -> str:
    """Move bytes aside that no row knows; a commit of the same digest waits meanwhile."""
    store = storage.current()

    def move() -> bool:
        found = store.status(digest)
        return found is not None and store.quarantine(found)

    return "moved to quarantine" if on_orphan(digest, move) else "a row knows it by now"


def _revive(tag_id: str) -> str:
    """The tag says that the manifest is wanted: it was deleted by mistake, or half."""
    tag = Tag.objects.filter(pk=int(tag_id), ended_at=None).first()
    if tag is None:
        return "the tag has ended meanwhile"
    with database.atomic():
        repositories.hold_by_id(tag.repository_id)
        Manifest.objects.filter(tag__pk=tag.pk, tag__ended_at=None).update(
            deleted_at=None, deleted_by=""
        )
    return "the manifest is back"


_REPAIRS: dict[str, Callable[[str], str]] = {
    "damaged": _quarantine_damaged,
    "truncated": _quarantine_damaged,
    "orphan file": _quarantine_orphan,
    "tag of a deleted manifest": _revive,
    "unrecorded list": _record,
}
