"""What GitLab's side asks of the rules before it does what a person wants done with an image.

The registry asks them of tokens; ours for jobs and pages carry none unless they are given some
(`as_meta`). Refusals: `Forbidden`, which names the rule, and `Conflict`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from itertools import groupby
from typing import Any

from django.conf import settings

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.protection import reading
from gitlab.container_registry.protection.matching import Action, TagProtections
from gitlab.container_registry.protection.reading import repository_protections, tag_protections
from gitlab.namespaces import user_access
from gitlab.namespaces.models import Project
from gitlab.principals import Anybody, Person
from gitlab.refusals import Conflict, Forbidden

MOST_TAGS = 20_000
"""That are looked through at once, while somebody waits."""

_MOST_IMAGES = 100
"""Whose tags are looked through at once."""

_PAGE = 1000
_ACTIONS = ("push", "delete")


def refuse(why: str | None) -> None:
    """Raises `Forbidden` where there is a reason."""
    if why:
        raise Forbidden(f"{why[:1].upper()}{why[1:]}." if why.startswith("tag ") else f"{why}.")


class Standing:
    """How somebody stands in a project as its rules see them. A query for each kind of rule, when
    it is asked for, and one for the rank where there are rules.

    `user` is whoever wants something done; None for somebody who is not here any more.
    """

    def __init__(self, user: Anybody, project: Project) -> None:
        self._user, self._project = user, project

    @cached_property
    def tags(self) -> TagProtections:
        """The tag rules that hold there."""
        return tag_protections(self._project)

    @cached_property
    def rank(self) -> int:
        """The level that rules compare."""
        return user_access.in_project(self._user, self._project).rank

    def why_not_image(self, path: str, action: Action) -> str | None:
        """What keeps them from pushing or deleting an image, in a sentence. One query."""
        protections = repository_protections(self._project)
        return protections.denied(path, action, self.rank) if protections else None

    def why_not(self, tag: str, action: Action) -> str | None:
        """What keeps them from pushing or deleting a tag, in a sentence."""
        if not self.tags:
            return None
        return self.tags.what_protects(tag, self.rank, action=action)

    @property
    def limits_deletion(self) -> bool:
        """Whether there may be tags that they may not delete."""
        return bool(self.tags.immutable) or any(
            rule.denies("delete", self.rank) for rule in self.tags.limits
        )

    def as_meta(self) -> dict[str, Any]:
        """What a token for what they want says to the registry; nothing without rules."""
        return self.tags.as_meta(_ACTIONS, self.rank) if self.tags else {}


def require_image(by: Person, project: Project, path: str, action: Action) -> None:
    """Raises `Forbidden` where a repository rule keeps somebody from `action` with an image."""
    refuse(Standing(by, project).why_not_image(path, action))


def require_push(by: Person, repository: ContainerRepository, tags: Iterable[str]) -> Standing:
    """Raises `Forbidden` where a rule keeps somebody from pushing an image or one of its tags."""
    standing = Standing(by, repository.project)
    refuse(standing.why_not_image(repository.path, "push"))
    for tag in tags:
        refuse(standing.why_not(tag, "push"))
    return standing


def protected_tag(
    registry: Registry, path: str, protections: TagProtections, rank: int, most: int = MOST_TAGS
) -> str | None:
    """Why the first tag of an image that may not be deleted may not; None where all may.

    `most` tags are looked at, a page at a time. Raises `Conflict` where there are more,
    `RegistryUnavailable`, `RegistryRefused`.
    """
    last, seen = "", 0
    while True:
        page = registry.tags(path, n=_PAGE, last=last, sort="name")
        for tag in page.tags:
            why = protections.what_protects(tag.name, rank)
            if why:
                return why
        seen, last = seen + len(page.tags), page.next_last
        if not last:
            return None
        if seen >= most:
            raise TooManyTags(path, seen)


class TooManyTags(Conflict):
    """An image has more tags than are held against rules at once."""

    def __init__(self, path: str, seen: int) -> None:
        super().__init__(
            {
                "__all__": f"{path} has more than {seen:,} tags, too many to find out whether a rule"
                " protects one: delete tags first, or take the rules away for a moment."
            }
        )


def require_project_may_go(by: Person, project: Project, registry: Registry | None = None) -> None:
    """Raises `Forbidden` where a rule keeps somebody from deleting an image of a project, or a tag
    of one: with the project all of them go. `Conflict` where the registry can't tell its tags.
    """
    if not (settings.CONTAINER_REGISTRY_ENABLED and reading.has_rules_around(project.full_path)):
        return
    images = ContainerRepository.objects.filter(project=project).order_by("path")
    related = images.select_related("project__namespace")
    try:
        require_path_stays(by, project.full_path, related, registry or clients.for_pages())
    except (RegistryUnavailable, RegistryRefused) as error:
        text = f"The registry does not tell whether a rule protects a tag: {error}. Try again."
        raise Conflict({"__all__": text}) from error


def require_path_stays(
    by: Person, path: str, images: Iterable[ContainerRepository], registry: Registry
) -> None:
    """Raises `Forbidden` where a rule keeps somebody from deleting one of the `images` at and below
    a path, or a tag of one.

    So also from giving it another path: under the old one all of them are gone. One query per kind
    of rule where nothing has any. Raises `TooManyTags`, `RegistryUnavailable`, `RegistryRefused`.
    """
    if not reading.has_rules_around(path):
        return
    seen = 0
    for project, of_project in groupby(images, key=lambda image: image.project):
        standing = Standing(by, project)
        repository_rules = repository_protections(project)
        for image in of_project:
            refuse(repository_rules.denied(image.path, "delete", standing.rank))
            if standing.limits_deletion:
                seen += 1
                if seen > _MOST_IMAGES:
                    raise TooManyTags(path, MOST_TAGS)
                refuse(protected_tag(registry, image.path, standing.tags, standing.rank))
