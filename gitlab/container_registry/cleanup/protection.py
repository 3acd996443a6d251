"""What keeps tags from being deleted, as cleanups ask for it: the one place where they do."""

from __future__ import annotations

from gitlab.container_registry.cleanup.policy import Protects, unprotected
from gitlab.namespaces.models import Project


def protects_in(project: Project) -> Protects:
    """For a name of a tag in `project` the sentence that says what protects it, or None.

    Nothing does yet.
    """
    return unprotected
