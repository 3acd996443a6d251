"""Why somebody was denied: to them, to who maintains the project, to administrators."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import Entity, Moment
from gitlab.api.lookups import administered
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import choice
from gitlab.namespaces.models import Project
from gitlab.record import denials

_ORDER = list(denials.ORDER)


class DenialEntity(Entity):
    """A login that was refused, or access that was not granted."""

    id = serializers.CharField(source="reference", help_text="As docker has shown it.")
    kind = serializers.CharField(help_text="`login` or `scope`")
    name = serializers.CharField(help_text="Empty for visitors, and for names that nobody has.")
    credential = serializers.CharField()
    ip_address = serializers.CharField(source="address")
    path = serializers.CharField()
    actions = serializers.CharField()
    reason = serializers.CharField()
    request_id = serializers.CharField()
    count = serializers.IntegerField()
    first_at = Moment()
    last_at = Moment()


class ListParameters(PageParameters):
    """Whose."""

    scope = choice(["own", "all"], help_text="`all` is for administrators. Default: `own`.")


class Denials(Endpoint):
    """``/denials``"""

    section = "Denials, beyond GitLab"

    @operation("List denials", takes=ListParameters, gives=DenialEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """One's own, the latest first; for administrators all of them too."""
        by = person(request)
        is_all = given.get("scope") == "all" and by.is_superuser
        rows = denials.everywhere() if is_all else denials.of_person(by)
        page = page_of(request, given, rows, _ORDER)
        return page.response(DenialEntity(page.rows, many=True).data)


class OneDenial(Endpoint):
    """``/denials/:id``"""

    section = "Denials, beyond GitLab"

    @operation("Show a denial", gives=DenialEntity, refuses=[404])
    def get(self, request: Request, id: str) -> Response:
        """To whom it concerns, and to who looks after the project or group."""
        return Response(DenialEntity(denials.find_for(person(request), id)).data)


class DenialsOf(Endpoint):
    """``/projects/:id/denials`` and ``/groups/:id/denials``"""

    section = "Denials, beyond GitLab"
    of_both = True

    @operation(
        "List denials",
        takes=PageParameters,
        gives=DenialEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Everybody's, the latest first, for those who maintain the project; of a group, where
        there is no project, for its owners.
        """
        found = administered(person(request), kind, id)
        rows = denials.in_project(found) if isinstance(found, Project) else denials.in_group(found)
        page = page_of(request, given, rows, _ORDER)
        return page.response(DenialEntity(page.rows, many=True).data)
