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

_SECTIONS = {
    "People": {"PersonalAccessToken": "key-round"},
    "Groups": {"Namespace": "folder", "Member": "user-plus"},
    "Registry": {
        "ContainerRepository": "container",
        "CleanupPolicy": "brush-cleaning",
        "CleanupRun": "recycle",
    },
    "Record": {"AuditEvent": "scroll-text"},
}
"""Section → model → icon. A model that is missing here stands in the last section."""


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
    """The models that this person may see, by section."""
    links: dict[str, list[Link]] = {title: [] for title in _SECTIONS}
    for app in apps:
        for model in app["models"]:
            title, icon = _place(model["object_name"])
            url = model["admin_url"]
            links[title].append(Link(str(model["name"]), url, icon, path.startswith(url)))
    people, projects = reverse("admin_area:people"), reverse("admin_area:projects")
    announcements = reverse("admin_area:announcements")
    mail, settings_url = reverse("admin_area:mail"), reverse("admin_area:settings")
    doctor, cleanup = reverse("admin_area:doctor"), reverse("admin_area:cleanup")
    inventory = reverse("record:inventories")
    audit, denials = reverse("record:instance"), reverse("record:denials")
    overview = Section(
        "",
        [
            Link("Overview", home, "gauge", path == home),
            Link("People", people, "users", path.startswith(people)),
            Link("Projects", projects, "package", path.startswith(projects)),
            Link("Doctor", doctor, "shield-check", path == doctor),
            Link("Audit log", audit, "scroll-text", path == audit),
            Link("Inventory", inventory, "list", path.startswith(inventory)),
            Link("Denials", denials, "ban", path == denials),
            Link("Announcements", announcements, "bell", path.startswith(announcements)),
            Link("Cleanup policy", cleanup, "sliders-horizontal", path == cleanup),
            Link("Mail", mail, "file-text", path == mail),
            Link("Settings", settings_url, "settings", path == settings_url),
        ],
    )
    return [overview, *(Section(title, found) for title, found in links.items() if found)]


def _place(model: str) -> tuple[str, str]:
    for title, models in _SECTIONS.items():
        if model in models:
            return title, models[model]
    return list(_SECTIONS)[-1], "list"


@functools.cache
def discover() -> AdminSite:
    """Django's site with every package's models, and none of others': see `Console.register`."""
    admin.autodiscover()
    return admin.site
