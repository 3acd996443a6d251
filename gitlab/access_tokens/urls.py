"""The addresses of this package's pages."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, path

from gitlab.access_tokens.views import deploy_tokens, personal, resource_tokens
from gitlab.namespaces import converters  # noqa: F401  (registers full_path)

app_name = "access_tokens"

_AT = "-/user_settings/personal_access_tokens"

# The group's first: its address would be that of a project in a group called groups.
_OF = {
    "group": "groups/<full_path:path>/-/settings",
    "project": "<full_path:path>/-/settings",
}


def _of_both(page: str, view: Callable[..., HttpResponse], name: str) -> list[URLPattern]:
    """A page of projects and of groups: ``project_<name>``, ``group_<name>``."""
    return [
        path(f"{at}/{page}", view, {"kind": kind}, name=f"{kind}_{name}")
        for kind, at in _OF.items()
    ]


urlpatterns: list[URLPattern | URLResolver] = [
    path(_AT, personal.index, name="index"),
    path(f"{_AT}/new", personal.new, name="new"),
    path(f"{_AT}/<int:pk>/rotate", personal.rotate, name="rotate"),
    path(f"{_AT}/<int:pk>/revoke", personal.revoke, name="revoke"),
    *_of_both("access_tokens", resource_tokens.index, "access_tokens"),
    *_of_both("access_tokens/new", resource_tokens.new, "access_token_new"),
    *_of_both("access_tokens/<int:pk>/rotate", resource_tokens.rotate, "access_token_rotate"),
    *_of_both("access_tokens/<int:pk>/revoke", resource_tokens.revoke, "access_token_revoke"),
    *_of_both("deploy_tokens", deploy_tokens.index, "deploy_tokens"),
    *_of_both("deploy_tokens/new", deploy_tokens.new, "deploy_token_new"),
    *_of_both("deploy_tokens/<int:pk>/revoke", deploy_tokens.revoke, "deploy_token_revoke"),
]
