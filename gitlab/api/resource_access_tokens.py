"""Access tokens of projects and groups, each with a bot that acts with its role there."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.access_tokens import resource_tokens as services
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import WithToken, with_token
from gitlab.api.lookups import missing, routable_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Day, Parameters, choice, text
from gitlab.api.personal_access_tokens import RotateParameters, TokenEntity
from gitlab.namespaces.models import AccessLevel
from gitlab.namespaces.policies import Ability


class ResourceTokenEntity(TokenEntity):
    """A token of a project or group, without its text."""

    access_level = serializers.IntegerField()


class NewResourceTokenEntity(ResourceTokenEntity, WithToken):
    """A new token of a project or group, with its text, which nobody can show again."""


class ListParameters(PageParameters):
    """Which tokens."""

    state = choice(["active", "inactive"])
    search = text(help_text="A part of the name.")


class CreateParameters(Parameters):
    """A new token."""

    name = serializers.CharField(max_length=255)
    description = text(max_length=255)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(services.SCOPES)),
        allow_empty=False,
        max_length=50,
    )
    access_level = serializers.ChoiceField(
        choices=AccessLevel.choices, required=False, help_text="40 where it is left out."
    )
    expires_at = Day(required=False, allow_null=True)


class AccessTokensOf(Endpoint):
    """``/projects/:id/access_tokens`` and ``/groups/:id/access_tokens``"""

    section = "Project and group access tokens"
    of_both = True

    @operation(
        "List access tokens",
        takes=ListParameters,
        gives=ResourceTokenEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Those of the project or group itself."""
        by = person(request)
        owner = routable_for(by, kind, id, Ability.MANAGE_ACCESS_TOKENS)
        active = given["state"] == "active" if "state" in given else None
        rows = services.tokens_of(by, owner, active=active)
        if given.get("search"):
            rows = rows.filter(name__icontains=given["search"])
        page = page_of(request, given, rows, ["-id"])
        return page.response(ResourceTokenEntity(page.rows, many=True).data)

    @operation(
        "Create an access token",
        takes=CreateParameters,
        gives=NewResourceTokenEntity,
        status=201,
        refuses=[404],
    )
    def post(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """With a role of at most one's own."""
        by = person(request)
        owner = routable_for(by, kind, id, Ability.MANAGE_ACCESS_TOKENS)
        return with_token(NewResourceTokenEntity, *services.create(by, owner, **given))


class OneAccessTokenOf(Endpoint):
    """``/projects/:id/access_tokens/:token_id``, and the same of a group"""

    section = "Project and group access tokens"
    of_both = True

    @operation("Show an access token", gives=ResourceTokenEntity, refuses=[404])
    def get(self, request: Request, kind: str, id: int | str, token_id: int) -> Response:
        """One of the project or group itself."""
        by = person(request)
        owner = routable_for(by, kind, id, Ability.MANAGE_ACCESS_TOKENS)
        with missing("Access Token"):
            return Response(ResourceTokenEntity(services.get_for(by, owner, token_id)).data)

    @operation("Revoke an access token", status=204, refuses=[404])
    def delete(self, request: Request, kind: str, id: int | str, token_id: int) -> Response:
        """It is refused from now on, and its bot ends. Twice is the same as once."""
        by = person(request)
        owner = routable_for(by, kind, id, Ability.MANAGE_ACCESS_TOKENS)
        with missing("Access Token"):
            services.revoke(by, services.get_for(by, owner, token_id))
        return Response(status=204)


class RotateAccessTokenOf(Endpoint):
    """``/projects/:id/access_tokens/:token_id/rotate``, and the same of a group"""

    section = "Project and group access tokens"
    of_both = True

    @operation(
        "Rotate an access token",
        takes=RotateParameters,
        gives=NewResourceTokenEntity,
        refuses=[404],
    )
    def post(
        self, request: Request, given: dict[str, Any], kind: str, id: int | str, token_id: int
    ) -> Response:
        """Another one of the same bot in its place; this one is revoked."""
        by = person(request)
        owner = routable_for(by, kind, id, Ability.MANAGE_ACCESS_TOKENS)
        with missing("Access Token"):
            token = services.get_for(by, owner, token_id)
        made = services.rotate(by, token, expires_at=given.get("expires_at"))
        return with_token(NewResourceTokenEntity, *made, status=200)
