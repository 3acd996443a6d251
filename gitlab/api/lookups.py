"""What ``:id`` in an address stands for, found for whoever asks, or refused in GitLab's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gitlab.accounts.factors import standing
from gitlab.accounts.models import User
from gitlab.api.errors import not_found
from gitlab.container_registry import repositories
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import loaders
from gitlab.namespaces.loaders import IdOrPath
from gitlab.namespaces.models import Namespace, Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody
from gitlab.refusals import NotFound


@contextmanager
def missing(noun: str) -> Iterator[None]:
    """Within the block, what is not there is called `noun`."""
    try:
        yield
    except NotFound as error:
        raise not_found(noun) from error


def project_for(
    user: Anybody, id_or_path: IdOrPath, ability: Ability = Ability.READ_PROJECT
) -> Project:
    """The project of an id or a path. Raises `ApiError` 404, `Forbidden`."""
    with missing("Project"):
        return loaders.get_project_for(user, id_or_path, ability)


def group_for(
    user: Anybody, id_or_path: IdOrPath, ability: Ability = Ability.READ_GROUP
) -> Namespace:
    """The group of an id or a path. Raises `ApiError` 404, `Forbidden`."""
    with missing("Group"):
        return loaders.get_group_for(user, id_or_path, ability)


def routable_for(user: Anybody, kind: str, id_or_path: IdOrPath, ability: Ability) -> Routable:
    """The project or group of an address, as its `kind` says. As those two."""
    return (project_for if kind == "project" else group_for)(user, id_or_path, ability)


def administered(user: Anybody, kind: str, id_or_path: IdOrPath) -> Routable:
    """As `routable_for`, for whoever may change its settings."""
    ability = Ability.ADMIN_PROJECT if kind == "project" else Ability.ADMIN_GROUP
    return routable_for(user, kind, id_or_path, ability)


def namespace_for(
    user: Anybody, id_or_path: IdOrPath, ability: Ability = Ability.READ_GROUP
) -> Namespace:
    """The group or personal namespace of an id or a path. Raises `ApiError` 404, `Forbidden`."""
    with missing("Namespace"):
        return loaders.get_namespace_for(user, id_or_path, ability)


def as_id_or_path(value: str) -> IdOrPath:
    """An id, or a path, as a parameter has it."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 19 else value


def repository_for(
    user: Anybody, pk: int, ability: Ability, project: IdOrPath | None = None
) -> ContainerRepository:
    """A container repository, of this project where one is given.

    Raises `ApiError` 404, `Forbidden`.
    """
    of = project_for(user, project) if project is not None else None
    with missing("Container Repository"):
        path = of.full_path if of is not None else None
        return repositories.get_container_repository_for(user, pk, ability, project=path)


def user_called(id_or_path: IdOrPath) -> User:
    """The person of an id or a user name, whether they may sign in or not. Raises `ApiError`."""
    by = {"pk": id_or_path} if isinstance(id_or_path, int) else {"username": id_or_path}
    people = User.objects.filter(**by).select_related("namespace")
    found = standing.read_along(people).first()
    if found is None:
        raise not_found("User")
    return found
