"""A registry that knows names alone, and whether GitLab's rows agree with each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.people import PASSWORD


class NamesOnly:
    """A registry that knows names. `refusal` and `trouble` come before, `lost` after the work."""

    @property
    def own(self) -> Any:
        return self

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.asked: list[tuple[str, str, bool]] = []
        self.refusal: Exception | None = None
        self.trouble: Exception | None = None
        self.lost = False
        self.during: Callable[[], Any] = lambda: None

    def rename(self, path: str, new_path: str, *, dry_run: bool = False) -> bool:
        self.asked.append((path, new_path, dry_run))
        if self.refusal:
            raise self.refusal
        if dry_run:
            return any(self._below(path))
        if self.trouble:
            raise self.trouble
        self.during()
        moved = self._below(path)
        self.names -= moved
        self.names |= {new_path + name[len(path) :] for name in moved}
        if self.lost:
            from gitlab.container_registry.client.connection import RegistryUnavailable

            raise RegistryUnavailable("the answer was lost")
        return bool(moved)

    def _below(self, path: str) -> set[str]:
        return {name for name in self.names if name == path or name.startswith(f"{path}/")}


def images() -> list[str]:
    from gitlab.container_registry.models import ContainerRepository

    return sorted(ContainerRepository.objects.values_list("path", flat=True))


def in_step() -> bool:
    """Whether every full path agrees with the place that the row has in the tree."""
    from gitlab.container_registry.models import ContainerRepository
    from gitlab.namespaces.models import Namespace, Project, Route

    for namespace in Namespace.objects.select_related("parent"):
        above = f"{namespace.parent.full_path}/" if namespace.parent else ""
        assert namespace.full_path == above + namespace.path
        assert Route.objects.get(namespace=namespace).full_path == namespace.full_path
    for project in Project.objects.select_related("namespace"):
        assert project.full_path == f"{project.namespace.full_path}/{project.path}"
        assert Route.objects.get(project=project).full_path == project.full_path
    for row in ContainerRepository.objects.select_related("project"):
        assert row.path == f"{row.project.full_path}/{row.name}".rstrip("/")
    return True


def push(who: str, *paths: str) -> list[str]:
    """What somebody's push to these is granted."""
    from gitlab.authorization.authorizer import GitLabAuthorizer
    from tokens.access import Access

    authorizer = GitLabAuthorizer()
    identity = authorizer.authenticate(who, PASSWORD, address="")
    asked = [Access.parse(f"repository:{path}:pull,push") for path in paths]
    return [str(a) for a in authorizer.record(identity, authorizer.authorize(identity, asked))]
