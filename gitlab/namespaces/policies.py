"""Who may do what: role × visibility × registry access → abilities. Pure functions, no rows.

                        guest  reporter  developer  maintainer  owner   anybody who sees it
    read_project          x       x          x           x        x             x
    read_container_image          x          x           x        x       level "enabled" only
    create_container_image                   x           x        x
    destroy_container_image_tag              x           x        x
    admin_container_image                                x        x
    admin_project, admin_members                         x        x
    manage_deploy_tokens                                 x        x
    manage_resource_access_tokens, admin_runners         x        x
    admin_trusted_issuers                                x        x
    remove_project                                                x

Public is seen by everybody, internal by whoever is signed in and not external, private by members.
With the registry off nobody may do anything with images, administrators included. In an archived
project images are only read.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from gitlab.namespaces.models import AccessLevel, RegistryAccess, Visibility


class Ability(StrEnum):
    """What may be allowed, in GitLab's words."""

    READ_PROJECT = "read_project"
    READ_IMAGE = "read_container_image"
    PUSH_IMAGE = "create_container_image"
    DELETE_TAG = "destroy_container_image_tag"
    ADMIN_IMAGE = "admin_container_image"
    READ_MEMBERS = "read_members"
    ADMIN_MEMBERS = "admin_members"
    ADMIN_PROJECT = "admin_project"
    REMOVE_PROJECT = "remove_project"

    READ_DEPLOY_TOKENS = "read_deploy_token"
    MANAGE_DEPLOY_TOKENS = "manage_deploy_tokens"
    MANAGE_ACCESS_TOKENS = "manage_resource_access_tokens"
    MANAGE_RUNNERS = "admin_runners"
    MANAGE_TRUSTED_ISSUERS = "admin_trusted_issuers"

    READ_GROUP = "read_group"
    CREATE_PROJECT = "create_projects"
    CREATE_SUBGROUP = "create_subgroup"
    ADMIN_GROUP = "admin_group"
    REMOVE_GROUP = "remove_group"


ADMIN_RANK = 60
"""GitLab's level of administrators, where rules about images compare levels."""


@dataclass(frozen=True)
class UserAccess:
    """Who somebody is with regard to one project or namespace. The default is nobody.

    `level` is the highest of their memberships here and above, 0 for none; `until` is the first day
    on which that one no longer holds, None where it has no end. `own_level` is `level`
    where what they show lends them a higher level, as a CI job does; None where it does not.
    """

    signed_in: bool = False
    external: bool = False
    admin: bool = False
    level: int = 0
    until: dt.date | None = None
    own_level: int | None = None

    @property
    def rank(self) -> int:
        """What protection rules compare: their own level, that of an administrator above all."""
        if self.admin:
            return ADMIN_RANK
        return self.level if self.own_level is None else self.own_level


NOBODY = UserAccess()

_PROJECT_BY_LEVEL = {
    Ability.READ_PROJECT: AccessLevel.GUEST,
    Ability.READ_MEMBERS: AccessLevel.GUEST,
    Ability.ADMIN_MEMBERS: AccessLevel.MAINTAINER,
    Ability.ADMIN_PROJECT: AccessLevel.MAINTAINER,
    Ability.REMOVE_PROJECT: AccessLevel.OWNER,
    Ability.READ_DEPLOY_TOKENS: AccessLevel.MAINTAINER,
    Ability.MANAGE_DEPLOY_TOKENS: AccessLevel.MAINTAINER,
    Ability.MANAGE_ACCESS_TOKENS: AccessLevel.MAINTAINER,
    Ability.MANAGE_RUNNERS: AccessLevel.MAINTAINER,
    Ability.MANAGE_TRUSTED_ISSUERS: AccessLevel.MAINTAINER,
}
_IMAGES_BY_LEVEL = {
    Ability.READ_IMAGE: AccessLevel.REPORTER,
    Ability.PUSH_IMAGE: AccessLevel.DEVELOPER,
    Ability.DELETE_TAG: AccessLevel.DEVELOPER,
    Ability.ADMIN_IMAGE: AccessLevel.MAINTAINER,
}
_GROUP_BY_LEVEL = {
    Ability.READ_GROUP: AccessLevel.GUEST,
    Ability.READ_MEMBERS: AccessLevel.GUEST,
    Ability.CREATE_PROJECT: AccessLevel.DEVELOPER,
    Ability.CREATE_SUBGROUP: AccessLevel.MAINTAINER,
    Ability.ADMIN_MEMBERS: AccessLevel.OWNER,
    Ability.ADMIN_GROUP: AccessLevel.OWNER,
    Ability.REMOVE_GROUP: AccessLevel.OWNER,
    Ability.READ_DEPLOY_TOKENS: AccessLevel.MAINTAINER,
    Ability.MANAGE_DEPLOY_TOKENS: AccessLevel.OWNER,
    Ability.MANAGE_ACCESS_TOKENS: AccessLevel.OWNER,
    Ability.MANAGE_TRUSTED_ISSUERS: AccessLevel.OWNER,
}


def sees(access: UserAccess, visibility: str) -> bool:
    """Whether something of this visibility is seen without regard to membership."""
    if visibility == Visibility.PUBLIC:
        return True
    return visibility == Visibility.INTERNAL and access.signed_in and not access.external


def _by_level(access: UserAccess, table: dict[Ability, AccessLevel]) -> set[Ability]:
    level = AccessLevel.OWNER if access.admin else access.level
    return {ability for ability, needed in table.items() if level >= needed}


_CHANGES_IMAGES = {Ability.PUSH_IMAGE, Ability.DELETE_TAG, Ability.ADMIN_IMAGE}


def project_abilities(
    access: UserAccess, visibility: str, registry_access: str, *, archived: bool = False
) -> frozenset[Ability]:
    """What somebody may do in a project."""
    abilities = _by_level(access, _PROJECT_BY_LEVEL)
    seen_by_anybody = sees(access, visibility)
    if seen_by_anybody:
        abilities |= {Ability.READ_PROJECT}
        if access.signed_in:
            abilities |= {Ability.READ_MEMBERS}
    if registry_access != RegistryAccess.DISABLED:
        abilities |= _by_level(access, _IMAGES_BY_LEVEL)
        if seen_by_anybody and registry_access == RegistryAccess.ENABLED:
            abilities |= {Ability.READ_IMAGE}
    return frozenset(abilities - _CHANGES_IMAGES if archived else abilities)


def group_abilities(
    access: UserAccess, visibility: str, *, belongs_below: bool = False
) -> frozenset[Ability]:
    """What somebody may do in a group. `belongs_below`: they are a member of something in it."""
    abilities = _by_level(access, _GROUP_BY_LEVEL)
    if sees(access, visibility) or belongs_below:
        abilities |= {Ability.READ_GROUP}
    if access.external and not access.admin:
        # As in GitLab: who is external works in what exists and opens nothing new.
        abilities -= {Ability.CREATE_PROJECT, Ability.CREATE_SUBGROUP}
    return frozenset(abilities)


def role_needed(ability: Ability, access: UserAccess, *, in_group: bool) -> AccessLevel | None:
    """The lowest role that gives an ability; None where somebody has that role, or none gives it.

    Of such the reason is another: the project is archived, say, or its registry is off.
    """
    table = _GROUP_BY_LEVEL if in_group else _PROJECT_BY_LEVEL | _IMAGES_BY_LEVEL
    needed = table.get(ability)
    if needed is None or access.admin or access.level >= needed:
        return None
    return needed


def may_create_top_level_group(access: UserAccess) -> bool:
    """Whether somebody may open a group at the top."""
    return access.admin or (access.signed_in and not access.external)
