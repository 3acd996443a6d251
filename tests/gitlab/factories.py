"""People, groups, projects and images for tests, and the fixtures that hand them out.

    def test_it_works(alice, bob, make_group, make_project):
        acme = make_group("acme", owner=alice, developers=[bob])
        app = make_project("acme/app", visibility="public")

Alice owns, Bob develops, Carol reports, Mallory is nobody, root administers. A conftest takes the
fixtures with ``from tests.gitlab.factories import *``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.utils import timezone

from tests.people import NAMES, person

__all__ = [
    "alice",
    "bob",
    "carol",
    "enqueued",
    "fake_registry",
    "make_access_token",
    "make_deploy_token",
    "make_group",
    "make_image",
    "make_job",
    "make_person",
    "make_project",
    "make_runner",
    "make_token",
    "mallory",
    "root",
]

ROLES = {"guests": 10, "reporters": 20, "developers": 30, "maintainers": 40, "owners": 50}


def _add_members(place: Any, roles: dict[str, Iterable[Any]]) -> None:
    from gitlab.namespaces.models import Member, Project

    where = {"project": place} if isinstance(place, Project) else {"namespace": place}
    for role, people in roles.items():
        for user in people:
            Member.objects.update_or_create(
                user=user, **where, defaults={"access_level": ROLES[role]}
            )


def group(full_path: str, *, owner: Any = None, visibility: str = "public", **roles: Any) -> Any:
    """A group and those above it. `roles` are lists of people: ``developers=[bob]``."""
    from gitlab.namespaces import services
    from gitlab.namespaces.models import Namespace

    owner = owner or person("alice")
    parent_path, _, path = full_path.rpartition("/")
    parent = Namespace.objects.filter(full_path=parent_path).first()
    if parent_path and parent is None:
        parent = group(parent_path, owner=owner, visibility=visibility)
    made = services.create_group(owner, path=path, parent=parent, visibility=visibility)
    _add_members(made, roles)
    return made


def project(
    full_path: str,
    *,
    owner: Any = None,
    visibility: str = "private",
    registry_access: str = "enabled",
    **roles: Any,
) -> Any:
    """A project; whom or which group it belongs to is made where missing. `roles` as for
    `group`.
    """
    from gitlab.namespaces import services
    from gitlab.namespaces.models import Namespace

    parent_path, _, path = full_path.rpartition("/")
    if parent_path in NAMES:
        person(parent_path)
    namespace = Namespace.objects.filter(full_path=parent_path).first() or group(
        parent_path, owner=owner
    )
    creator = owner or namespace.owner or person("root", is_superuser=True)
    made = services.create_project(
        creator,
        namespace=namespace,
        path=path,
        visibility=visibility,
        registry_access=registry_access,
    )
    _add_members(made, roles)
    return made


def image(path: str, *, of: Any = None, **columns: Any) -> Any:
    """The row of an image; `of` is its project (default: the one with the same path)."""
    from gitlab.container_registry.models import ContainerRepository
    from gitlab.namespaces.models import Project

    of = of or Project.objects.filter(full_path=path).first() or project(path)
    return ContainerRepository.objects.create(
        project=of, path=path, name=path[len(of.full_path) + 1 :], **columns
    )


def token(user: Any, *scopes: str, expired: bool = False, revoked: bool = False) -> str:
    """The text of a new personal access token."""
    from gitlab.access_tokens import services

    row, text = services.create(user, name="test", scopes=scopes or ["api"])
    if expired:
        row.expires_at = timezone.now().date() - dt.timedelta(days=1)
        row.save()
    if revoked:
        services.revoke(user, row)
    return text


def deploy_token(
    of: Any, *scopes: str, expired: bool = False, revoked: bool = False, **columns: Any
) -> tuple[Any, str]:
    """A new deploy token of a project or group, and its text."""
    from gitlab.access_tokens import deploy_tokens

    root = person("root", is_superuser=True)
    row, text = deploy_tokens.create(
        root, of, name="test", scopes=scopes or ["read_registry", "write_registry"], **columns
    )
    if expired:
        row.expires_at = timezone.now().date()
        row.save()
    if revoked:
        deploy_tokens.revoke(root, row)
    return row, text


def access_token(of: Any, *scopes: str, level: int = 40, **columns: Any) -> tuple[Any, str]:
    """A new access token of a project or group, and its text."""
    from gitlab.access_tokens import resource_tokens

    root = person("root", is_superuser=True)
    columns = {"name": "test", "scopes": scopes or ["api"], "access_level": level} | columns
    return resource_tokens.create(root, of, **columns)


def runner(of: Any, **columns: Any) -> tuple[Any, str]:
    """A new runner of a project, registered by root, and its token."""
    from gitlab.access_tokens import job_tokens

    root = person("root", is_superuser=True)
    return job_tokens.create_runner(root, of, **({"name": "runner"} | columns))


def job(of: Any, user: Any, **options: Any) -> tuple[Any, str]:
    """A running job of a project that somebody who develops there has started, and its token."""
    from gitlab.access_tokens import job_tokens

    return job_tokens.start_job(
        runner(of)[0], **({"name": "build", "username": user.username} | options)
    )


class FakeRegistry:
    """Stands where `BerthRegistry` stands. Images are numbers of things left to delete."""

    has_own_api = True

    @property
    def own(self) -> Any:
        return self if self.has_own_api else None

    def __init__(self) -> None:
        self.images: dict[str, int] = {}
        self.happened: list[Any] = []
        self.tags_gone: list[tuple[str, str]] = []
        self.given_up: list[tuple[str, int]] = []
        self.batches: list[tuple[str, int]] = []
        self.trouble: Exception | None = None
        self.during_batch: Callable[[str], None] = lambda path: None

    def give_up(self, path: str, project: int) -> None:
        """Remembered, unless the registry has trouble."""
        if self.trouble:
            raise self.trouble
        self.given_up.append((path, project))

    def delete_batch(self, path: str, n: int = 100, **more: Any) -> int:
        """As the registry does it: what is left."""
        if self.trouble:
            raise self.trouble
        self.batches.append((path, n))
        self.during_batch(path)
        left = max(0, self.images.pop(path, 0) - n)
        if left:
            self.images[path] = left
        return left

    def delete_tag(self, path: str, tag: str, *, by: str = "") -> bool:
        """True once, False afterwards."""
        if self.trouble:
            raise self.trouble
        known = (path, tag) in self.tags_gone
        self.tags_gone.append((path, tag))
        return not known

    def events(self, after: int, n: int = 500) -> list[Any]:
        """What `happened`, in order."""
        if self.trouble:
            raise self.trouble
        return [event for event in self.happened if event.id > after][:n]

    def repository(self, path: str, *, size: bool = True) -> Any:
        """Details of those that exist."""
        from gitlab.container_registry.client.responses import RepositoryDetails

        if self.trouble:
            raise self.trouble
        if path not in self.images:
            return None
        return RepositoryDetails(path.rpartition("/")[2], path, 1, self.images[path])


@pytest.fixture
def make_person(db: None) -> Callable[..., Any]:
    return person


@pytest.fixture
def make_group(db: None) -> Callable[..., Any]:
    return group


@pytest.fixture
def make_project(db: None) -> Callable[..., Any]:
    return project


@pytest.fixture
def make_image(db: None) -> Callable[..., Any]:
    return image


@pytest.fixture
def make_token(db: None) -> Callable[..., str]:
    return token


@pytest.fixture
def make_access_token(db: None) -> Callable[..., tuple[Any, str]]:
    return access_token


@pytest.fixture
def make_runner(db: None) -> Callable[..., tuple[Any, str]]:
    return runner


@pytest.fixture
def make_job(db: None) -> Callable[..., tuple[Any, str]]:
    return job


@pytest.fixture
def make_deploy_token(db: None) -> Callable[..., tuple[Any, str]]:
    return deploy_token


@pytest.fixture
def root(db: None) -> Any:
    return person("root", is_superuser=True)


@pytest.fixture
def alice(db: None) -> Any:
    return person("alice")


@pytest.fixture
def bob(db: None) -> Any:
    return person("bob")


@pytest.fixture
def carol(db: None) -> Any:
    return person("carol")


@pytest.fixture
def mallory(db: None) -> Any:
    return person("mallory")


@pytest.fixture
def fake_registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was sent, in place of a broker."""
    from gitlab.jobs import enqueue

    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(enqueue, "now", lambda task, *arguments: sent.append((task, *arguments)))
    return sent
