"""Repositories: found, opened by a first push, held during a change, closed by a deletion."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import TypeVar

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Event, FormerPath, Manifest, Repository, Review, Tag
from registry.services import database, events, revocations
from registry.services.garbage import reviews
from registry.services.protection import TagRules
from tokens.access import is_repository_name
from tokens.verify import LONGEST_LEEWAY, MAX_LIFETIME

Asked = TypeVar("Asked")

MAX_GIVEN_UP = 500
"""Repositories that one call closes."""

_BATCH = 1000
_TOKENS_END = dt.timedelta(seconds=MAX_LIFETIME + LONGEST_LEEWAY)

_HELD = "SELECT id, project_id FROM registry_repository WHERE name = %s AND closed_at IS NULL"
_FOR_PUSH = f"""
SELECT id, project_id, {revocations.LATEST} FROM registry_repository
WHERE name = %s AND closed_at IS NULL
"""


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


def find_for_push(name: str, actor: Actor) -> int | None:
    """As `find_id`. Raises DENIED where the repository belongs to another project than `actor`,
    and `revocations.News`.
    """
    row = database.one(_FOR_PUSH, [name])
    if row is None:
        revocations.notice_without_a_row()
        return None
    revocations.notice(row[2])
    _refuse_other(name, row[1], actor)
    return int(row[0])


def hold_or_open(name: str, actor: Actor) -> int:
    """As `hold`, for a push, opening the repository where there is none.

    It then belongs to the project of `actor`, where that is known. To be called where a transaction
    begins, as `hold_and_ask`. Raises DENIED, as `_refuse_late`, `_refuse_other` and
    `_refuse_one_more`.
    """
    repository_id, _ = hold_and_ask(name, actor, lambda _send: None)
    return repository_id


def hold_and_ask(
    name: str, actor: Actor, ask: Callable[[database.Together], Asked]
) -> tuple[int, Asked]:
    """As `hold_or_open`, with what `ask` gives, which sends its questions with the one that holds.

    They are answered when the repository is held; `ask` may be called again where there was none.
    To be called where a transaction begins, which may begin once more.
    """
    while True:
        with database.together() as send:
            held = hold_open_name(name, send)
            asked = ask(send)
        row = held.row
        if row is not None:
            repository_id, project_id = row
            _refuse_other(name, project_id, actor)
            if project_id is None and actor.project_id is not None:
                _bind(repository_id, actor)
            return int(repository_id), asked
        database.begin_again_to_hold_openings()
        _refuse_late(name, actor)
        _refuse_one_more(actor)
        # Two first pushes at once both come here; the index lets one insert win.
        Repository.objects.bulk_create(
            [Repository(name=name, project_id=actor.project_id)], ignore_conflicts=True
        )


def require_project(repository: Repository, actor: Actor) -> None:
    """Raises NAME_UNKNOWN unless undo in `repository` is for the project of `actor`.

    What belongs to a project is given back to it alone. What belongs to none, as where another
    token server is used, comes back with tokens that name none.
    """
    if repository.project_id != actor.project_id:
        raise RegistryError(
            Code.NAME_UNKNOWN,
            "what was deleted here belongs to another project",
            name=repository.name,
        )


def _refuse_other(name: str, project_id: int | None, actor: Actor) -> None:
    """Raises DENIED where the repository and the token's project are known, and differ."""
    if None not in (project_id, actor.project_id) and project_id != actor.project_id:
        raise RegistryError(
            Code.DENIED,
            f"{name} holds an image of another project, which had this path before: delete it first",
            name=name,
        )


def _bind(repository_id: int, actor: Actor) -> None:
    """Let a repository that belongs to no project belong to that of `actor`, where it is known."""
    if actor.project_id is not None:
        Repository.objects.filter(pk=repository_id, project_id=None).update(
            project_id=actor.project_id
        )


def _refuse_late(name: str, actor: Actor) -> None:
    """Raises DENIED where a rename or a project's end has left the name since the token's issue.

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
            f"{name} was renamed or deleted while this token was in use:"
            " push to the new name, or ask again",
            name=name,
        )


def _refuse_one_more(actor: Actor) -> None:
    """Raises DENIED where a quota of `actor` has no room for another repository.

    It costs a query for each that limits images. Of several who open names at once each may have
    the last one.
    """
    for quota in actor.quotas.entries:
        if quota.images is not None:
            here = Repository.objects.filter(at_or_below(quota.path), closed_at=None)
            quota.refuse_images(here[: quota.images + 1].count())


def hold_by_id(repository_id: int) -> Repository | None:
    """The repository, open or closed, whose row is held until the transaction ends."""
    row = database.one(
        "SELECT id FROM registry_repository WHERE id = %s" + database.row_lock(), [repository_id]
    )
    return Repository.objects.get(pk=repository_id) if row else None


def hold_open_name(name: str, send: database.Together) -> database.Sent:
    """As `hold_open`, by its name."""
    return send(_HELD + database.row_lock(), [name])


def hold_open(repository_id: int, send: database.Together) -> database.Sent:
    """A row, which is held until the transaction ends, where the repository is open."""
    sql = "SELECT 1 FROM registry_repository WHERE id = %s AND closed_at IS NULL"
    return send(sql + database.row_lock(), [repository_id])


def close(name: str, actor: Actor) -> int:
    """Delete a repository: it is gone at once, and its content when the undo window is over.

    The id that brings it back. One row changes, however many tags there are. Raises NAME_UNKNOWN,
    UNSUPPORTED, and DENIED where a rule protects one of its tags.
    """
    require_deletion()
    with database.atomic():
        repository_id = hold(name)
        refuse_protected(actor.rules, repository_id)
        _bind(repository_id, actor)
        _close(repository_id, name, actor)
    return repository_id


def refuse_protected(
    rules: TagRules, repository_id: int, *, of_manifest: int | None = None
) -> None:
    """Raises DENIED where a rule protects an open tag of a repository, or of one manifest in it.

    In a transaction that holds the repository. It costs a query where there are rules.
    """
    if rules.limits_deletion:
        rules.refuse_deletion(open_tags(repository_id, of_manifest=of_manifest))


def open_tags(repository_id: int, *, of_manifest: int | None = None) -> Iterator[str]:
    """The names of a repository's tags, or of those that point at one manifest, in byte order."""
    found = Tag.objects.filter(repository_id=repository_id, ended_at=None)
    if of_manifest is not None:
        found = found.filter(manifest_id=of_manifest)
    names = found.order_by("name").values_list("name", flat=True)
    last = ""
    # Page by page: whoever stops at a name leaves no cursor open, which would outlive the refusal.
    while page := list(names.filter(name__gt=last)[:_BATCH]):
        yield from page
        last = page[-1]


def _close(repository_id: int, name: str, actor: Actor) -> None:
    now = timezone.now()
    Repository.objects.filter(pk=repository_id).update(closed_at=now, closed_by=actor.name)
    reviews.queue(
        Review.Kind.REPOSITORY, [repository_id], "repository deleted", after=reviews.window()
    )
    events.record(Event.Action.DELETE, name, actor)


def give_up(path: str, actor: Actor) -> int:
    """A project gives its path up: it may be another one's from now on. How many were closed.

    What is still open at and below the path and belongs to the project of `actor` is closed, at
    most `MAX_GIVEN_UP` at once, and tokens that were issued before open nothing there any more.
    """
    if actor.project_id is None:
        raise RegistryError(Code.DENIED, "the token names no project")
    with database.atomic():
        database.hold_openings(others_too=True)
        note_former_path(path)
        left = Repository.objects.filter(
            at_or_below(path), closed_at=None, project_id=actor.project_id
        ).order_by("pk")
        closed = 0
        for pk in left.values_list("pk", flat=True)[:MAX_GIVEN_UP]:
            repository = hold_by_id(pk)
            if repository is not None and repository.closed_at is None:
                _close(pk, repository.name, actor)
                closed += 1
    return closed


def count_at(path: str) -> int:
    """How many open repositories are at and below a path."""
    return Repository.objects.filter(at_or_below(path), closed_at=None).count()


def at_or_below(path: str) -> Q:
    """The condition of repositories at and below a path."""
    # "0" is the character after "/": a range of the index holds all names below.
    return Q(name=path) | Q(name__gt=f"{path}/", name__lt=f"{path}0")


def note_former_path(path: str) -> None:
    """Have tokens that were issued before now open nothing at and below a path."""
    now = timezone.now()
    FormerPath.objects.filter(left_at__lt=now - _TOKENS_END).delete()
    FormerPath.objects.create(path=path, left_at=now)


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
