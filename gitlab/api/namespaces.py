"""Namespaces: people's own and groups, for those who want to make a project in one."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import Entity, web_url
from gitlab.api.lookups import namespace_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Parameters, flag, identifier, text
from gitlab.namespaces import queries
from gitlab.namespaces.models import Namespace, Route


class NamespaceBasic(Entity):
    """A namespace, as a part of something."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    path = serializers.CharField()
    kind = serializers.ChoiceField(choices=Namespace.Kind.choices)
    full_path = serializers.CharField()
    parent_id = serializers.IntegerField(allow_null=True)
    avatar_url = serializers.SerializerMethodField()
    web_url = serializers.SerializerMethodField()

    def get_avatar_url(self, namespace: Namespace) -> str | None:
        """None: nothing has a picture here."""
        return None

    def get_web_url(self, namespace: Namespace) -> str:
        """Its page."""
        return web_url(namespace.full_path)


class NamespaceEntity(NamespaceBasic):
    """A namespace."""

    trial = serializers.SerializerMethodField()
    plan = serializers.SerializerMethodField()

    def get_trial(self, namespace: Namespace) -> bool:
        """False: nothing is sold here."""
        return False

    def get_plan(self, namespace: Namespace) -> str:
        """GitLab's word for that."""
        return "default"


class ExistsEntity(Entity):
    """Whether a path is taken, and free ones that are like it."""

    exists = serializers.BooleanField()
    suggests = serializers.ListField(child=serializers.CharField())


class ListParameters(PageParameters):
    """Which namespaces."""

    search = text()
    owned_only = flag()
    top_level_only = flag()


class Namespaces(Endpoint):
    """``/namespaces``"""

    section = "Namespaces"

    @operation("List namespaces", takes=ListParameters, gives=NamespaceEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """One's own namespace and the groups that one belongs to; for administrators all."""
        user = person(request)
        rows = queries.namespaces_of(user, search=given.get("search", ""))
        if given.get("owned_only"):
            rows = rows.filter(owner_id=user.pk)
        if given.get("top_level_only"):
            rows = rows.filter(parent__isnull=True)
        page = page_of(request, given, rows, ["full_path"])
        return page.response(NamespaceEntity(page.rows, many=True).data)


class OneNamespace(Endpoint):
    """``/namespaces/:id``"""

    section = "Namespaces"

    @operation("Show a namespace", gives=NamespaceEntity, refuses=[404])
    def get(self, request: Request, id: int | str) -> Response:
        """A namespace that one may see."""
        return Response(NamespaceEntity(namespace_for(person(request), id)).data)


class ExistsParameters(Parameters):
    """Where the path would be."""

    parent_id = identifier(required=False)


class NamespaceExists(Endpoint):
    """``/namespaces/:path/exists``"""

    section = "Namespaces"

    @operation("Is a path taken?", takes=ExistsParameters, gives=ExistsEntity, refuses=[404])
    def get(self, request: Request, given: dict[str, Any], path: str) -> Response:
        """Whether a group or a person has this path, whoever may see it."""
        above = ""
        if "parent_id" in given:
            above = f"{namespace_for(person(request), given['parent_id']).full_path}/"
        whole = f"{above}{path.lower()}"
        if not Route.objects.filter(full_path=whole).exists():
            return Response({"exists": False, "suggests": []})
        return Response({"exists": True, "suggests": _free(above, path.lower())})


_SUGGESTED_AMONG = 20


def _free(above: str, path: str) -> list[str]:
    """A path like `path` that is free, where one of the next numbers is."""
    wanted = [f"{path}{number}" for number in range(1, _SUGGESTED_AMONG)]
    whole = [f"{above}{each}" for each in wanted]
    taken = set(Route.objects.filter(full_path__in=whole).values_list("full_path", flat=True))
    return [each for each in wanted if f"{above}{each}" not in taken][:1]
