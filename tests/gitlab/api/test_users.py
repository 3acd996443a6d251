"""`/users`: listed, made, changed, blocked, deactivated, deleted."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gitlab.accounts.models import User
from gitlab.audit.models import AuditEvent
from tests.gitlab.api.conftest import Api, assert_refused
from tests.people import PASSWORD, basic

pytestmark = pytest.mark.django_db

DORA = {
    "username": "Dora",
    "name": "Dora",
    "email": "dora@example.com",
    "password": "correct-horse-battery",
    "skip_confirmation": True,
}


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [found["username"] for found in answer.json()]


def test_which_are_listed(api: Api, root: Any, alice: Any, bob: Any, make_person: Any) -> None:
    make_person("guest", external=True)
    assert names(api(root).get("users")) == ["guest", "bob", "alice", "root"]
    assert names(api(alice).get("users?order_by=username&sort=asc")) == [
        "alice",
        "bob",
        "guest",
        "root",
    ]
    assert names(api(alice).get("users?username=BOB")) == ["bob"]
    assert names(api(alice).get("users?search=bo")) == ["bob"]
    assert names(api(alice).get("users?search=bob@example.com")) == []
    assert names(api(root).get("users?search=bob@example.com")) == ["bob"]
    assert names(api(root).get("users?external=true")) == ["guest"]
    assert names(api(root).get("users?admins=true")) == ["root"]
    assert len(names(api(alice).get("users?admins=true"))) == 4
    assert names(api(root).get("users?blocked=true")) == []
    assert names(api(root).get("users?created_before=2001-01-01")) == []
    assert names(api(root).get("users?pagination=keyset&per_page=1")) == ["guest"]


def test_what_is_told_of_others(api: Api, root: Any, alice: Any, bob: Any) -> None:
    plain = api(alice).get(f"users/{bob.pk}").json()
    assert set(plain) == {"id", "username", "name", "state", "avatar_url", "web_url"}
    assert [set(one) for one in api(alice).get("users").json()] == [set(plain)] * 3
    assert api(bob).get("users/bob").json()["email"] == "bob@example.com"
    full = api(root).get(f"users/{bob.pk}").json()
    assert full["email"] == "bob@example.com"
    assert full["namespace_id"] == bob.namespace.pk
    assert_refused(api().get("users"), 401)
    assert_refused(api().get("users/bob"), 401)
    assert_refused(api(alice).get("users/999999"), 404, "404 User Not Found")


def test_queries_do_not_grow(api: Api, root: Any, alice: Any, bob: Any, carol: Any) -> None:
    client = api(root)
    client.get("users")
    with CaptureQueriesContext(connection) as few:
        client.get("users?per_page=1")
    with CaptureQueriesContext(connection) as more:
        assert len(client.get("users").json()) == 4
    assert len(more) <= len(few) <= 3


def test_made(api: Api, root: Any) -> None:
    answer = api(root).post("users", {**DORA, "external": True, "admin": False})
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert (found["username"], found["email"], found["external"]) == (
        "dora",
        "dora@example.com",
        True,
    )
    assert Client().get("/jwt/auth?service=container_registry", HTTP_AUTHORIZATION=basic("dora"))
    without = {**DORA, "username": "eve", "email": "eve@example.com", "reset_password": True}
    del without["password"]
    assert api(root).post("users", without).status_code == 201
    assert not User.objects.get(username="eve").has_usable_password()


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"username": None}, 400, "username is empty"),
        ({"username": "bob"}, 409, "Username has already been taken"),
        ({"email": "bob@example.com"}, 409, "Email has already been taken"),
        ({"email": "nonsense"}, 400, "email"),
        ({"password": "short"}, 400, "password"),
        ({"username": "admin"}, 400, "reserved"),
        ({"username": "x" * 151}, 400, "150"),
    ],
)
def test_not_made(
    api: Api, root: Any, bob: Any, change: dict[str, Any], status: int, says: str
) -> None:
    assert_refused(api(root).post("users", {**DORA, **change}), status, says)
    assert User.objects.count() == 2


def test_a_password_or_none(api: Api, root: Any) -> None:
    body = {name: value for name, value in DORA.items() if name != "password"}
    assert_refused(api(root).post("users", body), 400, "password, reset_password")


def test_changed(api: Api, root: Any, bob: Any) -> None:
    body = {"name": "Robert", "email": "Robert@example.com", "admin": True, "external": True}
    found = api(root).put(f"users/{bob.pk}", {**body, "username": "bob"}).json()
    assert (found["name"], found["email"]) == ("Robert", "robert@example.com")
    assert (found["is_admin"], found["external"]) == (True, True)
    assert api(root).put("users/bob", {"password": "another-horse-battery"}).status_code == 200
    bob.refresh_from_db()
    assert bob.check_password("another-horse-battery")
    assert_refused(api(root).put("users/bob", {"username": "rob"}), 400, "can't be changed")
    both = api(root).put("users/bob", {"name": "X", "email": "root@example.com"})
    assert_refused(both, 409, "Email has already been taken")
    bob.refresh_from_db()
    assert bob.name == "Robert"


def test_an_own_password_is_not_changed_here(api: Api, root: Any) -> None:
    answer = api(root).put("users/root", {"password": "another-horse-battery", "name": "X"})
    assert_refused(answer, 403, "Your own password")
    root.refresh_from_db()
    assert root.check_password(PASSWORD)
    assert root.name == "Root"


def test_somebody_has_to_administer(api: Api, root: Any) -> None:
    assert_refused(api(root).put("users/root", {"admin": False}), 400, "last administrator")


@pytest.mark.parametrize("verb", ["block", "ban"])
def test_blocked(api: Api, root: Any, bob: Any, verb: str) -> None:
    theirs = api(bob)
    answer = api(root).post(f"users/{bob.pk}/{verb}")
    assert (answer.status_code, answer.json()) == (201, True)
    assert_refused(theirs.get("user"), 401)
    assert names(api(root).get("users?blocked=true")) == ["bob"]
    assert_refused(api(root).post(f"users/{bob.pk}/deactivate"), 409, "blocked")
    assert_refused(api(root).post(f"users/{bob.pk}/activate"), 409, "blocked")
    assert api(root).post(f"users/{bob.pk}/un{verb}").json() is True
    assert theirs.get("user").status_code == 200
    assert_refused(api(root).post(f"users/root/{verb}"), 400, "yourself")


def test_who_is_deactivated_can_be_blocked(api: Api, root: Any, bob: Any) -> None:
    """Else they would only have to sign in again."""
    api(root).post("users/bob/deactivate")
    assert api(root).post("users/bob/block").json() is True
    bob.refresh_from_db()
    assert bob.is_blocked
    assert not Client().login(username="bob", password=PASSWORD)
    api(root).post("users/bob/unblock")
    bob.refresh_from_db()
    assert bob.is_active


def test_deactivated(api: Api, root: Any, bob: Any) -> None:
    theirs = api(bob)
    assert api(root).post(f"users/{bob.pk}/deactivate").json() is True
    assert api(root).get("users/bob").json()["state"] == "deactivated"
    assert_refused(theirs.get("user"), 401)
    docker = "/jwt/auth?service=container_registry"
    assert Client().get(docker, HTTP_AUTHORIZATION=basic("bob")).status_code == 401
    assert api(root).post(f"users/{bob.pk}/activate").json() is True
    assert theirs.get("user").status_code == 200


def test_who_signs_in_is_active_again(api: Api, root: Any, bob: Any) -> None:
    api(root).post(f"users/{bob.pk}/deactivate")
    browser = Client()
    wrong = browser.post("/users/sign_in", {"login": "bob", "password": "wrong-horse-battery"})
    assert wrong.status_code == 200
    bob.refresh_from_db()
    assert bob.state == "deactivated"
    answer = browser.post("/users/sign_in", {"login": "bob", "password": PASSWORD})
    assert answer.status_code == 302
    bob.refresh_from_db()
    assert bob.state == "active"
    assert AuditEvent.objects.filter(action="user.activate", actor=bob).exists()


def test_deleted(api: Api, root: Any, alice: Any, bob: Any, app: Any, make_project: Any) -> None:
    project = make_project("bob/own")
    assert_refused(api(root).delete("users/bob"), 409, "still has projects")
    assert_refused(api(root).delete("users/alice"), 409, "only owner of acme")
    assert_refused(api(root).delete("users/root"), 400, "yourself")
    project.route.delete()
    project.delete()
    theirs = api(bob)
    assert api(root).delete(f"users/{bob.pk}?hard_delete=true").status_code == 204
    assert_refused(theirs.get("user"), 401)
    assert_refused(api(root).get("users/bob"), 404)
    assert_refused(api(root).get("namespaces/bob"), 404)
    event = AuditEvent.objects.get(action="user.delete")
    assert (event.actor_name, event.target_path) == ("root", "bob")
    assert api(root).post("users", {**DORA, "username": "bob"}).status_code == 201


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_who_may_change(api: Api, alice: Any, bob: Any, method: str) -> None:
    assert_refused(api(alice)(method, f"users/{bob.pk}"), 403)
    assert_refused(api()(method, f"users/{bob.pk}"), 401)
    assert User.objects.filter(username="bob").exists()


@pytest.mark.parametrize("action", ["block", "unblock", "ban", "unban", "deactivate", "activate"])
def test_who_may_change_states(api: Api, alice: Any, root: Any, bob: Any, action: str) -> None:
    assert_refused(api(alice).post(f"users/{bob.pk}/{action}"), 403)
    assert_refused(api().post(f"users/{bob.pk}/{action}"), 401)
    assert_refused(api(root, "read_api").post(f"users/{bob.pk}/{action}"), 403)
    assert_refused(api(root).post(f"users/999999/{action}"), 404)
    bob.refresh_from_db()
    assert bob.state == "active"


def test_who_may_make_one(api: Api, alice: Any) -> None:
    assert_refused(api(alice).post("users", DORA), 403)
    assert_refused(api().post("users", DORA), 401)
