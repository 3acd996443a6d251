"""The rows of tables of projects and groups: with one's role, and how many images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest

from gitlab import pagination
from gitlab.namespaces.models import Namespace, Project, Routable
from gitlab.namespaces.paths import slug
from gitlab.namespaces.roles import Roles
from gitlab.namespaces.sidebars import registry_url, url_of
from gitlab.pagination import Page
from gitlab.principals import Anybody

Listed = TypeVar("Listed", bound=Model)


@dataclass(frozen=True)
class Row:
    """A project or group in a table. `images` is None where the reader may not know."""

    routable: Routable
    url: str
    role: str = ""
    images: int | None = None
    images_url: str = ""

    @property
    def above(self) -> str:
        """The path before the last segment, with its slash."""
        return self.routable.full_path[: -len(self.routable.path)]

    @property
    def says_more(self) -> bool:
        """Whether the name is more than the path in other letters."""
        return slug(self.routable.name) != slug(self.routable.path)


def project_rows(user: Anybody, projects: Sequence[Project]) -> list[Row]:
    """Three queries, however many projects."""
    roles = Roles(user)
    readable = {project.pk for project in projects if roles.reads_images(project)}
    counts = dict(
        Project.objects.filter(pk__in=readable)
        .annotate(images=Count("container_repositories"))
        .order_by()
        .values_list("pk", "images")
    )
    return [
        Row(
            project,
            url_of(project),
            roles.label(project),
            counts.get(project.pk, 0) if project.pk in readable else None,
            registry_url(project) if project.pk in readable else "",
        )
        for project in projects
    ]


def group_rows(user: Anybody, groups: Iterable[Namespace]) -> list[Row]:
    """One query, however many groups."""
    roles = Roles(user)
    return [Row(group, url_of(group), roles.label(group)) for group in groups]


def around(
    request: HttpRequest, rows: QuerySet[Listed], page: Page[Listed], noun: str
) -> dict[str, Any]:
    """What stands below a table: how many rows there are, and the pages before and after."""

    def link(name: str, key: str) -> str:
        if not key:
            return ""
        kept = {"q": request.GET["q"]} if request.GET.get("q") else {}
        return "?" + urlencode({**kept, name: key})

    count = rows.count()
    return {
        "count": count,
        "count_text": f"{count:,} {noun}" + ("" if count == 1 else "s"),
        "searching": bool(search_of(request)),
        "previous_url": link("before", page.previous_before),
        "next_url": link("after", page.next_after),
    }


def page_of(
    request: HttpRequest, rows: QuerySet[Listed], order: str = "full_path", *, limit: int = 20
) -> Page[Listed]:
    """The page of `rows` that the address asks for."""
    after, before = _asked(request, "after"), _asked(request, "before")
    return pagination.page(rows, order, after=after, before=before, limit=limit)


def search_of(request: HttpRequest) -> str:
    """What was typed into the filter."""
    return _asked(request, "q")


def _asked(request: HttpRequest, key: str) -> str:
    """A parameter of the address. PostgreSQL has no word for a NUL."""
    return request.GET.get(key, "").replace("\0", "")[:255]
