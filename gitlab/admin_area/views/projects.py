"""Projects: found, archived, hidden, deleted; several at once."""

from __future__ import annotations

from collections.abc import Sequence
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
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Project, RegistryAccess, Visibility
from gitlab.namespaces.sidebars import registry_url, url_of
from gitlab.namespaces.views.listing import Orders
from gitlab.storage.models import Measure

_ORDERS: Orders = {
    "path": ("full_path",),
    "name": ("name", "id"),
    "created_at": ("created_at", "id"),
    "updated_at": ("updated_at", "id"),
    "size": measured.BY_SIZE,
}
_STATES = [("live", "In use"), ("archived", "Archived"), ("deleted", "Being deleted")]


@dataclass(frozen=True)
class Row:
    """A project, how many images it has, what was measured of them, and where its pages are."""

    project: Project
    images: int
    measure: Measure | None
    url: str
    images_url: str
    settings_url: str
    members_url: str


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All projects, by pages; those chosen are archived, hidden or deleted at once."""
    filters = {name: asked(request, name) for name in ("state", "visibility", "registry")}
    found = _projects(asked(request, "q"), **filters)
    around = table_with_sizes(request, found, _ORDERS, ("project", "projects"), of="project")
    rows = _rows(around["rows"])
    context = admin.site.each_context(request) | {
        "title": "Projects",
        "states": [("", "Any state"), *_STATES],
        "visibilities": [("", "Any visibility"), *Visibility.choices],
        "registries": [("", "Any registry"), *RegistryAccess.choices],
        "is_filtered": any(filters.values()) or bool(asked(request, "q")),
        "actions": addressed("projects_act", bulk.PROJECTS),
        **around,
        "rows": rows,
        "oldest": measured.oldest(row.measure for row in rows),
    }
    return TemplateResponse(request, "admin/projects.html", context)


def _projects(
    search: str, *, state: str = "", visibility: str = "", registry: str = ""
) -> QuerySet[Project]:
    rows = Project.objects.select_related("namespace")
    if state == "deleted":
        rows = rows.filter(pending_delete_at__isnull=False)
    elif state in ("live", "archived"):
        rows = rows.filter(pending_delete_at__isnull=True, archived=state == "archived")
    if visibility in Visibility.values:
        rows = rows.filter(visibility=visibility)
    if registry in RegistryAccess.values:
        rows = rows.filter(registry_access=registry)
    text = search.strip().lower()
    return rows.filter(Q(full_path__contains=text) | Q(name__icontains=text)) if text else rows


def _rows(projects: Sequence[Project]) -> list[Row]:
    """Two queries, however many projects."""
    pks = [row.pk for row in projects]
    measures = measured.measures_of("project", pks)
    images = ContainerRepository.objects.filter(project__in=pks)
    counted = images.order_by().values_list("project").annotate(n=Count("pk"))
    counts: dict[int, int] = dict(counted)
    return [
        Row(
            row,
            counts.get(row.pk, 0),
            measures.get(row.pk),
            url_of(row),
            registry_url(row),
            reverse("namespaces:project_edit", kwargs={"path": row.full_path}),
            reverse("namespaces:project_members", kwargs={"path": row.full_path}),
        )
        for row in projects
    ]


@require_http_methods(["GET", "HEAD", "POST"])
def acting(request: HttpRequest, key: str) -> HttpResponse:
    """Asks about those chosen, then does it."""
    action = bulk.PROJECTS.get(key)
    if action is None:
        raise Http404
    there = Project.objects.select_related("namespace").filter(pending_delete_at__isnull=True)
    rows = list(there.filter(full_path__in=chosen_names(request)).order_by("full_path"))
    names = [row.full_path for row in rows]
    back = reverse("admin_area:projects")
    return act(request, action, Chosen(rows, names, ("project", "projects"), "Projects", back))
