"""Ours, beyond GitLab: why a digest is still there, or when it goes."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter, not_found
from gitlab.api.fields import Entity, Moment
from gitlab.api.lookups import repository_for
from gitlab.api.parameters import Parameters
from gitlab.container_registry import tags
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import OwnApi, own_api
from gitlab.container_registry.client.responses import Held
from gitlab.namespaces.policies import Ability


class HolderEntity(Entity):
    """A chain, from the digest up to what ends it. `until` is null where that has no end."""

    path = serializers.CharField()
    chain = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField()),
        help_text="Each step has a `kind`: `manifest`, `index`, `subject`, `signed image`, `tag`,"
        " `ended tag`, `promise`, `young manifest`, `deleted manifest`, `deleted repository`,"
        " `untagged are kept`; and maybe a `digest`, a `name`, a `media_type`, a `reason`.",
    )
    until = Moment(allow_null=True)


class HeldEntity(Entity):
    """Why a digest is there. Where it is not `complete`, more holds it than was looked at."""

    digest = serializers.CharField()
    state = serializers.CharField(help_text="`held`, `garbage` (goes at `goes_at`), or `removed`.")
    kinds = serializers.ListField(
        child=serializers.CharField(), help_text="`manifest`, `blob`, or both."
    )
    size = serializers.IntegerField(source="size_bytes", allow_null=True)
    stored = serializers.BooleanField(source="is_stored")
    goes_at = Moment(allow_null=True)
    because = serializers.CharField()
    paused_until = Moment(allow_null=True, help_text="Nothing is collected before.")
    complete = serializers.BooleanField(source="is_complete")
    holders = HolderEntity(many=True)


class DigestParameters(Parameters):
    """Which digest."""

    digest = serializers.CharField(max_length=255, help_text="`sha256:…`, or `sha512:…`.")


def _checked(given: dict[str, Any]) -> str:
    digest: str = given["digest"]
    if not tags.is_digest(digest):
        raise BadParameter("digest is invalid")
    return digest


def _own() -> OwnApi:
    return own_api(clients.for_pages(), "can't tell what holds a digest")


def _response(found: Held) -> Response:
    if found.state == "unknown":
        raise not_found("Digest")
    return Response(HeldEntity(found).data)


class HoldersInImage(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/holders``"""

    section = "Container registry, beyond GitLab"

    @operation(
        "Show why a digest is still in an image",
        takes=DigestParameters,
        gives=HeldEntity,
        refuses=[404, 422, 503],
    )
    def get(
        self, request: Request, given: dict[str, Any], id: int | str, repository_id: int
    ) -> Response:
        """What holds a manifest or a blob there, or when it goes; for who may push. Of what is
        elsewhere it tells nothing.
        """
        row = repository_for(person(request), repository_id, Ability.PUSH_IMAGE, project=id)
        return _response(_own().holders(row.path, _checked(given)))


class HoldersAnywhere(Endpoint):
    """``/registry/holders``"""

    section = "Container registry, beyond GitLab"
    administrators = True

    @operation(
        "Show why a digest is still here",
        takes=DigestParameters,
        gives=HeldEntity,
        refuses=[404, 422, 503],
    )
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """What holds a manifest or a blob in any image, when it goes, or how it went."""
        return _response(_own().holders_anywhere(_checked(given)))
