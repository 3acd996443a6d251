"""Why a scope is granted or not, action by action, to whoever has the credential.

`authorizer` decides; here it is asked the same and the reasons are put beside it. Nothing is
changed, no project is made. Nobody learns more than they may: see `obstacles`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gitlab.authorization import obstacles, protections
from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.authorization.principals import Principal
from gitlab.container_registry.image_paths import located
from tokens.access import Access
from tokens.authorizer import AccessForbidden, Identity

ACTIONS = ("pull", "push", "delete", "*")


class ExplainedAction(NamedTuple):
    """An action that was asked for; `reason` is "" where it is granted."""

    action: str
    is_granted: bool
    reason: str


class ExplainedAccess(NamedTuple):
    """An access that was asked for, action by action."""

    type: str
    name: str
    actions: list[ExplainedAction]


def explain(identity: Identity, asked: Sequence[Access]) -> list[ExplainedAccess]:
    """Each access that was asked for. Raises `RegistryDisabled`."""
    principal: Principal = identity.principal
    found = located(access.name for access in asked if access.type == "repository")
    readers = principal.access_to(list(found.values()))
    rules = protections.rules_of(found.values())
    answer = []
    for access in asked:
        granted, refusal = _granted(identity, access)
        explained = []
        for action in access.actions:
            reason = ""
            if action not in granted:
                reason = (
                    refusal
                    or _of_question(access, action)
                    or obstacles.to(
                        action,
                        access.name,
                        found.get(access.name),
                        readers.get(access.name),
                        rules,
                        carried=principal.abilities,
                    )
                )
            explained.append(ExplainedAction(action, action in granted, reason))
        answer.append(ExplainedAccess(access.type, access.name, explained))
    return answer


def _granted(identity: Identity, access: Access) -> tuple[set[str], str]:
    """The actions that would be granted; where the access is refused as a whole, why."""
    if not access.is_well_formed:
        return set(), ""
    try:
        granted = GitLabAuthorizer().authorize(identity, [access])
    except AccessForbidden as error:
        return set(), str(error)
    return {action for each in granted for action in each.actions}, ""


def _of_question(access: Access, action: str) -> str:
    """What is wrong with the question itself; "" where it is about an image."""
    if not access.is_well_formed:
        return "this is no name, or no action, that anything could have"
    if (access.type, access.name) == ("registry", "catalog"):
        if action != "*":
            return "the catalog has no action but *"
        return "the catalog is for administrators, by a password or the scope api"
    if access.type != "repository":
        return f"nothing of the type {access.type} is granted by that name"
    if action not in ACTIONS:
        return f"images have no action but {', '.join(ACTIONS)}"
    return ""
