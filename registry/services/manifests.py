"""Manifests: found by tag or digest, deleted with a way back. `pushing` brings them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from registry import digest as digests
from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Event, Manifest, Review, Tag
from registry.services import database, events, repositories, revocations, tags
from registry.services.garbage import holding, reviews

_BY_TAG = f"""
SELECT m.digest, m.media_type, m.payload, {revocations.LATEST}, m.id, r.id FROM registry_repository r
LEFT JOIN registry_tag t ON t.repository_id = r.id AND t.name = %s AND t.ended_at IS NULL
LEFT JOIN registry_manifest m ON m.id = t.manifest_id AND m.deleted_at IS NULL
WHERE r.name = %s AND r.closed_at IS NULL
"""
_BY_DIGEST = f"""
SELECT m.digest, m.media_type, m.payload, {revocations.LATEST}, m.id, r.id FROM registry_repository r
LEFT JOIN registry_manifest m
ON m.repository_id = r.id AND m.digest = %s AND m.deleted_at IS NULL
WHERE r.name = %s AND r.closed_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """The exact bytes of a manifest, with how to serve them, and the ids of its rows."""

    digest: str
    media_type: str
    payload: bytes
    id: int
    repository_id: int


def find(name: str, reference: str) -> StoredManifest:
    """A manifest by tag or digest, in one query. Raises MANIFEST_UNKNOWN, NAME_UNKNOWN.

    What is neither of the two is unknown like any other: to ask for it is no mistake of form.
    """
    return found(name, reference, database.one(*finding(name, reference)))


def finding(name: str, reference: str) -> database.Statement:
    """The query whose first row says, to `found`, which manifest it is."""
    # No tag and no digest is empty, so what is neither finds the repository alone.
    asked = reference if is_reference(reference) else ""
    return _BY_DIGEST if ":" in reference else _BY_TAG, [asked, name]


def found(name: str, reference: str, row: database.Row | None) -> StoredManifest:
    """The manifest that the query of `finding` has found. Raises as `find`."""
    if row is None:
        revocations.notice_without_a_row()
        raise RegistryError(Code.NAME_UNKNOWN, name=name)
    revocations.notice(row[3])
    if row[0] is None:
        raise RegistryError(Code.MANIFEST_UNKNOWN, reference=reference)
    return StoredManifest(row[0], row[1], bytes(row[2]), row[4], row[5])


def is_reference(text: str) -> bool:
    """Whether `text` is a tag or a digest."""
    return digests.is_digest(text) if ":" in text else tags.is_tag(text)


def check_reference(reference: str) -> str:
    """A tag or a digest. Raises DIGEST_INVALID, TAG_INVALID."""
    return digests.check(reference) if ":" in reference else tags.check(reference)


def list_digests(
    repository_id: int,
    manifest_id: int,
    listed: Iterable[str],
    send: database.Together | None = None,
) -> None:
    """The rows by which a manifest lists digests, in a transaction that holds the repository."""
    database.insert_new(
        "registry_manifestchild",
        [(manifest_id, repository_id, digest) for digest in sorted(listed)],
        send,
    )


def delete(name: str, digest: str, actor: Actor) -> None:
    """Delete a manifest and the tags that point at it; it can be undone within the window.

    Raises MANIFEST_UNKNOWN, NAME_UNKNOWN, UNSUPPORTED, DENIED where a rule protects one of the
    tags, and DENIED (405), which names the index in the way, where a live index lists it. An index
    that nothing live needs is not in the way.
    """
    repositories.require_deletion()
    with database.atomic():
        repository_id = repositories.hold(name)
        found = Manifest.objects.filter(repository_id=repository_id, digest=digest, deleted_at=None)
        manifest = found.first() if digests.is_digest(digest) else None
        if manifest is None:
            raise RegistryError(Code.MANIFEST_UNKNOWN, reference=digest)
        repositories.refuse_protected(actor.rules, repository_id, of_manifest=manifest.pk)
        holder = holding.live_index_of(repository_id, digest)
        if holder is not None:
            raise RegistryError(
                Code.DENIED,
                f"{holder}, lists the manifest",
                status=405,
                digest=digest,
                holder=holder.digest,
            )
        now = timezone.now()
        Manifest.objects.filter(pk=manifest.pk).update(deleted_at=now, deleted_by=actor.name)
        Tag.objects.filter(manifest_id=manifest.pk, ended_at=None).update(
            ended_at=now, ended_by=actor.name
        )
        reviews.queue(
            Review.Kind.MANIFEST,
            [manifest.pk],
            "manifest deleted",
            after=reviews.window(),
            cause=actor.cause,
        )
        events.record(
            Event.Action.DELETE, name, actor, digest=digest, media_type=manifest.media_type
        )
