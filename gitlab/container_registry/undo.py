"""Taking a deletion back, as long as the registry keeps what was deleted. `by` is who does it.

Tags come back by their history, which the registry has. An image's row is gone with it, and a path
may have had several owners: whoever deletes an image gets a signed ticket that names the one.

Refusals: `NotFound`, `Forbidden`, `Conflict`; of the registry `RegistryUnavailable`,
`RegistryRefused`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core import signing
from django.utils import timezone

from gitlab import pagination
from gitlab.audit.services import record
from gitlab.container_registry import deletion, repositories
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import OwnApi, Registry, own_api
from gitlab.container_registry.client.responses import DeletedTag, Interval
from gitlab.container_registry.models import ContainerRepository, DeletedImage
from gitlab.container_registry.protection import guard
from gitlab.container_registry.tags import MAX_TAGS_AT_ONCE
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.pagination import Page
from gitlab.principals import Anybody, Person
from gitlab.refusals import Conflict, Invalid, NotFound

_SALT = "berth.undo.image"
_KEEPS_NOTHING = "keeps nothing of what was deleted"
_AT_ONCE = 4
LISTED = 100
"""Tags or images on a page of what can be brought back."""


@dataclass(frozen=True)
class Restored:
    """What came of bringing tags back: `taken` are there again anyway, `lost` are collected."""

    back: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def restore_tags(
    by: Person,
    repository: ContainerRepository,
    tags: Iterable[str],
    *,
    registry: Registry | None = None,
) -> Restored:
    """Let deleted tags point again at what they pointed at last.

    One that somebody has pushed meanwhile stays as it is. Raises `Forbidden`, `Conflict`.
    """
    names = list(dict.fromkeys(tags))[:MAX_TAGS_AT_ONCE]
    _require_push(by, repository, names)
    own = (registry or clients.for_pages()).own
    if own is None:
        return Restored(lost=names)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        pasts = list(pool.map(lambda name: own.history(repository.path, name, n=1), names))
    outcome = Restored()
    wanted: list[int] = []
    for name, past in zip(names, pasts, strict=True):
        if past and past[0].until is None:
            outcome.taken.append(name)
        elif past and past[0].is_restorable:
            wanted.append(past[0].id)
        else:
            outcome.lost.append(name)
    if wanted:
        outcome.back.extend(_restore(own, repository, wanted, by))
        record("tag.restore", by=by, target=repository, tags=outcome.back)
    return outcome


def _restore(
    own: OwnApi,
    image: ContainerRepository,
    intervals: list[int],
    by: Person,
    *,
    move: bool = False,
) -> list[str]:
    project = image.project_id
    return own.restore_tags(image.path, intervals, by=by.username, project=project, move=move)


def point_back(
    by: Person,
    repository: ContainerRepository,
    tag: str,
    interval: int,
    *,
    registry: Registry | None = None,
) -> Interval | None:
    """Let a tag point at what it did in a part of its history. Answers that which this ends.

    What was pushed then was pushed then: the registry notes that it was restored. Raises
    `NotFound`, `Forbidden`, also where a rule keeps the tag where it is, and `RegistryRefused`
    where what it pointed at is gone.
    """
    standing = _require_push(by, repository, [tag])
    own = own_api(registry or clients.for_pages(), _KEEPS_NOTHING)
    chosen = next(iter(own.history(repository.path, tag, n=1, last=interval + 1)), None)
    if chosen is None or chosen.id != interval:
        raise NotFound("no such part of the history")
    latest = own.history(repository.path, tag, n=1)
    current = latest[0] if latest and latest[0].until is None else None
    if current is None or current.digest != chosen.digest:
        if current is not None:
            guard.refuse(standing.tags.what_holds(tag))
        _restore(own, repository, [chosen.id], by, move=current is not None)
    record("tag.restore", by=by, target=repository, tags=[tag], digest=chosen.digest)
    return current


def _require_push(
    by: Person, repository: ContainerRepository, tags: Iterable[str]
) -> guard.Standing:
    require_in_project(by, repository.project, Ability.PUSH_IMAGE)
    if repository.is_being_deleted:
        raise Conflict({"__all__": "The image is being deleted with all its tags."})
    return guard.require_push(by, repository, tags)


def ticket_for(repository: ContainerRepository, registry: Registry | None = None) -> str:
    """What brings an image back once its deletion is queued. Ask for it before."""
    details = (registry or clients.for_pages()).repository(repository.path, size=False)
    return _ticket(
        repository.pk, repository.project_id, repository.name, details.id if details else 0
    )


def _ticket(row: int, project_id: int, name: str, registry_id: int) -> str:
    return signing.dumps(
        {"row": row, "project": project_id, "name": name, "registry": registry_id},
        salt=_SALT,
        compress=True,
    )


@dataclass(frozen=True)
class Gone:
    """An image that can be brought back with its `ticket` until `until`."""

    image: DeletedImage
    ticket: str
    until: dt.datetime


@dataclass(frozen=True)
class GoneImages:
    """A page of images that can be brought back, of `count` in all; its keys as in `pagination`."""

    images: list[Gone]
    page: Page[DeletedImage]
    count: int


def deleted_images(
    by: Anybody,
    project: Project,
    *,
    after: str = "",
    before: str = "",
    search: str = "",
    row: int | None = None,
    limit: int = LISTED,
) -> GoneImages:
    """The images that can be brought back, the latest first.

    Those with `search` in their name, or whose row had the id `row`, where these are given. Raises
    `Forbidden`.
    """
    require_in_project(by, project, Ability.ADMIN_IMAGE)
    window = settings.UNDO_WINDOW
    since = timezone.now() - window
    DeletedImage.objects.filter(deleted_at__lte=since).delete()
    there = ContainerRepository.objects.filter(project=project).values("name")
    found = (
        DeletedImage.objects.filter(project=project, deleted_at__gt=since)
        .exclude(name__in=there)
        .select_related("deleted_by")
    )
    if row is not None:
        found = found.filter(row=row)
    if search:
        found = found.filter(name__contains=search.lower())
    order = ("-deleted_at", "-id")
    try:
        page = pagination.page(found, *order, after=after, before=before, limit=limit)
    except Invalid:
        page = pagination.page(found, *order, limit=limit)
    images = [
        Gone(
            image,
            _ticket(image.row, project.pk, image.name, image.registry_id),
            image.deleted_at + window,
        )
        for image in page.rows
    ]
    return GoneImages(images, page, found.count())


def deleted_tags(
    by: Anybody,
    project: Project,
    *,
    last: int = 0,
    search: str = "",
    limit: int = LISTED,
    registry: Registry | None = None,
) -> tuple[list[tuple[ContainerRepository, DeletedTag]], int]:
    """Tags of the project's images that can be brought back, the latest first, behind the interval
    `last`; those with `search` in their name or their image's. And behind which interval there are
    more, 0 for none. Raises `Forbidden`.
    """
    require_in_project(by, project, Ability.PUSH_IMAGE)
    own = (registry or clients.for_pages()).own
    if own is None:
        return [], 0
    found, behind = own.deleted_tags(project.full_path, n=limit, last=last, name=search)
    there = repositories.repositories_of(project).filter(path__in={tag.path for tag in found})
    rows = {row.path: row for row in there}
    for row in rows.values():
        row.project = project
    listed = [
        (rows[tag.path], tag)
        for tag in found
        if tag.path in rows and not rows[tag.path].is_being_deleted
    ]
    return listed, behind


def restore_image(
    by: Person,
    project: Project,
    pk: int,
    ticket: str = "",
    *,
    registry: Registry | None = None,
) -> ContainerRepository:
    """Take an image's deletion from the queue, or bring the image back where it is done already.

    Without a `ticket` only the former. Raises `NotFound`, `Forbidden`, `Conflict` for the moment
    in which a worker is at it.
    """
    require_in_project(by, project, Ability.ADMIN_IMAGE)
    known = _read(ticket, project, pk)
    row = deletion.take_back(by, project, pk)
    if row is None and not known:
        raise NotFound("no such image")
    path = row.path if row else f"{project.full_path}/{known['name']}".rstrip("/")
    if known.get("registry"):
        registry = registry or clients.for_pages()
        if registry.repository(path, size=False) is None:
            guard.require_image(by, project, path, "push")
            own_api(registry, _KEEPS_NOTHING).restore_repository(
                path,
                known["registry"],
                by=by.username,
                project=project.pk,
                rules=guard.Standing(by, project).as_meta(),
            )
        DeletedImage.objects.filter(registry_id=known["registry"], project=project).delete()
    if row is None:
        row = repositories.note(project, path, by=by)
        record("container_repository.restore", by=by, target=row)
    return row


def _read(ticket: str, project: Project, pk: int) -> dict[str, Any]:
    try:
        known: dict[str, Any] = signing.loads(ticket, salt=_SALT, max_age=settings.UNDO_WINDOW)
    except signing.BadSignature:
        return {}
    return known if (known["row"], known["project"]) == (pk, project.pk) else {}
