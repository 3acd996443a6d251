"""Ours, beyond GitLab: what one may do with an image, and what stands in the way."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.access_tokens.checks import registry_abilities
from gitlab.api.authentication import credential, person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter
from gitlab.api.fields import Entity
from gitlab.api.parameters import Parameters
from gitlab.authorization import explanation
from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.authorization.credentials.password import identity_of
from gitlab.authorization.principals import JobPrincipal
from tokens.access import Access, InvalidScope, is_repository_name, parse_scopes
from tokens.authorizer import AccessForbidden, Identity

_ACTIONS = ("pull", "push", "delete")


class AccessParameters(Parameters):
    """Which image."""

    name = serializers.CharField(max_length=255, help_text="As docker names it, without the host.")


class RegistryAccessEntity(Entity):
    """What the token server would grant, and why it would not let one push or delete."""

    name = serializers.CharField()
    actions = serializers.ListField(child=serializers.ChoiceField(choices=_ACTIONS))
    reason = serializers.CharField()


class RegistryAccess(Endpoint):
    """``/registry/access``"""

    section = "Container registry, beyond GitLab"

    @operation(
        "Show what one may do with an image", takes=AccessParameters, gives=RegistryAccessEntity
    )
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """With the credential in use. Nothing is made by asking."""
        name = given["name"]
        if not is_repository_name(name):
            raise BadParameter("name is invalid")
        identity = _identity(request)
        authorizer = GitLabAuthorizer()
        try:
            granted = authorizer.authorize(identity, [Access.repository(name, *_ACTIONS)])
        except AccessForbidden as error:
            # That is a push. The rest may be granted all the same.
            rest = authorizer.authorize(identity, [Access.repository(name, "pull", "delete")])
            actions = [action for access in rest for action in access.actions]
            return Response({"name": name, "actions": actions, "reason": str(error)})
        actions = [action for access in granted for action in access.actions]
        lacking = [action for action in _ACTIONS[1:] if action not in actions]
        asked = [Access.repository(name, *lacking)] if lacking else []
        refused = authorizer.explain(identity, asked)
        return Response({"name": name, "actions": actions, "reason": refused.get(name, "")})


def _identity(request: Request) -> Identity:
    """Whoever asks, as the token server would know them by this credential."""
    used = credential(request)
    if used is not None and used.job_project is not None:
        by = person(request)
        return Identity(by.username, "build", principal=JobPrincipal(by, used.job_project))
    abilities = registry_abilities(used.scopes if used else [])
    return identity_of(person(request), "personal_access_token", abilities)


class ScopeParameters(Parameters):
    """Which scopes."""

    scope = serializers.CharField(
        max_length=4096,
        help_text="As docker asks for them: `repository:acme/app:pull,push`, with blanks between"
        " several, at most 20.",
    )


class RegistryActionEntity(Entity):
    """Whether an action would be granted, and else why not."""

    action = serializers.CharField()
    granted = serializers.BooleanField(source="is_granted")
    reason = serializers.CharField()


class RegistryScopeEntity(Entity):
    """A scope, action by action."""

    type = serializers.CharField()
    name = serializers.CharField()
    actions = RegistryActionEntity(many=True)


class RegistryScope(Endpoint):
    """``/registry/scope``"""

    section = "Container registry, beyond GitLab"
    jobs = ("GET", "HEAD")

    @operation(
        "Show why scopes are granted or not",
        takes=ScopeParameters,
        gives=RegistryScopeEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """To the credential in use, action by action. Nothing is made by asking."""
        try:
            asked = parse_scopes([given["scope"]])
        except InvalidScope as error:
            raise BadParameter("scope is invalid") from error
        if len(asked) > settings.TOKENS_MAX_SCOPES:
            raise BadParameter("scope is invalid")
        found = explanation.explain(_identity(request), asked)
        return Response(RegistryScopeEntity(found, many=True).data)
