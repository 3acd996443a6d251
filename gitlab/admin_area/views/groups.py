"""Groups: found, hidden, deleted; several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.admin_area import bulk, measured
from gitlab.admin_area.views.acting import Chosen, act, addressed, chosen_names
from gitlab.admin_area.views.tables import asked, table_with_sizes
from gitlab.namespaces.models import Member, Namespace, Project, Visibility
from gitlab.namespaces.sidebars import storage_url, url_of
from gitlab.namespaces.user_access import live_members
from gitlab.namespaces.views.listing import Orders
from gitlab.quotas.models import Quota
from gitlab.quotas.reading import Limit, limits_at
from gitlab.storage.models import Measure

_ORDERS: Orders = {
    "path": ("full_path",),
    "updated_at": ("updated_at", "id"),
    "size": measured.BY_SIZE,
}
_STATES = [("live", "In use"), ("deleted", "Being deleted")]
_PLACES = [("top", "At the top"), ("below", "In another group")]


@dataclass(frozen=True)
class Row:
    """A group with how many members and projects it has itself, and what was measured at and below
    it. `max_bytes` and `max_images` are the lowest limits that were set at its path.
    """

    group: Namespace
    members: int
    projects: int
    measure: Measure | None
    max_bytes: int | None
    max_images: int | None
    url: str
    members_url: str
    settings_url: str
    storage_url: str


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All groups, by pages; those chosen are hidden or deleted at once, or want two factors."""
    filters = {name: asked(request, name) for name in ("state", "visibility", "place", "factors")}
    found = _groups(asked(request, "q"), **filters)
    around = table_with_sizes(request, found, _ORDERS, ("group", "groups"), of="namespace")
    rows = _rows(around["rows"])
    context = admin.site.each_context(request) | {
        "title": "Groups",
        "states": [("", "Any state"), *_STATES],
        "visibilities": [("", "Any visibility"), *Visibility.choices],
        "places": [("", "Anywhere"), *_PLACES],
        "with_factors": [("", "Any factors"), ("yes", "Two required"), ("no", "One is enough")],
        "is_filtered": any(filters.values()) or bool(asked(request, "q")),
        "actions": addressed("groups_act", bulk.GROUPS),
        **around,
        "rows": rows,
        "oldest": measured.oldest(row.measure for row in rows),
    }
    return TemplateResponse(request, "admin/groups.html", context)


def _groups(
    search: str, *, state: str = "", visibility: str = "", place: str = "", factors: str = ""
) -> QuerySet[Namespace]:
    rows = Namespace.objects.filter(kind=Namespace.Kind.GROUP)
    if state in ("live", "deleted"):
        rows = rows.filter(pending_delete_at__isnull=state == "live")
    if visibility in Visibility.values:
        rows = rows.filter(visibility=visibility)
    if place in ("top", "below"):
        rows = rows.filter(parent__isnull=place == "top")
    if factors in ("yes", "no"):
        rows = rows.filter(require_two_factor_authentication=factors == "yes")
    text = search.strip().lower()
    return rows.filter(Q(full_path__contains=text) | Q(name__icontains=text)) if text else rows


def _rows(groups: Sequence[Namespace]) -> list[Row]:
    """Four queries, however many groups."""
    pks = [group.pk for group in groups]
    projects = Project.objects.filter(namespace__in=pks, pending_delete_at__isnull=True)
    members = _counted(live_members().filter(namespace__in=pks))
    projects_of = _counted(projects)
    measures = measured.measures_of("namespace", pks)
    quotas = {row.namespace_id: row for row in Quota.objects.filter(namespace__in=pks)}
    return [
        _row(group, members, projects_of, measures.get(group.pk), quotas.get(group.pk))
        for group in groups
    ]


def _row(
    group: Namespace,
    members: Mapping[int, int],
    projects: Mapping[int, int],
    measure: Measure | None,
    quota: Quota | None,
) -> Row:
    limits = limits_at(group.full_path, quota, is_top=group.parent_id is None)
    at = {"path": group.full_path}
    return Row(
        group,
        members.get(group.pk, 0),
        projects.get(group.pk, 0),
        measure,
        _lowest(limits, "max_bytes"),
        _lowest(limits, "max_images"),
        url_of(group),
        reverse("namespaces:group_members", kwargs=at),
        reverse("namespaces:group_edit", kwargs=at),
        storage_url(group),
    )


def _lowest(limits: Sequence[Limit], name: str) -> int | None:
    values = (getattr(limit, name) for limit in limits)
    return min((value for value in values if value is not None), default=None)


def _counted(rows: QuerySet[Project] | QuerySet[Member]) -> dict[int, int]:
    return dict(rows.order_by().values_list("namespace").annotate(n=Count("pk")))


@require_http_methods(["GET", "HEAD", "POST"])
def acting(request: HttpRequest, key: str) -> HttpResponse:
    """Asks about those chosen, then does it."""
    action = bulk.GROUPS.get(key)
    if action is None:
        raise Http404
    there = Namespace.objects.select_related("parent").filter(
        kind=Namespace.Kind.GROUP, pending_delete_at__isnull=True
    )
    rows = list(there.filter(full_path__in=chosen_names(request)).order_by("full_path"))
    names = [row.full_path for row in rows]
    back = reverse("admin_area:groups")
    return act(request, action, Chosen(rows, names, ("group", "groups"), "Groups", back))
