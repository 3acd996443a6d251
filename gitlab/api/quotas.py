"""Quotas: what is used and limited at a project, a group, a namespace. Ours; GitLab has none."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter
from gitlab.api.fields import Entity
from gitlab.api.lookups import namespace_for, routable_for
from gitlab.api.parameters import Parameters
from gitlab.namespaces.models import Routable
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.quotas import services

_SECTION = "Quotas"


class LimitEntity(Entity):
    """A limit that holds there, and what is used of it."""

    path = serializers.CharField(source="limit.path")
    max_bytes = serializers.IntegerField(source="limit.max_bytes", allow_null=True)
    max_images = serializers.IntegerField(source="limit.max_images", allow_null=True)
    used_bytes = serializers.IntegerField(
        source="bytes", allow_null=True, help_text="null while it is not counted yet."
    )
    used_images = serializers.IntegerField(source="images", allow_null=True)
    used_percent = serializers.IntegerField(source="percent")
    set_by_administrator = serializers.BooleanField(source="limit.by_admin")


class StorageEntity(Entity):
    """What is used at and below a path, and each limit on the way up, the highest first."""

    full_path = serializers.CharField()
    limits = LimitEntity(many=True)


class QuotaParameters(Parameters):
    """The limits; null takes one away."""

    max_bytes = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=services.MAX_BYTES
    )
    max_images = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=services.MAX_IMAGES
    )


def _storage(by: Person, owner: Routable) -> Response:
    limits = services.uses(by, owner)
    return Response(StorageEntity({"full_path": owner.full_path, "limits": limits}).data)


def _set(by: Person, owner: Routable, given: dict[str, Any]) -> Response:
    if not given:
        raise BadParameter("max_bytes, max_images are missing, at least one must be provided")
    existing = services.of(owner)
    limits = {
        name: given.get(name, getattr(existing, name, None)) for name in ("max_bytes", "max_images")
    }
    services.set_quota(by, owner, **limits)
    return _storage(by, owner)


class NamespaceStorage(Endpoint):
    """``/namespaces/:id/storage``"""

    section = _SECTION

    @operation("Show the storage of a namespace", gives=StorageEntity, refuses=[403, 404, 503])
    def get(self, request: Request, id: int | str) -> Response:
        """Of a group or a person's own namespace, for who sees its members."""
        by = person(request)
        return _storage(by, namespace_for(by, id))

    @operation(
        "Limit a namespace", takes=QuotaParameters, gives=StorageEntity, refuses=[403, 404, 503]
    )
    def put(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """By administrators, and by owners where no administrator has. What is not given stays."""
        by = person(request)
        return _set(by, namespace_for(by, id), given)


class Quota(Endpoint):
    """``/projects/:id/quota``, and the same of a group"""

    section = _SECTION
    of_both = True

    @operation("Show a quota", gives=StorageEntity, refuses=[403, 404, 503])
    def get(self, request: Request, kind: str, id: int | str) -> Response:
        """With what is used, for developers of the project and members of the group."""
        by = person(request)
        return _storage(by, _owner(by, kind, id))

    @operation("Set a quota", takes=QuotaParameters, gives=StorageEntity, refuses=[403, 404, 503])
    def put(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """By administrators, and by owners where no administrator has. What is not given stays."""
        by = person(request)
        return _set(by, _owner(by, kind, id), given)


def _owner(by: Person, kind: str, id: int | str) -> Routable:
    ability = Ability.READ_PROJECT if kind == "project" else Ability.READ_GROUP
    return routable_for(by, kind, id, ability)
