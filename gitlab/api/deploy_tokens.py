"""Deploy tokens of projects and groups: for docker alone, they open nothing of the API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.access_tokens import checks
from gitlab.access_tokens import deploy_tokens as services
from gitlab.access_tokens.models import DeployToken
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import Entity, Moment, WithToken, with_token
from gitlab.api.lookups import missing, routable_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Day, Parameters, flag, text
from gitlab.namespaces.policies import Ability

_ORDER = ["-id"]


class DeployTokenEntity(Entity):
    """A deploy token, without its text."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    username = serializers.CharField()
    expires_at = serializers.SerializerMethodField()
    revoked = serializers.BooleanField(source="is_revoked")
    expired = serializers.BooleanField(source="is_expired")
    scopes = serializers.ListField(child=serializers.CharField())

    def get_expires_at(self, token: DeployToken) -> str | None:
        """The moment from which on it is refused: a midnight (UTC)."""
        day = token.expires_at
        if day is None:
            return None
        return str(
            Moment().to_representation(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC))
        )


class NewDeployTokenEntity(DeployTokenEntity, WithToken):
    """A new deploy token, with its text, which nobody can show again."""


class _Midnight(Day):
    """A day, also as the moment at which it begins."""

    def to_internal_value(self, value: Any) -> Any:
        """The day. Of a moment that is no midnight it is the day of that moment (UTC)."""
        if isinstance(value, str) and "T" in value:
            moment = serializers.DateTimeField().to_internal_value(value)
            return moment.astimezone(dt.UTC).date()
        return super().to_internal_value(value)


class ListParameters(PageParameters):
    """Which tokens."""

    active = flag(help_text="Those that are neither revoked nor expired, or the others.")


class CreateParameters(Parameters):
    """A new deploy token."""

    name = serializers.CharField(max_length=255)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(services.SCOPES)),
        allow_empty=False,
        max_length=9,
    )
    username = text(max_length=255, help_text="`gitlab+deploy-token-N` where it is left out.")
    expires_at = _Midnight(required=False, allow_null=True)


def _page(request: Request, given: Mapping[str, Any], rows: QuerySet[DeployToken]) -> Response:
    page = page_of(request, given, rows, _ORDER)
    return page.response(DeployTokenEntity(page.rows, many=True).data)


class DeployTokens(Endpoint):
    """``/deploy_tokens``"""

    section = "Deploy tokens"
    administrators = True

    @operation("List all deploy tokens", takes=ListParameters, gives=DeployTokenEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """Of all projects and groups."""
        rows = DeployToken.objects.all()
        if "active" in given:
            rows = rows.filter(checks.usable() if given["active"] else ~checks.usable())
        return _page(request, given, rows)


class DeployTokensOf(Endpoint):
    """``/projects/:id/deploy_tokens`` and ``/groups/:id/deploy_tokens``"""

    section = "Deploy tokens"
    of_both = True

    @operation(
        "List deploy tokens",
        takes=ListParameters,
        gives=DeployTokenEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Those of the project or group itself."""
        by = person(request)
        owner = routable_for(by, kind, id, Ability.READ_DEPLOY_TOKENS)
        return _page(request, given, services.tokens_of(by, owner, active=given.get("active")))

    @operation(
        "Create a deploy token",
        takes=CreateParameters,
        gives=NewDeployTokenEntity,
        status=201,
        refuses=[404],
    )
    def post(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """A group's reaches everything below it."""
        by = person(request)
        owner = routable_for(by, kind, id, Ability.MANAGE_DEPLOY_TOKENS)
        return with_token(NewDeployTokenEntity, *services.create(by, owner, **given))


class OneDeployTokenOf(Endpoint):
    """``/projects/:id/deploy_tokens/:token_id``, and the same of a group"""

    section = "Deploy tokens"
    of_both = True

    @operation("Show a deploy token", gives=DeployTokenEntity, refuses=[404])
    def get(self, request: Request, kind: str, id: int | str, token_id: int) -> Response:
        """One of the project or group itself."""
        by = person(request)
        owner = routable_for(by, kind, id, Ability.READ_DEPLOY_TOKENS)
        with missing("DeployToken"):
            return Response(DeployTokenEntity(services.get_for(by, owner, token_id)).data)

    @operation("Revoke a deploy token", status=204, refuses=[404])
    def delete(self, request: Request, kind: str, id: int | str, token_id: int) -> Response:
        """It is refused from now on. Twice is the same as once."""
        by = person(request)
        owner = routable_for(by, kind, id, Ability.MANAGE_DEPLOY_TOKENS)
        with missing("DeployToken"):
            services.revoke(by, services.get_for(by, owner, token_id))
        return Response(status=204)
