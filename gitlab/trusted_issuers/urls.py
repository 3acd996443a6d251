"""The addresses of this package's pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gitlab.namespaces import converters  # noqa: F401  (registers full_path)
from gitlab.trusted_issuers import views

app_name = "trusted_issuers"

# The group's first: its address would be that of a project in a group called groups.
_OF = {
    "group": "groups/<full_path:path>/-/settings/trusted_issuers",
    "project": "<full_path:path>/-/settings/trusted_issuers",
}
_PAGES = (
    ("", views.index, "trusted_issuers"),
    ("/new", views.new, "trusted_issuer_new"),
    ("/<int:pk>", views.edit, "trusted_issuer"),
    ("/<int:pk>/try", views.try_token, "trusted_issuer_try"),
    ("/<int:pk>/revoke", views.revoke, "trusted_issuer_revoke"),
)

urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{at}{page}", view, {"kind": kind}, name=f"{kind}_{name}")
    for page, view, name in _PAGES
    for kind, at in _OF.items()
]
