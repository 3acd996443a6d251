"""Where a page of an image stands: its frame, its addresses, and what to say in trouble."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils import timezone

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.responses import RepositoryDetails
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Project
from gitlab.namespaces.sidebars import Crumb, project_frame, registry_url
from gitlab.principals import Anybody

log = logging.getLogger(__name__)

TITLE = "Container registry"
PLACE_IN_LIST = ("q", "match", "platform", "sort", "last", "before")
"""Parameters that say where in a list of tags one is."""


def counted(count: int, noun: str) -> str:
    """``1 tag``, ``1,200 tags``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def name_of(repository: ContainerRepository) -> str:
    """What an image is called within its project; the project's own image has its name."""
    return repository.name or repository.project.path


def image_url(repository: ContainerRepository, page: str = "repository", **more: str) -> str:
    """A page of an image, by its name in this package's addresses."""
    at = {"path": repository.project.full_path, "pk": repository.pk, **more}
    return reverse(f"container_registry:{page}", kwargs=at)


def last_push(
    repository: ContainerRepository, details: RepositoryDetails | None
) -> dt.datetime | None:
    """When something was pushed: as the registry says, else as its notifications did."""
    said = details.last_published_at if details else None
    return said or repository.last_published_at


def state_of(repository: ContainerRepository) -> dict[str, Any]:
    """Where an image's deletion stands, for the part of a page that looks again by itself."""
    return {
        "row": repository,
        "progress_url": image_url(repository, "progress"),
        "delete_url": image_url(repository, "delete"),
        "restore_url": image_url(repository, "restore"),
    }


def project_page(project: Project, user: Anybody) -> dict[str, Any]:
    """The context of the page of a project's images."""
    frame = project_frame(project, user, "registry", (TITLE, ""))
    return {**frame, "foreign": is_foreign()}


def image_page(repository: ContainerRepository, user: Anybody, *more: Crumb) -> dict[str, Any]:
    """The context of a page of an image, with the breadcrumbs that lead to it."""
    above = (TITLE, registry_url(repository.project))
    image = (name_of(repository), image_url(repository) if more else "")
    return {
        **project_frame(repository.project, user, "registry", above, image, *more),
        "foreign": is_foreign(),
        "repository": repository,
        "name": name_of(repository),
    }


def position_in_list(given: QueryDict | dict[str, Any]) -> str:
    """The query that leads back to where in a list of tags one was, "" for its beginning."""
    kept = {key: str(given[key])[:200] for key in PLACE_IN_LIST if given.get(key)}
    return urlencode(kept)


def note_trouble(request: HttpRequest, repository_or_project: object, error: object) -> str:
    """Log that the registry could not be asked, with the id that the page shows. Answers
    the why.
    """
    request_id = getattr(request, "request_id", "")
    log.warning(
        "page of %s without the registry: %s [%s]", repository_or_project, error, request_id
    )
    return str(error)


def is_foreign() -> bool:
    """Whether the registry is not ours, and knows neither history nor undo."""
    return clients.for_pages().own is None


def undo_until() -> str:
    """Until when a deletion of now can be undone, in words; "" where it can't."""
    if not settings.UNDO_WINDOW or is_foreign():
        return ""
    end = timezone.now() + settings.UNDO_WINDOW
    return f"{end:%a} {end.day} {end:%b %H:%M} UTC"
