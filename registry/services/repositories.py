"""Repositories: found, opened by a first push, held during a change, closed by a deletion."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Event, FormerPath, Manifest, Repository, Review, Tag
from registry.services import database, events
from registry.services.garbage import reviews
from tokens.access import is_repository_name

_HELD = "SELECT id FROM registry_repository WHERE name = %s AND closed_at IS NULL"


def check_name(name: str) -> str:
    """`name` where it follows the grammar. Raises NAME_INVALID."""
    if not is_repository_name(name):
        raise RegistryError(Code.NAME_INVALID)
    return name


def find_id(name: str) -> int | None:
    """The id of the open repository `name`."""
    row = database.one(_HELD, [name])
    return row[0] if row else None


def get_id(name: str) -> int:
    """The id of the open repository `name`. Raises NAME_UNKNOWN."""
    found = find_id(name)
    if found is None:
        raise RegistryError(Code.NAME_UNKNOWN, name=name)
    return found


def get(name: str) -> Repository:
    """The open repository `name`. Raises NAME_UNKNOWN."""
    try:
        return Repository.objects.get(name=name, closed_at=None)
    except Repository.DoesNotExist as error:
        raise RegistryError(Code.NAME_UNKNOWN, name=name) from error


def hold(name: str) -> int:
    """The id of the open repository `name`, whose row is held until the transaction ends.

    Raises NAME_UNKNOWN.
    """
    row = database.one(_HELD + database.row_lock(), [name])
    if row is None:
        raise RegistryError(Code.NAME_UNKNOWN, name=name)
    return int(row[0])


def hold_or_open(name: str, actor: Actor) -> int:
    """As `hold`, opening the repository where there is none. Raises DENIED, as `_refuse_late`."""
    while True:
        row = database.one(_HELD + database.row_lock(), [name])
        if row is not None:
            return int(row[0])
        database.hold_openings(others_too=False)
        _refuse_late(name, actor)
        # Two first pushes at once both come here; the index lets one insert win.
        Repository.objects.bulk_create([Repository(name=name)], ignore_conflicts=True)


def _refuse_late(name: str, actor: Actor) -> None:
    """Raises DENIED where a rename has left the name since the token was issued.

    The token lets somebody push to what was called so. Opening the name again would leave an image
    that no project owns, for the next owner of the path to find.
    """
    if actor.since is None:
        return
    segments = name.split("/")
    prefixes = ["/".join(segments[: count + 1]) for count in range(len(segments))]
    since = dt.datetime.fromtimestamp(actor.since, dt.UTC)
    if FormerPath.objects.filter(path__in=prefixes, left_at__gte=since).exists():
        raise RegistryError(
            Code.DENIED,
            f"{name} was renamed while this token was in use: push to the new name, or ask again",
            name=name,
        )


def hold_by_id(repository_id: int) -> Repository | None:
    """The repository, open or closed, whose row is held until the transaction ends."""
    row = database.one(
        "SELECT id FROM registry_repository WHERE id = %s" + database.row_lock(), [repository_id]
    )
    return Repository.objects.get(pk=repository_id) if row else None


def close(name: str, actor: Actor) -> int:
    """Delete a repository: it is gone at once, and its content when the undo window is over.

    The id that brings it back. One row changes, however many tags there are. Raises NAME_UNKNOWN, UNSUPPORTED.
    """
    require_deletion()
    with database.atomic():
        repository_id = hold(name)
        now = timezone.now()
        Repository.objects.filter(pk=repository_id).update(closed_at=now, closed_by=actor.name)
        reviews.queue(
            Review.Kind.REPOSITORY, [repository_id], "repository deleted", after=reviews.window()
        )
        events.record(Event.Action.DELETE, name, actor)
    return repository_id


def set_collect_untagged(name: str, collect: bool) -> None:
    """Have untagged manifests collected, or kept because people pin digests. Raises NAME_UNKNOWN.

    Turning it on queues what is untagged by now.
    """
    with database.atomic():
        repository_id = hold(name)
        Repository.objects.filter(pk=repository_id).update(collect_untagged=collect)
        if collect:
            tagged = Tag.objects.filter(repository_id=repository_id, ended_at=None)
            untagged = Manifest.objects.filter(repository_id=repository_id).exclude(
                pk__in=tagged.values("manifest_id")
            )
            reviews.queue(
                Review.Kind.MANIFEST,
                untagged.values_list("pk", flat=True).iterator(chunk_size=1000),
                "untagged manifests are collected from now on",
                after=reviews.window(),
            )


def require_deletion() -> None:
    """Raises UNSUPPORTED where the registry's API does not delete."""
    if not settings.REGISTRY_DELETE_ENABLED:
        raise RegistryError(Code.UNSUPPORTED, "deletion is switched off in this registry")
