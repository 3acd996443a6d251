"""Ours, beyond GitLab: whose ID tokens a project or group trusts, and exchanging one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api import errors
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter
from gitlab.api.fields import Entity, Moment
from gitlab.api.lookups import missing, routable_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Day, Parameters, flag, identifier, text
from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.authorization.credentials import id_token
from gitlab.namespaces.models import Routable
from gitlab.namespaces.policies import Ability
from gitlab.trusted_issuers import services
from gitlab.trusted_issuers.id_tokens import MAX_LENGTH
from gitlab.trusted_issuers.models import TrustedIssuer
from tokens import rate_limits
from tokens.access import Access, InvalidScope, parse_scopes
from tokens.authorizer import AccessForbidden, Identity, InvalidCredentials
from tokens.granting import grant

_ORDER = ["-id"]
_MAX_SCOPE = 16 * 1024


def _action() -> serializers.ChoiceField:
    return serializers.ChoiceField(choices=list(services.ACTIONS))


class TrustedIssuerEntity(Entity):
    """A trust. None of it is a secret."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    username = serializers.CharField()
    issuer = serializers.CharField()
    audience = serializers.CharField(source="expected_audience")
    conditions = serializers.DictField(child=serializers.CharField())
    actions = serializers.ListField(child=_action())
    images = serializers.CharField()
    expires_at = serializers.DateField()
    revoked = serializers.BooleanField(source="is_revoked")
    active = serializers.BooleanField(source="is_usable")
    created_at = Moment()
    last_used_at = Moment()


class TrustListParameters(PageParameters):
    """Which trusts."""

    active = flag(help_text="Those that are neither revoked nor expired, or the others.")


class UpdateTrustParameters(Parameters):
    """What is changed of a trust."""

    name = serializers.CharField(max_length=255, required=False)
    issuer = serializers.CharField(
        max_length=255, required=False, help_text="Exactly as its ID tokens say it in `iss`."
    )
    audience = text(max_length=255, help_text="Whom an ID token is for; empty: this installation.")
    conditions = serializers.DictField(
        child=serializers.CharField(max_length=500, allow_blank=True),
        required=False,
        help_text="Claim and pattern, in which `*` stands for any characters.",
    )
    actions = serializers.ListField(
        child=_action(), allow_empty=False, max_length=9, required=False
    )
    images = text(
        max_length=255,
        help_text="A pattern for what follows the path of the project or group; empty: all.",
    )
    expires_at = Day(required=False, allow_null=True)


class CreateTrustParameters(UpdateTrustParameters):
    """A new trust."""

    name = serializers.CharField(max_length=255)
    issuer = serializers.CharField(
        max_length=255, help_text="Exactly as its ID tokens say it in `iss`."
    )
    conditions = serializers.DictField(
        child=serializers.CharField(max_length=500, allow_blank=True),
        help_text="Claim and pattern, in which `*` stands for any characters.",
    )
    actions = serializers.ListField(child=_action(), allow_empty=False, max_length=9)


def _owner(request: Request, kind: str, id: int | str) -> Routable:
    return routable_for(person(request), kind, id, Ability.MANAGE_TRUSTED_ISSUERS)


class TrustedIssuersOf(Endpoint):
    """``/projects/:id/trusted_issuers`` and ``/groups/:id/trusted_issuers``"""

    section = "Trusted issuers, beyond GitLab"
    of_both = True

    @operation(
        "List trusted issuers",
        takes=TrustListParameters,
        gives=TrustedIssuerEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Those of the project or group itself."""
        owner = _owner(request, kind, id)
        rows = services.trusts_of(person(request), owner, active=given.get("active"))
        page = page_of(request, given, rows, _ORDER)
        return page.response(TrustedIssuerEntity(page.rows, many=True).data)

    @operation(
        "Trust an issuer",
        takes=CreateTrustParameters,
        gives=TrustedIssuerEntity,
        status=201,
        refuses=[404, 409],
    )
    def post(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Whoever shows an ID token of it that meets all conditions may do what the trust says. A
        group's reaches everything below it.
        """
        owner = _owner(request, kind, id)
        trust = services.create(person(request), owner, **given)
        return Response(TrustedIssuerEntity(trust).data, status=201)


class OneTrustedIssuerOf(Endpoint):
    """``/projects/:id/trusted_issuers/:trusted_issuer_id``, and the same of a group"""

    section = "Trusted issuers, beyond GitLab"
    of_both = True

    def _trust(
        self, request: Request, kind: str, id: int | str, trusted_issuer_id: int
    ) -> TrustedIssuer:
        owner = _owner(request, kind, id)
        with missing("Trusted Issuer"):
            return services.get_for(person(request), owner, trusted_issuer_id)

    @operation("Show a trusted issuer", gives=TrustedIssuerEntity, refuses=[404])
    def get(self, request: Request, kind: str, id: int | str, trusted_issuer_id: int) -> Response:
        """One of the project or group itself."""
        return Response(TrustedIssuerEntity(self._trust(request, kind, id, trusted_issuer_id)).data)

    @operation(
        "Change a trusted issuer",
        takes=UpdateTrustParameters,
        gives=TrustedIssuerEntity,
        refuses=[404],
    )
    def put(
        self,
        request: Request,
        given: dict[str, Any],
        kind: str,
        id: int | str,
        trusted_issuer_id: int,
    ) -> Response:
        """What is given. Registry tokens by the terms from before end."""
        trust = self._trust(request, kind, id, trusted_issuer_id)
        return Response(TrustedIssuerEntity(services.update(person(request), trust, **given)).data)

    @operation("Revoke a trusted issuer", status=204, refuses=[404])
    def delete(
        self, request: Request, kind: str, id: int | str, trusted_issuer_id: int
    ) -> Response:
        """It is trusted no longer. Twice is the same as once."""
        services.revoke(person(request), self._trust(request, kind, id, trusted_issuer_id))
        return Response(status=204)


class ExchangeParameters(Parameters):
    """An ID token, and what a registry token is wanted for."""

    trusted_issuer_id = identifier(help_text="The trust that the ID token meets.")
    id_token = serializers.CharField(max_length=MAX_LENGTH)
    scope = serializers.CharField(
        max_length=_MAX_SCOPE,
        help_text="As docker asks for it, `repository:acme/app/web:pull,push`; several with blanks"
        " between them.",
    )


class ExchangedTokenEntity(Entity):
    """A registry token, as RFC 8693 answers it; `scope` is what of the one asked for it grants."""

    access_token = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField()
    scope = serializers.CharField()


class TokenExchange(Endpoint):
    """``/registry/oidc_token_exchange``"""

    section = "Trusted issuers, beyond GitLab"
    authentication_classes = []

    def get_authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return 'Bearer realm="GitLab"'

    def _check_rights(self, request: Request) -> None:
        """Everybody: the ID token says who it is."""

    @operation(
        "Exchange an ID token",
        takes=ExchangeParameters,
        gives=ExchangedTokenEntity,
    )
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """For a registry token. The ID token counts once: it is used up by it, unless nothing is
        granted. Nobody has to be signed in.
        """
        # Before anything is asked: see `tokens.issue`.
        began = time.time()
        scopes = given["scope"].split()
        asked = _asked(scopes)
        try:
            proven = id_token.prove(
                given["trusted_issuer_id"],
                given["id_token"],
                client_ip=request.META.get("REMOTE_ADDR", ""),
            )
            identity = proven.identity
            rate_limits.take(rate_limits.of_user(identity.subject))
            _require_something(identity, asked)
            proven.use(exchange=True)
        except InvalidCredentials as error:
            raise errors.unauthorized() from error
        token, granted = grant(identity, scopes, GitLabAuthorizer(), began)
        answer = {
            "access_token": token.text,
            "token_type": "Bearer",
            "expires_in": token.expires_in,
            "scope": " ".join(map(str, granted)),
        }
        return Response(answer, headers={"Cache-Control": "no-store"})


def _asked(scopes: Sequence[str]) -> list[Access]:
    try:
        return parse_scopes(scopes)
    except InvalidScope as error:
        raise BadParameter(f"scope is invalid: {error}") from error


def _require_something(identity: Identity, asked: Sequence[Access]) -> None:
    """Raises `ApiError` 403 where nothing would be granted."""
    try:
        granted = GitLabAuthorizer().authorize(identity, [a for a in asked if a.is_well_formed])
    except AccessForbidden as error:
        raise errors.forbidden(str(error)) from error
    if not granted:
        raise errors.forbidden("the trust allows nothing of this")
