"""What keeps tags from being deleted, as cleanups ask for it: the one place where they do.

A cleanup is nobody: what a rule protects from anybody stays, whoever has approved the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitlab.container_registry.cleanup.policy import Protects, unprotected
from gitlab.container_registry.protection.reading import repository_protections, tag_protections
from gitlab.namespaces.models import Project

_NOBODY = 0
"""The rank that rules compare."""


def protects_in(project: Project) -> Callable[[str], Protects]:
    """For the path of an image of `project`, then a tag of it, the sentence that says what protects
    it, or None. One query for each kind of rule, however many are asked for.
    """
    images, tags = repository_protections(project), tag_protections(project)

    def of_image(path: str) -> Protects:
        why = images.denied(path, "delete", _NOBODY)
        if why is not None:
            return lambda _: why
        return tags.what_protects if tags else unprotected

    return of_image


def rules_of(project: Project) -> dict[str, Any]:
    """What the token of a cleanup says of the tags that stay, so that the registry keeps to it."""
    tags = tag_protections(project)
    return tags.as_meta(("push", "delete"), _NOBODY) if tags else {}
