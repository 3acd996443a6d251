"""Ours, beyond GitLab: how often an image was pulled on which day."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import ApiError, not_found
from gitlab.api.fields import Entity
from gitlab.api.lookups import repository_for
from gitlab.api.parameters import Parameters, text
from gitlab.container_registry import tags as services
from gitlab.container_registry.client import chosen as clients
from gitlab.namespaces.policies import Ability

_MAX_DAYS = 366


class PullsParameters(Parameters):
    """Of what, and for how long."""

    days = serializers.IntegerField(
        required=False, min_value=1, max_value=_MAX_DAYS, help_text="Today included; 30."
    )
    tag_name = text(
        max_length=128,
        help_text="Of the image that this tag points at, by whatever reference it was pulled.",
    )


class DailyPullsEntity(Entity):
    """How often it was pulled on a day (UTC) by a kind of credential."""

    day = serializers.DateField()
    credential = serializers.CharField()
    pulls = serializers.IntegerField()


class Pulls(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/pulls``"""

    section = "Container registry, beyond GitLab"
    visitors = True

    @operation(
        "Show how often an image was pulled",
        takes=PullsParameters,
        gives=DailyPullsEntity,
        many=True,
        refuses=[404, 422, 503],
    )
    def get(
        self, request: Request, given: dict[str, Any], id: int | str, repository_id: int
    ) -> Response:
        """By day, the latest first, and by kind of credential; days without pulls are left out."""
        row = repository_for(request.user, repository_id, Ability.READ_IMAGE, project=id)
        own = clients.for_pages().own
        if own is None:
            raise ApiError(422, {"message": "this registry counts no pulls"})
        digest = ""
        if tag := given.get("tag_name"):
            details = own.tag(row.path, tag) if services.is_name(tag) else None
            if details is None:
                raise not_found("Tag")
            digest = details.digest
        found = own.pulls(row.path, digest=digest, days=given.get("days", 30))
        return Response(DailyPullsEntity(found, many=True).data)
