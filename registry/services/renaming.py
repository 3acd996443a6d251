"""Renaming: a repository and all below it get another name, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import IntegrityError

from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Event, Repository
from registry.services import database, events, repositories

MAX_REPOSITORIES = 1000
"""More are not renamed at once (GitLab's registry has the same limit)."""


def rename(path: str, new_path: str, actor: Actor, *, dry_run: bool = False) -> list[str]:
    """Let `path` and everything below it be called `new_path`; the new names.

    The ids stay, so tags, manifests and rights need no change. A dry run finds every reason to
    refuse and changes nothing.

    Raises NAME_INVALID, NAME_UNKNOWN, DENIED (409) where a new name is taken, UNSUPPORTED (422)
    where there are more than `MAX_REPOSITORIES`.
    """
    repositories.check_name(new_path)
    try:
        with database.atomic():
            return _rename(path, new_path, actor, dry_run=dry_run)
    except IntegrityError as error:
        raise RegistryError(
            Code.DENIED, "a push has just opened a repository of that name", status=409
        ) from error


def _rename(path: str, new_path: str, actor: Actor, *, dry_run: bool) -> list[str]:
    found = _at_or_below(path)
    if len(found) > MAX_REPOSITORIES:
        raise RegistryError(
            Code.UNSUPPORTED,
            f"more than {MAX_REPOSITORIES} repositories are not renamed at once",
            status=422,
        )
    held = [repositories.hold_by_id(repository.pk) for repository in found]
    # Whoever held one before may have closed it.
    moving = [repository for repository in held if repository and repository.closed_at is None]
    if not moving:
        raise RegistryError(Code.NAME_UNKNOWN, name=path)
    names = {
        repository.pk: repositories.check_name(new_path + repository.name[len(path) :])
        for repository in moving
    }
    _refuse_taken(list(names.values()), set(names))
    if dry_run:
        return list(names.values())
    # Away from the old names first: one new name may be another one's old name.
    for pk in names:
        Repository.objects.filter(pk=pk).update(name=f"~{pk}")
    for pk, name in names.items():
        Repository.objects.filter(pk=pk).update(name=name)
        events.record(Event.Action.RENAME, name, actor, tag="")
    return list(names.values())


def _at_or_below(path: str) -> list[Repository]:
    here = Repository.objects.filter(closed_at=None)
    found = here.filter(name=path) | here.filter(name__gt=f"{path}/", name__lt=f"{path}0")
    return list(found.order_by("name")[: MAX_REPOSITORIES + 1])


def _refuse_taken(names: Sequence[str], moving: set[int]) -> None:
    for start in range(0, len(names), 500):
        taken = Repository.objects.filter(
            closed_at=None, name__in=names[start : start + 500]
        ).exclude(pk__in=moving)
        first = taken.first()
        if first is not None:
            raise RegistryError(
                Code.DENIED, f"the name {first.name} is taken", status=409, name=first.name
            )
