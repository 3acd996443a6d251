"""Undo: what was deleted within the window comes back whole, as long as its rows are there.

The bytes need no asking: the collector removes nothing that a row still refers to.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.utils import timezone

from registry import digest as digests
from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import (
    Event,
    Manifest,
    ManifestChild,
    Repository,
    RepositoryBlob,
    Review,
    Tag,
)
from registry.services import database, events, repositories, tags
from registry.services.garbage import reviews

_BATCH = 500


def restore_tags(
    name: str, intervals: Sequence[int], actor: Actor, *, move: bool = False
) -> list[str]:
    """Let tags point again at what they pointed at in `intervals` (ids of their history).

    The names that came back. All of them, or none. The time of the push stays what it was.

    Raises NAME_UNKNOWN, MANIFEST_UNKNOWN where the past is over, DENIED (409) where a tag of that
    name is there again, unless it may `move`, and DENIED where a rule keeps one where it is, or
    keeps `actor` from pushing it.
    """
    with database.atomic():
        repository_id = _hold(name, actor)
        found = list(
            Tag.objects.filter(
                repository_id=repository_id, pk__in=intervals, ended_at__isnull=False
            ).order_by("pk")
        )
        if len(found) != len(set(intervals)):
            raise RegistryError(Code.MANIFEST_UNKNOWN, "one of the tags was not deleted here")
        return [_reopen(name, tag, actor, move=move) for tag in found]


def _hold(name: str, actor: Actor) -> int:
    """As `repositories.hold`, for undo by the project that the repository belongs to, if any."""
    repository_id = repositories.hold(name)
    repository = Repository.objects.get(pk=repository_id)
    if repository.project_id is not None:
        repositories.require_project(repository, actor)
    return repository_id


def _reopen(name: str, tag: Tag, actor: Actor, *, move: bool) -> str:
    if tag.manifest_id is None:
        raise RegistryError(
            Code.MANIFEST_UNKNOWN, f"what {tag.name} pointed at has been collected", tag=tag.name
        )
    here = Tag.objects.filter(repository_id=tag.repository_id, name=tag.name, ended_at=None)
    if not move and here.exclude(manifest_id=tag.manifest_id).exists():
        raise RegistryError(
            Code.DENIED, f"there is a tag {tag.name} again", status=409, tag=tag.name
        )
    assert tag.ended_at is not None
    Manifest.objects.filter(pk=tag.manifest_id).update(deleted_at=None, deleted_by="")
    _revive_listed(name, tag.repository_id, tag.manifest_id, tag.ended_at, actor)
    tags.point(tag.repository_id, tag.name, tag.manifest_id, tag.digest, actor, restored=tag)
    events.record(Event.Action.RESTORE, name, actor, tag=tag.name, digest=tag.digest)
    return tag.name


def _revive_listed(
    name: str, repository_id: int, manifest_id: int, since: dt.datetime, actor: Actor
) -> None:
    """Bring back what an index lists, at any depth, and has lost after it was gone itself.

    Blobs that were deleted meanwhile need nothing: what a live manifest names is there again.
    """
    level, seen = [manifest_id], {manifest_id}
    while level:
        below: list[tuple[int, str, dt.datetime | None]] = []
        for start in range(0, len(level), _BATCH):
            listed = ManifestChild.objects.filter(parent_id__in=level[start : start + _BATCH])
            below += Manifest.objects.filter(
                repository_id=repository_id, digest__in=listed.values("digest")
            ).values_list("pk", "digest", "deleted_at")
        level = [pk for pk, _, at in below if pk not in seen and (at is None or at >= since)]
        seen.update(level)
        for pk, digest, at in below:
            if at is not None and at >= since:
                Manifest.objects.filter(pk=pk).update(deleted_at=None, deleted_by="")
                events.record(Event.Action.RESTORE, name, actor, digest=digest)


def restore_manifest(name: str, digest: str, actor: Actor) -> list[str]:
    """Bring a deleted manifest back, with the tags that went with it and are still free.

    The names of these tags. Raises NAME_UNKNOWN, DIGEST_INVALID, MANIFEST_UNKNOWN, and DENIED
    where a rule keeps `actor` from pushing one of them.
    """
    digests.check(digest)
    with database.atomic():
        repository_id = _hold(name, actor)
        manifest = Manifest.objects.filter(
            repository_id=repository_id, digest=digest, deleted_at__isnull=False
        ).first()
        if manifest is None:
            raise RegistryError(
                Code.MANIFEST_UNKNOWN, "there is no deleted manifest", digest=digest
            )
        went_along = Tag.objects.filter(manifest_id=manifest.pk, ended_at=manifest.deleted_at)
        assert manifest.deleted_at is not None
        Manifest.objects.filter(pk=manifest.pk).update(deleted_at=None, deleted_by="")
        _revive_listed(name, repository_id, manifest.pk, manifest.deleted_at, actor)
        past = {tag.name: tag for tag in went_along.order_by("pk")}
        taken = set(
            Tag.objects.filter(
                repository_id=repository_id, name__in=past, ended_at=None
            ).values_list("name", flat=True)
        )
        back = [tag for tag in past if tag not in taken]
        for tag in back:
            tags.point(repository_id, tag, manifest.pk, digest, actor, restored=past[tag])
        events.record(Event.Action.RESTORE, name, actor, digest=digest)
        return back


def restore_repository(name: str, repository_id: int, actor: Actor) -> None:
    """Open a deleted repository again, with everything in it.

    The id says which one: a path may have had several owners, and each gets back what was its own.
    Raises NAME_UNKNOWN, also where it belongs to another project, DENIED (409) where a push has
    opened a new repository of that name, and DENIED where a rule keeps `actor` from pushing one of
    its tags.
    """
    with database.atomic():
        database.hold_openings(others_too=False)
        closed = repositories.hold_by_id(repository_id)
        if closed is None or closed.name != name or closed.closed_at is None:
            raise RegistryError(Code.NAME_UNKNOWN, "there is no such deleted repository", name=name)
        repositories.require_project(closed, actor)
        if _is_over(closed.closed_at):
            raise RegistryError(Code.NAME_UNKNOWN, "its undo window is over", name=name)
        if repositories.find_id(name) is not None:
            raise RegistryError(
                Code.DENIED, "a push has opened a new repository of that name", status=409
            )
        if actor.rules.push:
            actor.rules.refuse_push(repositories.open_tags(repository_id))
        Repository.objects.filter(pk=repository_id).update(closed_at=None, closed_by="")
        reviews.drop(Review.Kind.REPOSITORY, [repository_id])
        _review_again(repository_id)
        events.record(Event.Action.RESTORE, name, actor)


def _is_over(closed_at: dt.datetime) -> bool:
    """From here on the collector may have begun to remove the content."""
    return closed_at + reviews.window() <= timezone.now()


def _review_again(repository_id: int) -> None:
    """Queue what dangled when the repository was closed: its reviews were dropped meanwhile."""
    dangling = Manifest.objects.filter(repository_id=repository_id).exclude(
        pk__in=Tag.objects.filter(repository_id=repository_id, ended_at=None).values("manifest_id")
    )
    reviews.queue(
        Review.Kind.MANIFEST,
        dangling.values_list("pk", flat=True).iterator(chunk_size=1000),
        "repository restored",
        after=reviews.window(),
    )
    unused = RepositoryBlob.objects.filter(repository_id=repository_id, manifestblob=None)
    reviews.queue(
        Review.Kind.LINK,
        unused.values_list("pk", flat=True).iterator(chunk_size=1000),
        "repository restored",
    )
