"""Personal access tokens: one's own, and for administrators everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.access_tokens import services
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.api.authentication import credential, person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import forbidden, not_found, unauthorized
from gitlab.api.fields import Entity, Moment, WithToken, with_token
from gitlab.api.lookups import user_called
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Day, Parameters, choice, flag, identifier, moment, text
from gitlab.principals import Person

_SORTS = {
    "created_desc": ("-id",),
    "created_asc": ("id",),
    "name_asc": ("name", "id"),
    "name_desc": ("-name", "-id"),
}


class TokenEntity(Entity):
    """A token, without its text."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    revoked = serializers.BooleanField(source="is_revoked")
    created_at = Moment()
    scopes = serializers.ListField(child=serializers.CharField())
    user_id = serializers.IntegerField()
    last_used_at = Moment(allow_null=True)
    active = serializers.BooleanField(source="is_usable")
    expires_at = serializers.DateField(allow_null=True)


class NewTokenEntity(TokenEntity, WithToken):
    """A new token, with its text, which nobody can show again."""


class ListParameters(PageParameters):
    """Which tokens."""

    user_id = identifier(required=False, help_text="Somebody else's: for administrators.")
    state = choice(["active", "inactive"])
    revoked = flag()
    search = text(help_text="A part of the name.")
    sort = choice(list(_SORTS))
    created_after = moment()
    created_before = moment()
    last_used_after = moment()
    last_used_before = moment()
    expires_after = Day(required=False)
    expires_before = Day(required=False)


class CreateParameters(Parameters):
    """A new token."""

    name = serializers.CharField(max_length=255)
    description = text(max_length=255)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(services.SCOPES)),
        allow_empty=False,
        max_length=50,
    )
    expires_at = Day(
        required=False, allow_null=True, help_text="The first day on which it is refused."
    )


class RotateParameters(Parameters):
    """How long the next one lasts."""

    expires_at = Day(required=False, allow_null=True, help_text="A week where it is left out.")


def _filtered(by: Person, given: Mapping[str, Any]) -> QuerySet[PersonalAccessToken]:
    """The tokens asked for. Raises `ApiError` 401 for somebody else's, as GitLab does."""
    rows = PersonalAccessToken.objects.all()
    wanted = given.get("user_id", None if by.is_superuser else by.pk)
    if wanted is not None:
        if wanted != by.pk and not by.is_superuser:
            raise unauthorized()
        rows = rows.filter(user_id=wanted)
    if "state" in given:
        rows = services.having_state(rows, active=given["state"] == "active")
    if "revoked" in given:
        rows = rows.filter(revoked_at__isnull=not given["revoked"])
    if given.get("search"):
        rows = rows.filter(name__icontains=given["search"])
    columns = {
        f"{name}_{side}": f"{column}__{'gt' if side == 'after' else 'lt'}"
        for name, column in (
            ("created", "created_at"),
            ("last_used", "last_used_at"),
            ("expires", "expires_at"),
        )
        for side in ("after", "before")
    }
    return rows.filter(**{column: given[name] for name, column in columns.items() if name in given})


class PersonalAccessTokens(Endpoint):
    """``/personal_access_tokens``"""

    section = "Personal access tokens"

    @operation("List tokens", takes=ListParameters, gives=TokenEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """One's own; for administrators everybody's."""
        rows = _filtered(person(request), given)
        page = page_of(request, given, rows, _SORTS[given.get("sort", "created_desc")])
        return page.response(TokenEntity(page.rows, many=True).data)


def _found(by: Person, pk: int) -> PersonalAccessToken:
    """A token. Raises `ApiError`: 401 where it is not one's own, whether it is there or not."""
    found = PersonalAccessToken.objects.select_related("user").filter(pk=pk).first()
    if not by.is_superuser and (found is None or found.user_id != by.pk):
        raise unauthorized()
    if found is None:
        raise not_found()
    return found


class OneToken(Endpoint):
    """``/personal_access_tokens/:id``"""

    section = "Personal access tokens"

    @operation("Show a token", gives=TokenEntity, refuses=[404])
    def get(self, request: Request, id: int) -> Response:
        """One of one's own; for administrators anybody's."""
        return Response(TokenEntity(_found(person(request), id)).data)

    @operation("Revoke a token", status=204, refuses=[404])
    def delete(self, request: Request, id: int) -> Response:
        """It is refused from now on. Twice is the same as once."""
        by = person(request)
        services.revoke(by, _found(by, id))
        return Response(status=204)


class RotateToken(Endpoint):
    """``/personal_access_tokens/:id/rotate``"""

    section = "Personal access tokens"
    confirmed = ["POST"]

    @operation("Rotate a token", takes=RotateParameters, gives=NewTokenEntity, refuses=[404])
    def post(self, request: Request, given: dict[str, Any], id: int) -> Response:
        """Another one in its place, with the same scopes; this one is revoked."""
        by = person(request)
        made = services.rotate(by, _found(by, id), expires_at=given.get("expires_at"))
        return with_token(NewTokenEntity, *made, status=200)


def _this(request: Request) -> PersonalAccessToken:
    """The token that the request came with. Raises `ApiError` where it came with none."""
    used = credential(request)
    if used is None or used.token is None:
        raise unauthorized()
    return PersonalAccessToken.objects.select_related("user").get(pk=used.token.id)


class ThisToken(Endpoint):
    """``/personal_access_tokens/self``"""

    section = "Personal access tokens"
    reads_with = ()
    writes_with = ()

    @operation("Show the token in use", gives=TokenEntity)
    def get(self, request: Request) -> Response:
        """The one that the request came with, whatever its scopes."""
        return Response(TokenEntity(_this(request)).data)

    @operation("Revoke the token in use", status=204)
    def delete(self, request: Request) -> Response:
        """The one that the request came with, whatever its scopes."""
        services.revoke(person(request), _this(request))
        return Response(status=204)


class RotateThisToken(Endpoint):
    """``/personal_access_tokens/self/rotate``"""

    section = "Personal access tokens"
    writes_with = ("api", "self_rotate")

    @operation("Rotate the token in use", takes=RotateParameters, gives=NewTokenEntity)
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """Another one in its place, with the same scopes; this one is revoked."""
        token = _this(request)
        made = services.rotate(person(request), token, expires_at=given.get("expires_at"))
        return with_token(NewTokenEntity, *made, status=200)


class TokensOfOneself(Endpoint):
    """``/user/personal_access_tokens``"""

    section = "Personal access tokens"
    confirmed = ["POST"]

    @operation("Create a token", takes=CreateParameters, gives=NewTokenEntity, status=201)
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """For oneself. A token makes none that may more than itself, or lasts longer."""
        used = credential(request)
        within = used.token if used else None
        return with_token(NewTokenEntity, *services.create(person(request), within=within, **given))


class TokensOfUser(Endpoint):
    """``/users/:user_id/personal_access_tokens``"""

    section = "Personal access tokens"
    confirmed = ["POST"]

    @operation(
        "Create a token for somebody",
        takes=CreateParameters,
        gives=NewTokenEntity,
        status=201,
        refuses=[404],
    )
    def post(self, request: Request, given: dict[str, Any], user_id: int) -> Response:
        """For administrators."""
        by = person(request)
        if not by.is_superuser:
            raise forbidden()
        return with_token(NewTokenEntity, *services.create(user_called(user_id), by=by, **given))
