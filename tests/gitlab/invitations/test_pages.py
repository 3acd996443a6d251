"""The pages of who invites, and of who has the link."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.accounts.models import User
from gitlab.invitations import services
from gitlab.invitations.models import Invitation
from gitlab.mail.models import Message
from gitlab.namespaces import members
from gitlab.namespaces.models import Member
from tests.gitlab.invitations.links import GUEST, link
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db

HERE = "/acme/app/-/project_members/invitations"


def of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_inviting(alice: Any, app: Any) -> None:
    client = of(alice)
    assert f'href="{HERE}"' in client.get("/acme/app/-/project_members").content.decode()
    assert "Nobody is invited" in client.get(HERE).content.decode()
    done = client.post(HERE, {"email": GUEST, "access_level": 30})
    assert done["Location"] == HERE
    page = client.get(HERE).content.decode()
    assert GUEST in page
    assert "Developer" in page
    assert link().rpartition("/")[2] not in page
    again = client.post(HERE, {"email": GUEST, "access_level": 30})
    assert "invited already" in again.content.decode()


def test_of_a_group(alice: Any, app: Any) -> None:
    here = "/groups/acme/-/group_members/invitations"
    of(alice).post(here, {"email": GUEST, "access_level": 20})
    assert Invitation.objects.get().namespace == app.namespace
    assert GUEST in of(alice).get(here).content.decode()


def test_sending_again_and_withdrawing(alice: Any, app: Any) -> None:
    services.invite(alice, app, GUEST, 30)
    pk = Invitation.objects.get().pk
    client = of(alice)
    assert client.post(f"{HERE}/{pk}/send")["Location"] == HERE
    assert Message.objects.count() == 2
    assert "Withdraw the invitation" in client.get(f"{HERE}/{pk}/withdraw").content.decode()
    assert client.post(f"{HERE}/{pk}/withdraw")["Location"] == HERE
    assert not Invitation.objects.exists()
    assert client.post(f"{HERE}/{pk}/send").status_code == 404


@pytest.mark.parametrize("path", ["", "/1/send", "/1/withdraw"])
def test_who_may_not(bob: Any, mallory: Any, alice: Any, app: Any, path: str) -> None:
    members.add_member(alice, app, bob, 30)
    assert of(bob).post(f"{HERE}{path}", {}).status_code == 403
    assert of(mallory).post(f"{HERE}{path}", {}).status_code == 404
    assert "sign_in" in Client().post(f"{HERE}{path}", {})["Location"]


def test_of_another_project(alice: Any, bob: Any, app: Any, make_project: Any) -> None:
    make_project("bob/tool", owner=bob)
    services.invite(alice, app, GUEST, 30)
    pk = Invitation.objects.get().pk
    answer = of(bob).post(f"/bob/tool/-/project_members/invitations/{pk}/withdraw")
    assert answer.status_code == 404
    assert Invitation.objects.exists()


def test_where_no_mail_is_sent(alice: Any, app: Any, settings: Any) -> None:
    settings.MAIL_ENABLED = False
    page = of(alice).get(HERE).content.decode()
    assert "Nobody is invited by mail here" in page
    assert 'name="email"' not in page


def test_accepting(alice: Any, bob: Any, app: Any) -> None:
    services.invite(alice, app, GUEST, 30)
    client = of(bob)
    page = client.get(link()).content.decode()
    assert "You accept it as @bob" in page
    assert not Member.objects.filter(user=bob).exists(), "looking is not accepting"
    assert client.post(link())["Location"] == "/acme/app"
    assert Member.objects.get(user=bob).access_level == 30
    again = client.get(link())
    assert again.status_code == 404
    assert "This invitation is over" in again.content.decode()


def test_a_visitor_signs_in_first(alice: Any, bob: Any, app: Any) -> None:
    services.invite(alice, app, GUEST, 30)
    client = Client()
    page = client.get(link()).content.decode()
    assert "Sign in and accept" in page
    assert "Create an account" not in page
    assert "ask an administrator" in page
    client.post(link())
    assert Invitation.objects.exists()
    credentials = {"login": "bob", "password": PASSWORD, "next": link()}
    assert client.post("/users/sign_in", credentials)["Location"] == link()


def test_a_new_account(root: Any, app: Any) -> None:
    services.invite(root, app, GUEST, 30)
    client = Client()
    assert "Create an account" in client.get(link()).content.decode()
    here = f"{link()}/sign_up"
    assert GUEST in client.get(here).content.decode()
    weak = {"name": "Dora", "username": "dora", "password": "short"}
    assert "at least" in client.post(here, weak).content.decode()
    done = client.post(here, weak | {"password": "seven herons at low tide"})
    assert done["Location"] == "/acme/app"
    assert client.get("/acme/app").status_code == 200
    assert User.objects.get(username="dora").email == GUEST


def test_no_new_account_where_none_is_made(alice: Any, app: Any) -> None:
    services.invite(alice, app, GUEST, 30)
    given = {"name": "Dora", "username": "dora", "password": "seven herons at low tide"}
    assert Client().post(f"{link()}/sign_up", given)["Location"] == link()
    assert not User.objects.filter(username="dora").exists()


def test_declining(alice: Any, app: Any) -> None:
    services.invite(alice, app, GUEST, 30)
    client = Client()
    assert client.get(f"{link()}/decline").status_code == 405
    assert client.post(f"{link()}/decline")["Location"] == "/users/sign_in"
    assert not Invitation.objects.exists()
    assert client.post(f"{link()}/decline").status_code == 404


@pytest.mark.parametrize("page", ["", "/sign_up"])
def test_a_link_that_was_made_up(db: None, page: str) -> None:
    answer = Client().get(f"/-/invites/{'x' * 43}{page}")
    assert answer.status_code == 404
    assert "This invitation is over" in answer.content.decode()
