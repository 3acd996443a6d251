"""The addresses of public keys and signing identities. None where the registry is off."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, path

from gitlab.container_registry.signatures.views import identities, keys
from gitlab.namespaces import converters  # noqa: F401  (registers full_path)

app_name = "signatures"

# The group's first: its address would be that of a project in a group called groups.
_OF = {
    "group": "groups/<full_path:path>/-/settings/",
    "project": "<full_path:path>/-/settings/",
}


def _of_both(page: str, view: Callable[..., HttpResponse], name: str) -> list[URLPattern]:
    """A page of projects and of groups: ``project_<name>``, ``group_<name>``."""
    return [
        path(f"{at}{page}", view, {"kind": kind}, name=f"{kind}_{name}") for kind, at in _OF.items()
    ]


urlpatterns: list[URLPattern | URLResolver] = []
if settings.CONTAINER_REGISTRY_ENABLED:
    urlpatterns = [
        *_of_both("public_keys", keys.index, "keys"),
        *_of_both("public_keys/<int:pk>/delete", keys.delete, "key_delete"),
        *_of_both("signing_identities", identities.index, "identities"),
        *_of_both("signing_identities/<int:pk>/delete", identities.delete, "identity_delete"),
    ]
