"""Ours, beyond GitLab: what refers to the image of a tag, its signatures, say."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api import pagination
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import Entity
from gitlab.api.lookups import repository_for
from gitlab.api.pagination import Listed
from gitlab.api.parameters import Parameters, text
from gitlab.api.registry_tags import tag_for
from gitlab.container_registry.client import chosen as clients
from gitlab.namespaces.policies import Ability


class ReferrerEntity(Entity):
    """A manifest that names the tag's as its subject."""

    digest = serializers.CharField()
    media_type = serializers.CharField()
    artifact_type = serializers.CharField()
    size = serializers.IntegerField(source="size_bytes", help_text="Of the manifest, in bytes.")
    annotations = serializers.DictField(child=serializers.CharField())


class ListParameters(Parameters):
    """Which of them."""

    artifact_type = text(max_length=255, help_text="Those of this type alone.")
    per_page = serializers.IntegerField(required=False, min_value=1, max_value=2**31)
    last = text(max_length=255, help_text="The digest behind which the page begins.")


class Referrers(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/tags/:tag_name/referrers``"""

    section = "Container registry, beyond GitLab"
    visitors = True

    @operation(
        "List what refers to a tag's image",
        takes=ListParameters,
        gives=ReferrerEntity,
        many=True,
        refuses=[404, 422, 503],
    )
    def get(
        self,
        request: Request,
        given: dict[str, Any],
        id: int | str,
        repository_id: int,
        tag_name: str,
    ) -> Response:
        """In order of their digests; `Link` leads to the rest. Empty with a registry that has no
        such list.
        """
        row = repository_for(request.user, repository_id, Ability.READ_IMAGE, project=id)
        tag = tag_for(row, tag_name)
        size = pagination.per_page(given)
        found = clients.for_pages().referrers(
            row.path,
            tag.digest,
            n=size,
            last=given.get("last", ""),
            artifact_type=given.get("artifact_type", ""),
        )
        headers = pagination.by_key(request, size, {"last": found.next_last})
        page = Listed(found.referrers, headers)
        return page.response(ReferrerEntity(page.rows, many=True).data)
