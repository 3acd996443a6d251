"""Who is behind a credential, as far as the decision about images goes; it need not be a person.

A principal answers what it may at a path and how it is named in the record. The authorizer knows
nothing else of it, so that another kind (a deploy token, a job, a trusted issuer) is one more
class.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from gitlab.access_tokens import job_allowances
from gitlab.container_registry.image_paths import ImagePath
from gitlab.namespaces import user_access
from gitlab.namespaces.models import AccessLevel
from gitlab.namespaces.policies import NOBODY, UserAccess
from gitlab.namespaces.user_access import Level
from gitlab.principals import Actor, Person
from gitlab.trusted_issuers import conditions
from gitlab.trusted_issuers.checking import TrustRow

_NONE = Level()


class Principal(Protocol):
    """What the authorizer asks of whoever has proven who they are."""

    @property
    def actor(self) -> Actor:
        """How the record names it."""

    @property
    def creator(self) -> Person | None:
        """The person who makes the project of a first push; None where none is made."""

    @property
    def abilities(self) -> frozenset[str]:
        """What of ``read``, ``create``, ``delete`` and ``admin`` the credential carries."""

    @property
    def lists_catalog(self) -> bool:
        """Whether the names of all images may be listed with it."""

    def access_to(self, images: Collection[ImagePath]) -> dict[str, UserAccess]:
        """How it stands at each path, by path. At most two queries, however many."""


@dataclass(frozen=True)
class PersonPrincipal:
    """A person with a password, or with a token that carries less."""

    person: Person
    abilities: frozenset[str]

    @property
    def actor(self) -> Actor:
        """The person."""
        return self.person

    @property
    def creator(self) -> Person | None:
        """The person."""
        return self.person

    @property
    def lists_catalog(self) -> bool:
        """For administrators alone."""
        return self.person.is_superuser and "admin" in self.abilities

    def access_to(self, images: Collection[ImagePath]) -> dict[str, UserAccess]:
        """By the person's memberships at and above each path."""
        if not images:
            return {}
        by_namespace, by_project = user_access.direct_levels(
            self.person,
            {pk for image in images for pk in image.ancestors},
            {image.project.id for image in images if image.project},
        )
        result = {}
        for image in images:
            level = max((by_namespace.get(pk, _NONE) for pk in image.ancestors), default=_NONE)
            if image.project is not None:
                level = max(level, by_project.get(image.project.id, _NONE))
            if image.namespace.owner_id == self.person.pk:
                level = Level(AccessLevel.OWNER)
            until = None if level.until == dt.date.max else level.until
            result[image.path] = user_access.of_person(self.person, level.level, until)
        return result


@dataclass(frozen=True)
class DeployTokenPrincipal:
    """A deploy token: in its project, or below its group, it stands where a developer stands.

    Elsewhere it is nobody, and reads what is public. It makes no project.
    """

    actor: Actor
    abilities: frozenset[str]
    project_id: int | None
    namespace_id: int | None

    @property
    def creator(self) -> Person | None:
        """Nobody: the project has to be there."""
        return None

    @property
    def lists_catalog(self) -> bool:
        """Never."""
        return False

    def access_to(self, images: Collection[ImagePath]) -> dict[str, UserAccess]:
        """Without a query: by where it is from."""
        return {image.path: self._access_to(image) for image in images}

    def _access_to(self, image: ImagePath) -> UserAccess:
        covers = self.namespace_id in image.ancestors
        if image.project is None:
            # It sees the group, and can make no project there.
            return UserAccess(level=AccessLevel.REPORTER) if covers else NOBODY
        if covers or image.project.id == self.project_id:
            return UserAccess(level=AccessLevel.DEVELOPER)
        return NOBODY


_ABILITY_FOR = {"pull": "read", "push": "create", "delete": "delete"}


@dataclass(frozen=True)
class TrustedIssuerPrincipal:
    """An ID token that met a trust: it may do what the trust says, with the images that it says,
    in its project or below its group.

    Elsewhere it is nobody, and reads what is public. It makes no project.
    """

    trust: TrustRow
    abilities: frozenset[str]

    @classmethod
    def of(cls, trust: TrustRow) -> TrustedIssuerPrincipal:
        """With the abilities of the trust's actions."""
        return cls(trust, frozenset(_ABILITY_FOR[action] for action in trust.actions))

    @property
    def actor(self) -> Actor:
        """The trust."""
        return self.trust

    @property
    def creator(self) -> Person | None:
        """Nobody: the project has to be there."""
        return None

    @property
    def lists_catalog(self) -> bool:
        """Never."""
        return False

    def access_to(self, images: Collection[ImagePath]) -> dict[str, UserAccess]:
        """Without a query: by where the trust is from, and which images it is for."""
        return {image.path: self._access_to(image) for image in images}

    def _access_to(self, image: ImagePath) -> UserAccess:
        covers = self.trust.namespace_id in image.ancestors
        if image.project is None:
            # It sees the group, and can make no project there.
            return UserAccess(level=AccessLevel.REPORTER) if covers else NOBODY
        if not covers and image.project.id != self.trust.project_id:
            return NOBODY
        below = image.path[len(self.trust.full_path) + 1 :]
        if self.trust.images and not conditions.matches(self.trust.images, below):
            return NOBODY
        # What deletes images is a maintainer's; its abilities say whether it may. To protection
        # rules it is a developer, as a deploy token is: developers write what runs there.
        return UserAccess(level=AccessLevel.MAINTAINER, own_level=AccessLevel.DEVELOPER)


@dataclass(frozen=True)
class JobPrincipal:
    """A CI job: it may do with its own project's images what they are made for, pushing and
    deleting, as long as whoever started it develops there.

    Elsewhere it pulls what that person may pull by a role of theirs, where the other project allows
    it, and what is public. Being an administrator adds nothing. It makes no project.
    """

    person: Person
    project_id: int
    abilities: frozenset[str] = frozenset(["read", "create", "delete"])

    @property
    def actor(self) -> Actor:
        """The person who started it."""
        return self.person

    @property
    def creator(self) -> Person | None:
        """Nobody: the project has to be there."""
        return None

    @property
    def lists_catalog(self) -> bool:
        """Never."""
        return False

    def access_to(self, images: Collection[ImagePath]) -> dict[str, UserAccess]:
        """By the person's memberships, and by what the projects allow."""
        levels = PersonPrincipal(self.person, self.abilities).access_to(images)
        others = {image.project.id for image in images if image.project} - {self.project_id}
        open_to_it = job_allowances.allowing(self.project_id, others)
        return {
            image.path: self._access_to(image, levels[image.path], open_to_it) for image in images
        }

    def _access_to(
        self, image: ImagePath, of_person: UserAccess, open_to_it: Collection[int]
    ) -> UserAccess:
        level, until = of_person.level, of_person.until
        if image.project is not None and image.project.id != self.project_id:
            if image.project.id not in open_to_it:
                return NOBODY
        elif image.project is not None and level >= AccessLevel.DEVELOPER:
            # Protection rules ask what the person is: a job is no way around them.
            return UserAccess(level=AccessLevel.MAINTAINER, own_level=level, until=until)
        return UserAccess(level=min(level, AccessLevel.REPORTER), until=until)
