"""The rows of tables of projects and groups: with one's role, and how many images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from gitlab.refusals import Invalid

Listed = TypeVar("Listed", bound=Model)


Orders = Mapping[str, tuple[str, ...]]
"""What a list may be sorted by, as the address says it, and the columns of its index. The first is
what holds where nothing is asked for; each may have a minus in front.
"""

BY_PATH: Orders = {"path": ("full_path",), "updated_at": ("updated_at", "id")}


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
    request: HttpRequest,
    rows: QuerySet[Listed],
    page: Page[Listed],
    noun: str,
    orders: Orders = BY_PATH,
) -> dict[str, Any]:
    """What stands around a table: its order, how many rows, the pages before and after."""
    sort = sort_of(request, orders)
    kept = {"q": search_of(request), "sort": "" if sort == next(iter(orders)) else sort}

    def link(name: str, key: str) -> str:
        if not key:
            return ""
        return "?" + urlencode({each: text for each, text in kept.items() if text} | {name: key})

    count = rows.count()
    return {
        "count": count,
        "count_text": f"{count:,} {noun}" + ("" if count == 1 else "s"),
        "searching": bool(search_of(request)),
        "sort": sort,
        "previous_url": link("before", page.previous_before),
        "next_url": link("after", page.next_after),
    }


def page_of(
    request: HttpRequest,
    rows: QuerySet[Listed],
    orders: Orders = BY_PATH,
    *,
    limit: int = 20,
    usual: str = "",
) -> Page[Listed]:
    """The page of `rows` that the address asks for, in the order that it asks for."""
    after, before = _asked(request, "after"), _asked(request, "before")
    order = columns_of(sort_of(request, orders, usual), orders)
    try:
        return pagination.page(rows, *order, after=after, before=before, limit=limit)
    except Invalid:
        # A key of another order, or typed by hand.
        return pagination.page(rows, *order, limit=limit)


def sort_of(request: HttpRequest, orders: Orders, usual: str = "") -> str:
    """What the address wants to be sorted by; where that is none of `orders` it is the `usual`, or
    the first.
    """
    asked = _asked(request, "sort")
    return asked if asked.removeprefix("-") in orders else usual or next(iter(orders))


def columns_of(sort: str, orders: Orders) -> list[str]:
    """The columns of an order, each with a minus where it is turned around."""
    sign = "-" if sort.startswith("-") else ""
    return [sign + column for column in orders[sort.removeprefix("-")]]


def search_of(request: HttpRequest) -> str:
    """What was typed into the filter."""
    return _asked(request, "q")


def _asked(request: HttpRequest, key: str) -> str:
    """A parameter of the address. PostgreSQL has no word for a NUL."""
    return request.GET.get(key, "").replace("\0", "")[:255]
