"""The rules about images on GitLab's side. `by` is who does it.

Refusals: `NotFound`, `Forbidden`, `Conflict`; of the registry `RegistryUnavailable`,
`RegistryRefused`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from gitlab import pagination
from gitlab.audit.services import record
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import RepositoryDetails
from gitlab.container_registry.image_paths import ImagePath
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import queries, services
from gitlab.namespaces.loaders import no_project, require_in_project
from gitlab.namespaces.models import Namespace, Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.pagination import Page
from gitlab.principals import Actor, Anybody, Person
from gitlab.refusals import Invalid, NotFound

_AT_ONCE = 4


@dataclass(frozen=True)
class Listed:
    """A container repository, and what the registry says of it.

    `details` is None where the registry has no such image (yet), or could not be asked.
    """

    repository: ContainerRepository
    details: RepositoryDetails | None


@dataclass(frozen=True)
class Listing:
    """A page of a project's images. `trouble` says why details are missing, "" if none are."""

    images: Sequence[Listed]
    page: Page[ContainerRepository]
    trouble: str = ""


class Owning(Protocol):
    """A project, as a row of whatever kind knows it."""

    @property
    def id(self) -> int:
        """The project's id."""

    @property
    def full_path(self) -> str:
        """Its path with all groups above."""


def create_project_of(image: ImagePath, *, by: Person, reason: str) -> None:
    """The project that an image without one belongs to, privately.

    Raises `Invalid` where somebody was faster, `Forbidden`, `NotFound`.
    """
    namespace = Namespace.objects.filter(pk=image.namespace.id).first()
    if namespace is None:
        raise NotFound("the namespace is gone")
    services.create_project(by, namespace=namespace, path=image.new_project, reason=reason)


def note(project: Owning, path: str, *, by: Actor | None) -> ContainerRepository:
    """The row of an image, made where there is none. Two at the same time make one.

    Raises `NotFound` where the project has got another path meanwhile.
    """
    name = path[len(project.full_path) + 1 :]
    with transaction.atomic():
        # Held as a change of the path holds it, which then takes this row along.
        here = Project.objects.select_for_update().filter(
            pk=project.id, full_path=project.full_path
        )
        if here.values_list("pk", flat=True).first() is None:
            raise NotFound("the project was renamed")
        row, is_new = ContainerRepository.objects.get_or_create(
            path=path, defaults={"project_id": project.id, "name": name}
        )
        if is_new:
            record("container_repository.create", by=by, target=row)
    return row


def get_container_repository_for(
    user: Anybody, pk: int, ability: Ability = Ability.READ_IMAGE, *, project: str | None = None
) -> ContainerRepository:
    """An image, for somebody who may do `ability` in its project.

    `project` is the full path of the project that the address names. Its `project.abilities` is
    filled. Raises `NotFound`, `Forbidden`.
    """
    row = (
        ContainerRepository.objects.select_related("project__namespace")
        .filter(pk=pk, project__pending_delete_at__isnull=True)
        .first()
    )
    if row is None or (project is not None and row.project.full_path != project.lower()):
        raise no_project(user)
    require_in_project(user, row.project, ability)
    return row


def repositories_of(project: Project) -> QuerySet[ContainerRepository]:
    """A project's images by path, those being deleted included."""
    return ContainerRepository.objects.filter(project=project).order_by("path")


def matching(project: Project, search: str = "") -> QuerySet[Any]:
    """A project's images with `search` in their path, and when they were `pushed` last: where that
    is not known, when they came here.
    """
    rows = repositories_of(project).annotate(pushed=Coalesce("last_published_at", "created_at"))
    return rows.filter(path__contains=search.lower()) if search else rows


def list_for(
    project: Project,
    *,
    after: str = "",
    before: str = "",
    limit: int = 20,
    search: str = "",
    order: Sequence[str] = ("path",),
    registry: Registry | None = None,
) -> Listing:
    """A page of a project's images with what the registry knows of each.

    `after` and `before` are keys of the `order`: paths, where it is by path. `search` is a part of
    the path. A registry that does not answer leaves the details out and says so.
    """
    rows = matching(project, search)
    try:
        page = pagination.page(rows, *order, after=after, before=before, limit=limit)
    except Invalid:
        # A key of another order, or typed by hand.
        page = pagination.page(rows, *order, limit=limit)
    for row in page.rows:
        row.project = project
    details, trouble = _details(page.rows, registry or clients.for_pages())
    images = [Listed(row, details.get(row.path)) for row in page.rows]
    return Listing(images, page, trouble)


def stored_by(project: Project, *, registry: Registry | None = None) -> int | None:
    """Bytes of all images of a project, shared layers once; None where the registry can't tell."""
    try:
        found = (registry or clients.for_pages()).repository(project.full_path, below=True)
    except (RegistryUnavailable, RegistryRefused):
        return None
    return found.size_bytes if found else None


def readable_in(reader: Anybody, group: Namespace) -> QuerySet[ContainerRepository]:
    """The images in a group, at any depth, that somebody may read, by path."""
    projects = queries.projects_with_readable_images(reader)
    within = queries.projects_at_or_below(projects, group).order_by().values("pk")
    rows = ContainerRepository.objects.filter(project__in=within)
    return rows.select_related("project__namespace").order_by("path")


T = TypeVar("T")


def ask_of_each(
    rows: Sequence[ContainerRepository], ask: Callable[[Registry, str], T]
) -> dict[str, T]:
    """What the registry says of each image, by path, a few asked at the same time.

    Raises `RegistryUnavailable`, `RegistryRefused` with the first that it can't be asked of.
    """
    if not rows:
        return {}
    registry = clients.for_pages()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = {row.path: pool.submit(ask, registry, row.path) for row in rows}
        try:
            return {path: answer.result() for path, answer in asked.items()}
        finally:
            for answer in asked.values():
                answer.cancel()


def sizes_of(
    routables: Sequence[Routable], *, registry: Registry | None = None
) -> dict[int, int | None]:
    """Bytes of the images at and below each project or group, by its id, shared layers once.

    A few are asked for at the same time. None where the registry can't tell.
    """
    if not routables:
        return {}
    known = registry or clients.for_pages()

    def size(routable: Routable) -> int | None:
        try:
            found = known.repository(routable.full_path, below=True)
        except (RegistryUnavailable, RegistryRefused):
            return None
        return found.size_bytes if found else 0

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        sizes = pool.map(size, routables)
        return dict(zip((routable.pk for routable in routables), sizes, strict=True))


def _details(
    rows: Sequence[ContainerRepository], registry: Registry
) -> tuple[dict[str, RepositoryDetails | None], str]:
    """Details by path, a few calls at the same time. The first failure ends the asking."""
    if not rows:
        return {}, ""
    details: dict[str, RepositoryDetails | None] = {}
    trouble = ""

    def ask(path: str) -> tuple[str, RepositoryDetails | None]:
        return path, None if trouble else registry.repository(path)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for answer in [pool.submit(ask, row.path) for row in rows]:
            try:
                path, found = answer.result()
            except (RegistryUnavailable, RegistryRefused) as error:
                trouble = str(error)
            else:
                details[path] = found
    return details, trouble
