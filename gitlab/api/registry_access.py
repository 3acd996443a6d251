"""Ours, beyond GitLab: what one may do with an image, and what stands in the way of a push."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.access_tokens.checks import registry_abilities
from gitlab.api.authentication import credential, person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter
from gitlab.api.fields import Entity
from gitlab.api.parameters import Parameters
from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.authorization.credentials.password import identity_of
from tokens.access import Access, is_repository_name
from tokens.authorizer import AccessForbidden

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
        used = credential(request)
        abilities = registry_abilities(used.scopes if used else [])
        identity = identity_of(person(request), "personal_access_token", abilities)
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
