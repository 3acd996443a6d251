"""Images: found by name and state, the largest first; deletions begun, kept, tried again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.admin_area import bulk, measured
from gitlab.admin_area.views.acting import Chosen, act, addressed, chosen_names
from gitlab.admin_area.views.tables import asked, table_with_sizes
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.views.image_pages import image_url
from gitlab.namespaces.sidebars import registry_url
from gitlab.namespaces.views.listing import Orders
from gitlab.storage.models import Measure

_ORDERS: Orders = {"path": ("path",), "size": measured.BY_SIZE}
_STATES = [("live", "At rest"), *ContainerRepository.Status.choices]


@dataclass(frozen=True)
class Row:
    """An image, what was measured of it, and where its page and its project's are: "" while the
    project is being deleted, or where this installation has none.
    """

    image: ContainerRepository
    measure: Measure | None
    url: str
    project_url: str

    @property
    def keeps(self) -> bool:
        """Whether its deletion can be taken back."""
        return self.image.status is not None and bool(self.url)

    @property
    def fails(self) -> bool:
        """Whether its deletion can be tried again."""
        return self.image.status == ContainerRepository.Status.DELETE_FAILED

    @property
    def pushed_at(self) -> dt.datetime | None:
        """When something was pushed, as far as the registry has told."""
        return self.image.last_published_at


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Every image, by pages, the largest first where sizes are measured."""
    state = asked(request, "state")
    usual = "-size" if measured.any_measured("repository") else "path"
    found = _images(asked(request, "q"), state)
    around = table_with_sizes(
        request, found, _ORDERS, ("image", "images"), of="repository", usual=usual
    )
    rows = _rows(around["rows"])
    context = admin.site.each_context(request) | {
        "title": "Images",
        "states": [("", "Any state"), *_STATES],
        "is_filtered": bool(state or asked(request, "q")),
        "actions": addressed("images_act", bulk.IMAGES),
        **around,
        "rows": rows,
        "oldest": measured.oldest(row.measure for row in rows),
    }
    return TemplateResponse(request, "admin/images.html", context)


def _images(search: str, state: str) -> QuerySet[ContainerRepository]:
    rows = ContainerRepository.objects.select_related("project")
    if state == "live":
        rows = rows.filter(status__isnull=True)
    elif state in ContainerRepository.Status.values:
        rows = rows.filter(status=state)
    text = search.strip().lower()
    return rows.filter(path__contains=text) if text else rows


def _rows(images: Sequence[ContainerRepository]) -> list[Row]:
    """One query, however many images."""
    measures = measured.measures_of("repository", [image.pk for image in images])
    return [_row(image, measures.get(image.pk)) for image in images]


def _row(image: ContainerRepository, measure: Measure | None) -> Row:
    project_url = "" if image.project.is_pending_delete else registry_url(image.project)
    return Row(image, measure, image_url(image) if project_url else "", project_url)


@require_http_methods(["GET", "HEAD", "POST"])
def acting(request: HttpRequest, key: str) -> HttpResponse:
    """Asks about those chosen, then does it."""
    action = bulk.IMAGES.get(key)
    if action is None:
        raise Http404
    there = ContainerRepository.objects.select_related("project__namespace")
    rows = list(there.filter(path__in=chosen_names(request)).order_by("path"))
    names = [row.path for row in rows]
    back = reverse("admin_area:images")
    return act(request, action, Chosen(rows, names, ("image", "images"), "Images", back))
