"""The console: Django's admin in Berth's frame, for administrators who signed in as
everybody does.
"""

from __future__ import annotations

import functools
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from gitlab.admin_area import numbers
from gitlab.ui.decorators import require_confirmation
from gitlab.ui.navigation import Heading, Link, Section

_ICONS = {
    "Member": "user-plus",
    "CleanupPolicy": "brush-cleaning",
    "CleanupRun": "recycle",
    "BulkTagDeletion": "trash-2",
    "RepositoryRule": "shield",
    "TagRule": "shield",
    "Identity": "badge-check",
    "TrustedIssuer": "fingerprint",
    "Quota": "hard-drive",
    "AuditEvent": "scroll-text",
}
"""Model → icon, of the lists that are Django's."""

_PAGES = [
    ("People", "admin_area:people", "users"),
    ("Groups", "admin_area:groups", "folder"),
    ("Projects", "admin_area:projects", "package"),
    ("Images", "admin_area:images", "container"),
    ("Tokens", "admin_area:tokens", "key-round"),
    ("Inventory", "record:inventories", "list"),
    ("Audit log", "record:instance", "scroll-text"),
    ("Denials", "record:denials", "ban"),
    ("Doctor", "admin_area:doctor", "shield-check"),
    ("Announcements", "admin_area:announcements", "bell"),
    ("Cleanup policy", "admin_area:cleanup", "sliders-horizontal"),
    ("Mail", "admin_area:mail", "file-text"),
    ("Settings", "admin_area:settings", "settings"),
]
"""Our own pages: label, name, icon."""


class Console(AdminSite):
    """One place for everything that administrators look at."""

    site_title = "Admin area"
    site_header = "Admin area"
    index_title = "Overview"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Only what is ours: Django's groups, and allauth's rows of factors and sessions, come with
        forms that go past the rules.
        """
        if admin_class is not None and admin_class.__module__.startswith("gitlab."):
            super().register(model_or_iterable, admin_class, **options)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Django's door of each page. What is sent changes something: who has not said lately who
        they are is asked first.
        """

        @functools.wraps(view)
        def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method == "POST":
                require_confirmation(request)
            answer: HttpResponse = view(request, *args, **kwargs)
            return answer

        return super().admin_view(asked, cacheable)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Django's context of every page, with what the frame shows."""
        context = super().each_context(request)
        home = reverse("admin:index", current_app=self.name)
        return context | {
            "heading": Heading("Admin area", home, kind="Berth", icon="gauge"),
            "sidebar": _sidebar(context["available_apps"], request.path, home),
        }

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The overview: how much there is, and which jobs need somebody."""
        return super().index(request, numbers.overview() | (extra_context or {}))

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Everybody's own page to sign in. Who has done so and comes here is no administrator."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied("The admin area is for administrators.")
        back = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
            back = reverse("admin:index")
        return redirect_to_login(back, settings.LOGIN_URL)


def _sidebar(apps: list[dict[str, Any]], path: str, home: str) -> list[Section]:
    """Our own pages, and below them the lists of Django's that this person may see."""
    pages = [Link("Overview", home, "gauge", path == home)]
    for label, name, icon in _PAGES:
        url = reverse(name)
        pages.append(Link(label, url, icon, path.startswith(url)))
    lists = [
        Link(
            str(model["name"]),
            model["admin_url"],
            _ICONS.get(model["object_name"], "list"),
            path.startswith(model["admin_url"]),
        )
        for app in apps
        for model in app["models"]
    ]
    return [Section("", pages), Section("Further lists", sorted(lists, key=_by_label))]


def _by_label(link: Link) -> str:
    return link.label.lower()


@functools.cache
def discover() -> AdminSite:
    """Django's site with every package's models, and none of others': see `Console.register`."""
    admin.autodiscover()
    return admin.site
