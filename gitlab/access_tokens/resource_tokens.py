"""Access tokens of projects and groups: each acts as a bot with a role there, and as nobody else.

GitLab calls them project and group access tokens. The bot is a member with the token's role until
the token's last day; it ends when the token is revoked. `by` is who does it. Source:
https://docs.gitlab.com/user/project/settings/project_access_tokens/
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from gitlab.access_tokens import checks, services
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.accounts import bots
from gitlab.accounts.models import User
from gitlab.namespaces import members, user_access
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import AccessLevel, Member, Project, Routable
from gitlab.namespaces.policies import Ability, UserAccess
from gitlab.principals import Person
from gitlab.refusals import Forbidden, Invalid, NotFound

SCOPES: dict[str, str] = {
    scope: about
    for scope, about in services.SCOPES.items()
    if scope not in ("read_user", "sudo", "admin_mode")
}
"""Every scope that can be stored, and what it is for."""


def _require(by: Person, owner: Routable) -> UserAccess:
    """How `by` stands, where they may manage these tokens. Raises `NotFound`, `Forbidden`."""
    if isinstance(owner, Project):
        require_in_project(by, owner, Ability.MANAGE_ACCESS_TOKENS)
        access = user_access.in_project(by, owner)
    else:
        require_in_namespace(by, owner, Ability.MANAGE_ACCESS_TOKENS)
        if not owner.is_group:
            raise NotFound("A person's own namespace has no access tokens.")
        access = user_access.in_namespace(by, owner)
    if by.is_bot:
        raise Forbidden("A bot makes no tokens and ends none but its own.")
    return access


@transaction.atomic
def create(
    by: Person,
    owner: Routable,
    *,
    name: str,
    scopes: Sequence[str],
    access_level: int = AccessLevel.MAINTAINER,
    expires_at: dt.date | None = None,
    description: str = "",
) -> tuple[PersonalAccessToken, str]:
    """A new token of a project or group with its bot, and its text, which nobody can show again.

    Raises `Invalid` for ``name``, ``scopes``, ``access_level``, ``expires_at``, ``description``;
    `Forbidden` for a role above that of `by`.
    """
    access = _require(by, owner)
    level = members.check_level(access, access_level)
    name = checks.check_name(name)
    scopes = checks.check_scopes(scopes, SCOPES)
    if len(description) > 255:
        raise Invalid({"description": "At most 255 characters."})
    where: dict[str, Any] = {
        "project": owner if isinstance(owner, Project) else None,
        "namespace": None if isinstance(owner, Project) else owner,
        "access_level": level,
        "expires_at": checks.limited_expiry(expires_at),
    }
    bot = bots.create(owner, name, external=by.external)
    Member.objects.create(user_id=bot.pk, created_by_id=by.person_id, **where)
    return services.insert(bot, by=by, name=name, scopes=scopes, description=description, **where)


def highest_level(by: Person, owner: Routable) -> int:
    """The highest role that somebody may give to a token here."""
    access = _require(by, owner)
    return AccessLevel.OWNER if access.admin else access.level


def revoke(by: Person, token: PersonalAccessToken) -> PersonalAccessToken:
    """Refuse a token from now on, and end its bot. Twice is the same as once."""
    _require(by, _owner(token))
    return services.end(by, token)


def rotate(
    by: Person, token: PersonalAccessToken, *, expires_at: dt.date | None = None
) -> tuple[PersonalAccessToken, str]:
    """Another token of the same bot in the place of this one, which is revoked.

    Raises `Forbidden` for a role above that of `by`, and as `services.rotate`.
    """
    access = _require(by, _owner(token))
    members.check_level(access, token.access_level or 0)
    return services.replace(by, token, expires_at=expires_at)


def _owner(token: PersonalAccessToken) -> Routable:
    if token.owner is None:
        raise NotFound("no such token")
    return token.owner


def tokens_of(
    by: Person, owner: Routable, *, active: bool | None = None
) -> QuerySet[PersonalAccessToken]:
    """The tokens of a project or group itself, the newest first; `active`: the usable ones."""
    _require(by, owner)
    where = {"project" if isinstance(owner, Project) else "namespace": owner}
    found = PersonalAccessToken.objects.filter(**where).order_by("-created_at", "-id")
    return found if active is None else services.having_state(found, active=active)


def get_for(by: Person, owner: Routable, pk: int) -> PersonalAccessToken:
    """A token of a project or group, for somebody who may manage it. Raises `NotFound`."""
    rows = tokens_of(by, owner).select_related("project__namespace", "namespace", "user")
    found = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound("no such token")
    return found


def follow_path(path: str) -> None:
    """Name the bots of what is now at or below `path` after it."""
    where = Q()
    for owner in ("project", "namespace"):
        column = f"{owner}__full_path"
        where |= Q(**{column: path}) | Q(**{f"{column}__startswith": f"{path}/"})
    rows = PersonalAccessToken.objects.filter(where).select_related("project", "namespace")
    for token in rows.order_by("pk").iterator():
        User.objects.filter(pk=token.user_id).update(name=bots.name_of(token.name, _owner(token)))
