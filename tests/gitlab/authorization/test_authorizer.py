"""What the token server asks GitLab, beyond the matrix."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from gitlab.access_tokens import services as access_tokens
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.audit.models import AuditEvent
from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import Member, Project
from tests.people import PASSWORD, basic
from tokens.access import Access
from tokens.authorizer import (
    AccessForbidden,
    InvalidCredentials,
    RegistryDisabled,
)
from tokens.limiter import TooManyRequests
from tokens.verify import verify

pytestmark = pytest.mark.django_db
AUTHORIZER = GitLabAuthorizer()


def _login(user: Any, password: Any = PASSWORD) -> Any:
    return AUTHORIZER.authenticate(user.username, password, address="192.0.2.1")


def _granted(user: Any, *asked: Any) -> Any:
    """What is signed for somebody, as scopes."""
    identity = _login(user) if user else None
    decided = AUTHORIZER.authorize(identity, [Access.parse(scope) for scope in asked])
    return [str(access) for access in AUTHORIZER.record(identity, decided)]


def test_an_identity_says_who_and_how(bob: Any, make_token: Any) -> None:
    by_password = _login(bob)
    assert (by_password.subject, by_password.auth_type) == ("bob", "gitlab_or_ldap")
    by_token = AUTHORIZER.authenticate("anything", make_token(bob, "api"), address="")
    assert (by_token.subject, by_token.auth_type) == ("bob", "personal_access_token")
    assert by_token.user_info == {
        "token_type": "personal_access_token",
        "username": "bob",
        "user_id": bob.pk,
    }


def test_wrong_passwords_count_and_ci_jobs_do_not(bob: Any, settings: Any, make_token: Any) -> None:
    settings.FAILED_LOGIN_LIMIT = 2
    for number in range(5):
        with pytest.raises(InvalidCredentials):
            AUTHORIZER.authenticate("gitlab-ci-token", f"job-over-{number}", address="192.0.2.1")
        with pytest.raises(InvalidCredentials):
            AUTHORIZER.authenticate(
                "bob", make_token(bob, "api", expired=True), address="192.0.2.1"
            )
    for password in ("wrong", "wronger"):
        with pytest.raises(InvalidCredentials):
            AUTHORIZER.authenticate("bob", password, address="192.0.2.1")
    with pytest.raises(TooManyRequests):
        AUTHORIZER.authenticate("bob", PASSWORD, address="192.0.2.1")
    assert AUTHORIZER.authenticate("bob", make_token(bob, "api"), address="192.0.2.1")


def test_wrong_tokens_count_for_their_address_and_right_ones_always_work(
    bob: Any, settings: Any, make_token: Any
) -> None:
    settings.FAILED_LOGINS_PER_ADDRESS = 3
    for _ in range(10):  # The same one, by a machine: once.
        with pytest.raises(InvalidCredentials):
            AUTHORIZER.authenticate("bob", "glpat-revoked-and-gone", address="192.0.2.1")
    for number in range(2):
        with pytest.raises(InvalidCredentials):
            AUTHORIZER.authenticate("bob", f"glpat-guessed-{number}", address="192.0.2.1")
    for text in ("glpat-guessed-again", "glpat-revoked-and-gone"):
        with pytest.raises(TooManyRequests) as refused:
            AUTHORIZER.authenticate("bob", text, address="192.0.2.1")
        assert 195 <= refused.value.retry_after <= 200
    with pytest.raises(InvalidCredentials):
        AUTHORIZER.authenticate("bob", "glpat-guessed-again", address="192.0.2.2")
    assert AUTHORIZER.authenticate("bob", make_token(bob, "api"), address="192.0.2.1")


def test_several_scopes_are_answered_in_order_and_as_asked(bob: Any, make_project: Any) -> None:
    make_project("acme/app", developers=[bob])
    make_project("zeta/lib", visibility="public")
    assert _granted(
        bob,
        "repository:zeta/lib:push,pull",
        "repository:acme/secret/x:pull",
        "repository:acme/app/cache/arm:push,pull,delete",
    ) == ["repository:zeta/lib:pull", "repository:acme/app/cache/arm:push,pull"]


def test_many_scopes_cost_as_many_queries_as_one(
    bob: Any, make_token: Any, make_project: Any, django_assert_max_num_queries: Any
) -> None:
    text = make_token(bob, "api")
    scopes = []
    for number in range(10):
        make_project(f"acme/app{number}", developers=[bob])
        scopes.append(Access.repository(f"acme/app{number}/image", "pull", "push"))
    for _ in range(2):
        identity = AUTHORIZER.authenticate("bob", text, address="")
        AUTHORIZER.record(identity, AUTHORIZER.authorize(identity, scopes))
    assert PersonalAccessToken.objects.get().last_used_at

    with django_assert_max_num_queries(7):
        identity = AUTHORIZER.authenticate("bob", text, address="")
        granted = AUTHORIZER.record(identity, AUTHORIZER.authorize(identity, scopes))
    assert len(granted) == 10


@pytest.mark.parametrize(("images", "queries"), [(2, 3), (20, 1)])
def test_much_is_looked_for_only_when_it_is_known_who_asks(
    images: int, queries: int, make_project: Any, django_assert_num_queries: Any
) -> None:
    make_project("acme/app")
    asked = [Access.repository(f"acme/app/image{number}", "pull") for number in range(images)]
    with AUTHORIZER.expecting(asked), django_assert_num_queries(queries):
        assert access_tokens.find(f"glpat-{'x' * 20}") is None


def test_a_level_in_a_group_reaches_its_projects(
    bob: Any, make_group: Any, make_project: Any
) -> None:
    make_group("acme", developers=[bob])
    make_project("acme/tools/app")
    assert _granted(bob, "repository:acme/tools/app:pull,push")


def test_deciding_changes_nothing(bob: Any) -> None:
    identity = _login(bob)
    granted = AUTHORIZER.authorize(identity, [Access.parse("repository:bob/new:push,pull")])
    assert [str(access) for access in granted] == ["repository:bob/new:push,pull"]
    assert not Project.objects.exists()
    assert not ContainerRepository.objects.exists()


def test_a_first_push_creates_the_project_privately(bob: Any) -> None:
    for _ in range(2):
        assert _granted(bob, "repository:bob/new/tools/cache:pull,push") == [
            "repository:bob/new/tools/cache:pull,push"
        ]
    project = Project.objects.get()
    assert (project.full_path, project.visibility, project.creator) == ("bob/new", "private", bob)
    image = ContainerRepository.objects.get()
    assert (image.path, image.name) == ("bob/new/tools/cache", "tools/cache")
    assert AuditEvent.objects.get(action="project.create").details["reason"]


def test_what_the_token_says_of_the_project(bob: Any) -> None:
    identity = _login(bob)
    asked = [Access.parse("repository:bob/new:push")]
    (access,) = AUTHORIZER.record(identity, AUTHORIZER.authorize(identity, asked))
    assert dict(access.meta) == {
        "project_path": "bob/new",
        "project_id": Project.objects.get().pk,
        "root_namespace_id": bob.namespace.pk,
    }
    assert type(access.meta) is dict


@pytest.mark.parametrize(
    "scope",
    [
        "repository:bob:push",
        "repository:bob/new:delete",
        "repository:bob/new/a/b/c:push",
        "repository:bob/tags:push",
        "repository:nobody/new:push",
        "repository:acme/new:push",
    ],
)
def test_what_no_push_creates(bob: Any, make_group: Any, scope: str) -> None:
    make_group("acme", reporters=[bob])
    assert _granted(bob, scope) == []
    assert not Project.objects.exists()


def test_creating_by_push_is_a_setting_and_not_for_external_people(
    bob: Any, make_person: Any, settings: Any
) -> None:
    eve = make_person("eve", external=True)
    assert _granted(eve, "repository:eve/new:push") == []
    settings.PUSH_CREATES_PROJECTS = False
    assert _granted(bob, "repository:bob/new:push") == []


def test_a_developer_of_a_group_creates_by_push(bob: Any, make_group: Any) -> None:
    make_group("acme/tools", developers=[bob])
    assert _granted(bob, "repository:acme/tools/new/image:push,pull")
    assert Project.objects.get().full_path == "acme/tools/new"


def test_a_push_that_comes_second_is_decided_again(alice: Any, bob: Any, make_group: Any) -> None:
    acme = make_group("acme", owner=alice, developers=[bob])
    identity = _login(bob)
    granted = AUTHORIZER.authorize(identity, [Access.parse("repository:acme/new:push,pull")])
    namespaces.create_project(alice, namespace=acme, path="new")
    assert [str(a) for a in AUTHORIZER.record(identity, granted)] == [
        "repository:acme/new:push,pull"
    ]

    granted = AUTHORIZER.authorize(identity, [Access.parse("repository:acme/newer:push")])
    Member.objects.filter(user=bob).delete()
    assert AUTHORIZER.record(identity, granted) == []


def test_a_pull_notes_nothing(bob: Any, make_project: Any) -> None:
    make_project("acme/app", visibility="public")
    assert _granted(bob, "repository:acme/app/x:pull")
    assert _granted(None, "repository:acme/app/x:pull,push") == ["repository:acme/app/x:pull"]
    assert not ContainerRepository.objects.exists()


@pytest.mark.parametrize("status", ["delete_scheduled", "delete_ongoing"])
def test_a_push_to_what_is_being_deleted_is_refused_with_the_reason(
    bob: Any, make_project: Any, make_image: Any, status: str
) -> None:
    make_project("acme/app", developers=[bob])
    image = make_image("acme/app")
    _set_status(image, status)
    with pytest.raises(AccessForbidden, match="being deleted"):
        _granted(bob, "repository:acme/app:pull,push")
    assert _granted(bob, "repository:acme/app:pull")


def _set_status(image: Any, status: Any) -> None:
    import uuid

    from django.utils import timezone

    now = timezone.now()
    values = {"lease": uuid.uuid4(), "lease_renewed_at": now, "started_at": now}
    ContainerRepository.objects.filter(pk=image.pk).update(
        status=status, **(values if status == "delete_ongoing" else {})
    )


def test_a_project_that_is_being_deleted_grants_nothing(
    alice: Any, root: Any, make_project: Any, enqueued: Any
) -> None:
    app = make_project("acme/app", owner=alice, visibility="public")
    namespaces.delete_project(alice, app)
    for user in (alice, root, None):
        assert _granted(user, "repository:acme/app:pull,push") == []


def test_the_catalog_is_for_administrators(alice: Any, root: Any, make_token: Any) -> None:
    assert _granted(root, "registry:catalog:*") == ["registry:catalog:*"]
    assert _granted(root, "registry:catalog:pull,*", "registry:garbage:*") == []
    assert _granted(alice, "registry:catalog:*") == []
    identity = AUTHORIZER.authenticate("x", make_token(root, "read_registry"), address="")
    assert AUTHORIZER.authorize(identity, [Access.parse("registry:catalog:*")]) == []


def test_a_registry_that_is_off(bob: Any, settings: Any) -> None:
    settings.CONTAINER_REGISTRY_ENABLED = False
    with pytest.raises(RegistryDisabled):
        AUTHORIZER.authorize(None, [])


@pytest.mark.parametrize("length", [10, 200])
def test_what_a_token_has_no_room_for_makes_no_project(bob: Any, client: Any, length: Any) -> None:
    """FL-04: twenty projects were made before the request was refused for its length."""
    names = [f"bob/{'a' * length}-{number}" for number in range(25)]
    query = urlencode(
        [
            ("service", "container_registry"),
            *[("scope", f"repository:{n}:pull,push") for n in names],
        ]
    )
    answer = client.get(f"/jwt/auth?{query}", HTTP_AUTHORIZATION=basic("bob", PASSWORD))
    assert answer.status_code == 200, answer.content
    granted = [access.name for access in verify(answer.json()["token"]).access]
    assert granted == names[: len(granted)]
    assert len(granted) == 20 if length == 10 else 5 < len(granted) < 20
    assert sorted(project.full_path for project in Project.objects.all()) == sorted(granted)
    assert ContainerRepository.objects.count() == len(granted)
