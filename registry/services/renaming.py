"""Renaming: a repository and all below it get another name, in one transaction.

The ids stay, so tags, manifests and rights need no change, and an upload that is being committed
ends in the repository that it began in. Deleted repositories move along, so that undo finds them
under the name that people know by then. The old path is free afterwards, for tokens that are issued
from then on (see `repositories.hold_or_open`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import IntegrityError
from django.db.models import CharField, QuerySet, Value
from django.db.models.functions import Cast, Concat, Length, Substr

from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import NAME_LENGTH, Repository
from registry.services import database, events, repositories, usage

MAX_REPOSITORIES = 1000
"""More are not renamed at once (GitLab's registry has the same limit)."""

_BATCH = 200


def rename(path: str, new_path: str, actor: Actor, *, dry_run: bool = False) -> list[str]:
    """Let `path` and everything below it be called `new_path`; the new names, in order.

    All of them, or none. A dry run finds every reason to refuse and changes nothing.

    Raises NAME_INVALID, NAME_UNKNOWN where there is nothing at or below `path`, DENIED (409) where
    a new name is taken, UNSUPPORTED (422) where there are more than `MAX_REPOSITORIES`.
    """
    repositories.check_name(new_path)
    if path == new_path:
        raise _taken(path)
    try:
        with database.atomic():
            names = _rename(path, new_path, actor, dry_run=dry_run)
    except IntegrityError as error:
        raise RegistryError(
            Code.DENIED, "a push has just opened a repository of that name", status=409
        ) from error
    if names is None:
        raise RegistryError(Code.NAME_UNKNOWN, name=path)
    return names


def _rename(path: str, new_path: str, actor: Actor, *, dry_run: bool) -> list[str] | None:
    """The new names; None where there is nothing to rename, which counts as left all the same."""
    database.hold_openings(others_too=not dry_run)
    moving = _held(path)
    deleted = Repository.objects.filter(repositories.at_or_below(path), closed_at__isnull=False)
    if not moving and not deleted.exists():
        if not dry_run:
            repositories.note_former_path(path)
        return None
    names = {
        repository.pk: repositories.check_name(new_path + repository.name[len(path) :])
        for repository in moving
    }
    _refuse_taken(list(names.values()), set(names))
    if dry_run:
        return list(names.values())
    _move(moving, names)
    _move_deleted(deleted, path, new_path)
    usage.doubt(path, new_path)
    events.record_renames([(each.name, names[each.pk]) for each in moving], actor)
    repositories.note_former_path(path)
    return list(names.values())


def _held(path: str) -> list[Repository]:
    """The open repositories at and below `path`, by name, held until the transaction ends.

    Raises UNSUPPORTED (422).
    """
    here = Repository.objects.filter(repositories.at_or_below(path), closed_at=None).order_by(
        "name"
    )
    found = list(here.values_list("pk", flat=True)[: MAX_REPOSITORIES + 1])
    if len(found) > MAX_REPOSITORIES:
        raise RegistryError(
            Code.UNSUPPORTED,
            f"more than {MAX_REPOSITORIES} repositories are not renamed at once",
            status=422,
        )
    # In order of id, as others who hold several do.
    marks = ", ".join(["%s"] * len(found)) or "NULL"
    database.column(
        f"SELECT id FROM registry_repository WHERE id IN ({marks}) ORDER BY id"
        + database.row_lock(),
        sorted(found),
    )
    # Another one who held a row before may have closed the repository.
    return list(here.filter(pk__in=found))


def _refuse_taken(names: Sequence[str], moving: set[int]) -> None:
    for batch in _batches(names):
        taken = Repository.objects.filter(closed_at=None, name__in=batch).exclude(pk__in=moving)
        first = taken.order_by("name").first()
        if first is not None:
            raise _taken(first.name)


def _taken(name: str) -> RegistryError:
    return RegistryError(Code.DENIED, f"the name {name} is taken", status=409, name=name)


def _batches(values: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]


def _move(moving: Sequence[Repository], names: dict[int, str]) -> None:
    # Away from the old names first: one new name may be another one's old name.
    for start in range(0, len(moving), _BATCH):
        batch = [repository.pk for repository in moving[start : start + _BATCH]]
        Repository.objects.filter(pk__in=batch).update(
            name=Concat(Value("~"), Cast("pk", CharField()))
        )
    renamed = [Repository(pk=pk, name=name) for pk, name in names.items()]
    Repository.objects.bulk_update(renamed, ["name"], batch_size=_BATCH)


def _move_deleted(deleted: QuerySet[Repository], path: str, new_path: str) -> None:
    """Let deleted repositories follow. One whose name would be too long stays where it is."""
    longer = len(new_path) - len(path)
    deleted.alias(length=Length("name")).filter(length__lte=NAME_LENGTH - longer).update(
        name=Concat(Value(new_path), Substr("name", len(path) + 1))
    )
