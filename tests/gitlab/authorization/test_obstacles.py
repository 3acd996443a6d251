"""Why a push was refused reaches the pusher, in docker's own output, and never more than
one may know.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.test import Client

from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.namespaces import services
from gitlab.namespaces.models import Namespace, Project
from registry.auth import Caller
from registry.errors import RegistryError
from tests.people import PASSWORD, basic
from tokens.access import Access
from tokens.verify import verify

pytestmark = pytest.mark.django_db
AUTHORIZER = GitLabAuthorizer()


def why(user: Any, name: str) -> str:
    identity = AUTHORIZER.authenticate(user.username, PASSWORD, address="")
    return AUTHORIZER.explain(identity, [Access.repository(name, "push")]).get(name, "")


@pytest.fixture
def app(make_project: Any, alice: Any, bob: Any, carol: Any) -> Any:
    return make_project("acme/app", owner=alice, developers=[bob], reporters=[carol])


def test_too_many_levels(bob: Any, app: Any) -> None:
    assert why(bob, "acme/app/a/b/c") == (
        "acme/app/a/b/c lies 3 levels below its project acme/app: at most 2 are possible"
    )
    assert "lies 3 levels below its project bob/new" in why(bob, "bob/new/a/b/c")


def test_no_such_group(bob: Any) -> None:
    assert (
        why(bob, "nobody/app")
        == "there is no group, user or project here in which you may push nobody/app"
    )
    assert "is no name for an image" in why(bob, "bob")


def test_project_creation_is_off(bob: Any, settings: LazySettings) -> None:
    settings.PUSH_CREATES_PROJECTS = False
    assert "there is no project bob/new, and a push makes none here" in why(bob, "bob/new")


def test_a_name_that_no_project_can_have(bob: Any) -> None:
    assert "bob/tags can't be a project" in why(bob, "bob/tags")


def test_the_registry_is_off(bob: Any, app: Any) -> None:
    Project.objects.filter(pk=app.pk).update(registry_access="disabled")
    assert why(bob, "acme/app/web").startswith("the container registry is off in acme/app")


def test_it_is_being_deleted(alice: Any, bob: Any, app: Any) -> None:
    services.delete_project(alice, app)
    assert why(bob, "acme/app") == "acme/app is being deleted"


def test_the_role_is_too_small(carol: Any, app: Any) -> None:
    assert why(carol, "acme/app/web") == "pushing to acme/app takes the role Developer there"


@pytest.mark.parametrize("name", ["acme/app", "acme/app/a/b/c", "acme/new", "acme"])
def test_hidden_and_missing_read_alike(mallory: Any, app: Any, name: str) -> None:
    """Of a private group and of none, whatever is the matter there."""
    Namespace.objects.filter(full_path="acme").update(visibility="private")
    elsewhere = name.replace("acme", "void")
    assert why(mallory, name) == why(mallory, elsewhere).replace("void", "acme")
    Project.objects.filter(pk=app.pk).update(registry_access="disabled")
    assert why(mallory, name) == why(mallory, elsewhere).replace("void", "acme")


@pytest.mark.parametrize("below", ["", "/web", "/a/b/c/d"])
def test_a_hidden_project_in_a_group_that_one_sees(mallory: Any, app: Any, below: str) -> None:
    """The group is public: what is not there is said to be not there, and so what is hidden."""
    hidden, missing = why(mallory, f"acme/app{below}"), why(mallory, f"acme/nothing{below}")
    assert hidden.replace("app", "nothing") == missing
    assert f"in which you may push acme/nothing{below}" in missing


def test_a_group_that_one_sees_and_may_make_nothing_in(mallory: Any, app: Any) -> None:
    Namespace.objects.filter(full_path="acme").update(visibility="public")
    said = "there is no group, user or project here in which you may push acme/new"
    assert why(mallory, "acme/new") == said


@pytest.mark.parametrize("below", ["app", "new", "app/web/x/y/z"])
def test_a_hidden_group_in_one_that_one_sees(
    mallory: Any, alice: Any, make_project: Any, below: str
) -> None:
    """Nobody learns by a push which groups are in a public one."""
    make_project("acme/board/app", owner=alice)
    Namespace.objects.filter(full_path="acme").update(visibility="public")
    Namespace.objects.filter(full_path="acme/board").update(visibility="private")
    hidden, missing = why(mallory, f"acme/board/{below}"), why(mallory, f"acme/void/{below}")
    assert hidden.replace("board", "void") == missing


def test_the_registry_says_it_when_it_refuses_the_push(bob: Any, app: Any, client: Client) -> None:
    """From the token endpoint through the token to the registry's answer."""
    scope = urlencode(
        {"service": "container_registry", "scope": "repository:acme/app/a/b/c:push,pull"}
    )
    answer = client.get(f"/jwt/auth?{scope}", headers={"Authorization": basic("bob")})
    token = answer.json()["token"]
    assert verify(token).access == ()
    with pytest.raises(RegistryError) as refused:
        Caller(f"Bearer {token}").require(Access.parse("repository:acme/app/a/b/c:push,pull"))
    assert refused.value.status == 401
    assert "lies 3 levels below its project" in refused.value.message
    assert 'error="insufficient_scope"' in refused.value.headers["WWW-Authenticate"]
    with pytest.raises(RegistryError) as other:
        Caller(f"Bearer {token}").require(Access.parse("repository:acme/app:push,pull"))
    assert "levels" not in other.value.message


def test_an_owner_learns_that_nothing_is_there(bob: Any, mallory: Any) -> None:
    """Who could make the project gets a token for it, with which the registry says "name
    unknown".
    """

    def granted(user: Any) -> list[Access]:
        identity = AUTHORIZER.authenticate(user.username, PASSWORD, address="")
        return AUTHORIZER.authorize(identity, [Access.parse("repository:bob/nothing:pull")])

    (access,) = granted(bob)
    assert str(access) == "repository:bob/nothing:pull"
    identity = AUTHORIZER.authenticate(bob.username, PASSWORD, address="")
    (signed,) = AUTHORIZER.record(identity, [access])
    assert signed.meta == {}, "there is no project of which a token could say anything"
    assert not Project.objects.exists()
    assert granted(mallory) == []
