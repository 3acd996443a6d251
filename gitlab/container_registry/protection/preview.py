"""What a pattern matches of what is there, for the form in which somebody types it.

A glance and no proof: it ends after so many images and tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gitlab.container_registry import repositories
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.protection.matching import matches_path
from gitlab.namespaces.models import Project, Routable
from gitlab.principals import Anybody
from tokens import tag_patterns

MAX_IMAGES = 10
MAX_TAGS = 200
"""Images whose tags are looked at, and tags of each: the newest, where the registry knows those."""

MAX_PATHS = 1000
"""Images whose path is looked at."""

SHOWN = 40


@dataclass(frozen=True)
class Matches:
    """The first `SHOWN` `names` of `count` that match, of `total` that were looked at.

    `what` are those, in a word: ``tag``, ``image``. `is_all` is whether all were looked at. `fault`
    says what is wrong with the pattern, `trouble` why nothing could be looked at.
    """

    what: str
    names: Sequence[str] = field(default_factory=list)
    count: int = 0
    total: int = 0
    is_all: bool = True
    fault: str = ""
    trouble: str = ""

    @property
    def more(self) -> int:
        """How many match besides those that are named."""
        return self.count - len(self.names)


def tags_matching(reader: Anybody, owner: Routable, pattern: str) -> Matches:
    """The tags that a pattern matches, of images of a project or group that somebody may read."""
    try:
        compiled = tag_patterns.compiled(pattern)
    except tag_patterns.InvalidPattern as error:
        return Matches("tag", fault=str(error))
    images = _images(reader, owner, MAX_IMAGES + 1)
    try:
        pages = repositories.ask_of_each(images[:MAX_IMAGES], _newest)
    except (RegistryUnavailable, RegistryRefused) as error:
        return Matches("tag", trouble=str(error))
    found = [
        f"{_name(owner, image)}:{tag}"
        for image in images[:MAX_IMAGES]
        for tag in pages[image.path][0]
    ]
    matching = [name for name in found if compiled.search(name.rpartition(":")[2])]
    is_all = len(images) <= MAX_IMAGES and all(ended for _, ended in pages.values())
    return Matches("tag", matching[:SHOWN], len(matching), len(found), is_all)


def _newest(registry: Registry, path: str) -> tuple[list[str], bool]:
    page = registry.tags(path, n=MAX_TAGS, sort="-published_at" if registry.own else "name")
    return [tag.name for tag in page.tags], not page.next_last


def images_matching(reader: Anybody, owner: Routable, pattern: str) -> Matches:
    """The images that a pattern matches, of those of a project or group that somebody may read."""
    images = _images(reader, owner, MAX_PATHS + 1)
    matching = [image.path for image in images[:MAX_PATHS] if matches_path(pattern, image.path)]
    total = min(len(images), MAX_PATHS)
    return Matches("image", matching[:SHOWN], len(matching), total, len(images) <= MAX_PATHS)


def _images(reader: Anybody, owner: Routable, most: int) -> list[ContainerRepository]:
    if isinstance(owner, Project):
        return list(repositories.repositories_of(owner)[:most])
    return list(repositories.readable_in(reader, owner)[:most])


def _name(owner: Routable, image: ContainerRepository) -> str:
    return image.path[len(owner.full_path) + 1 :] or owner.path
