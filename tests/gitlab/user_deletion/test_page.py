"""The console's page, the API and the command that delete somebody with what they own."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from gitlab.accounts.models import User
from gitlab.user_deletion.models import UserDeletion

pytestmark = pytest.mark.django_db


@pytest.fixture
def tool(bob: Any, make_project: Any) -> Any:
    return make_project("bob/tool", owner=bob)


@pytest.fixture
def admin(root: Any) -> Client:
    client = Client()
    client.force_login(root)
    return client


def at(user: Any, page: str = "remove") -> str:
    return f"/admin/accounts/user/{user.pk}/{page}/"


def test_the_page(admin: Client, alice: Any, bob: Any, tool: Any, make_group: Any) -> None:
    make_group("acme", owner=bob)
    assert at(bob) in admin.get("/admin/people/bob/").content.decode()
    page = admin.get(at(bob)).content.decode()
    assert "bob/tool" in page
    assert "acme" in page
    wrong = admin.post(at(bob), {"becomes": "move", "heir": "nobody"}).content.decode()
    assert "There is nobody of this user name" in wrong
    done = admin.post(at(bob), {"becomes": "move", "heir": "@Alice"}, follow=True)
    assert "Under way" in done.content.decode()
    assert UserDeletion.objects.get().heir == alice
    stays = admin.post(at(bob, "keep"), follow=True).content.decode()
    assert "bob stays" in stays
    assert not UserDeletion.objects.exists()


def test_deleting_along(admin: Client, bob: Any, tool: Any) -> None:
    admin.post(at(bob), {"becomes": "delete"})
    assert not UserDeletion.objects.get().moves


def test_who_owns_nothing(admin: Client, bob: Any) -> None:
    page = admin.get(at(bob)).content.decode()
    assert 'name="heir"' not in page
    assert admin.post(at(bob))["Location"] == "/admin/people/"
    assert not User.objects.filter(username="bob").exists()


def test_for_administrators_alone(alice: Any, bob: Any, tool: Any) -> None:
    client = Client()
    client.force_login(alice)
    for page in ("remove", "keep"):
        assert client.post(at(bob, page), {"becomes": "delete"}).status_code in (302, 403)
    assert not UserDeletion.objects.exists()
    assert User.objects.get(username="bob").is_active


@pytest.mark.parametrize(("query", "moves"), [("hard_delete=true", False), ("move_to=Alice", True)])
def test_the_api(
    root: Any, alice: Any, bob: Any, tool: Any, make_token: Any, query: str, moves: bool
) -> None:
    token = {"HTTP_PRIVATE_TOKEN": make_token(root)}
    client = Client()
    here = f"/api/v4/users/{bob.pk}"
    assert client.delete(here, **token).status_code == 409
    assert client.delete(f"{here}?{query}", **token).status_code == 204
    assert UserDeletion.objects.get().moves is moves
    state = client.get(here, **token).json()["state"]
    assert state == "blocked"


def test_the_api_for_others(alice: Any, bob: Any, tool: Any, make_token: Any) -> None:
    answer = Client().delete(
        f"/api/v4/users/{bob.pk}?hard_delete=true", HTTP_PRIVATE_TOKEN=make_token(alice)
    )
    assert answer.status_code == 403


def test_the_command(root: Any, alice: Any, bob: Any, tool: Any) -> None:
    with pytest.raises(CommandError, match="choose what becomes of it"):
        call_command("users", "delete", "bob")
    out = StringIO()
    call_command("users", "delete", "bob", "--move-to", "alice", "--format", "json", stdout=out)
    assert json.loads(out.getvalue())["username"] == "bob"
    assert UserDeletion.objects.get().heir == alice
