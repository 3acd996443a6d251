"""The sign-in page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.accounts import services
from gitlab.audit import denials
from gitlab.audit.models import Denial
from tests.people import PASSWORD

ADDRESS = "/users/sign_in"
pytestmark = [pytest.mark.engineless, pytest.mark.django_db]


def sign_in(client: Client, login: str = "alice", password: Any = PASSWORD, **more: Any) -> Any:
    return client.post(ADDRESS, {"login": login, "password": password, **more})


def signed_in(client: Client) -> Any:
    return "_auth_user_id" in client.session


@pytest.mark.parametrize("login", ["alice", "ALICE", "alice@example.com"])
def test_it_works(client: Client, alice: Any, login: str) -> None:
    response = sign_in(client, login)

    assert response.status_code == 302
    assert response["Location"] == "/"
    assert client.session["_auth_user_id"] == str(alice.pk)


def test_it_is_usable_from_the_keyboard(client: Client) -> None:
    page = client.get(ADDRESS).content.decode()

    assert page.count("autofocus") == 1
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page


def test_it_gives_a_new_session(client: Client, alice: Any) -> None:
    client.get(ADDRESS)
    client.session["x"] = 1
    before = client.session.session_key

    sign_in(client)

    assert client.session.session_key != before


def test_it_says_the_same_whoever_it_is(client: Client, alice: Any, bob: Any) -> None:
    services.block(bob, by=None)
    pages = [sign_in(client, login, "wrong") for login in ["alice", "bob", "nobody"]]

    for page, login in zip(pages, ["alice", "bob", "nobody"], strict=True):
        assert page.status_code == 200
        assert "The name or the password is wrong." in page.content.decode()
        assert page.content.decode().count(login) == 1, "only where it was typed"
    assert not signed_in(client)


def test_who_is_blocked_is_told_so_for_the_right_password(client: Client, bob: Any) -> None:
    services.block(bob, by=None)

    assert "Your account is blocked. Ask an admin" in sign_in(client, "bob").content.decode()
    assert not signed_in(client)


@pytest.mark.parametrize("login", ["alice", "nobody"])
def test_it_shows_the_id_of_the_denial(client: Client, alice: Any, login: str) -> None:
    page = sign_in(client, login, password="wrong-secret").content.decode()
    denials.flush()
    assert f"(denial {Denial.objects.get().reference})" in page


def test_it_keeps_the_name_and_not_the_password(client: Client, alice: Any) -> None:
    page = sign_in(client, password="wrong-secret").content.decode()

    assert 'value="alice"' in page
    assert "wrong-secret" not in page


def test_it_makes_who_fails_too_often_wait(client: Client, alice: Any, settings: Any) -> None:
    settings.FAILED_LOGIN_LIMIT = 2
    for number in range(2):
        sign_in(client, password=f"wrong {number}")

    response = sign_in(client)

    assert response.status_code == 429
    assert 290 <= int(response["Retry-After"]) <= 300
    assert "Too many failed logins. Try again in 5 minutes." in response.content.decode()
    assert not signed_in(client)


@pytest.mark.parametrize("where", ["/acme/web", "/acme?q=a%20b"])
def test_it_goes_on_to_where_one_was_going(client: Client, alice: Any, where: str) -> None:
    page = client.get(ADDRESS, {"next": where})

    assert page.context["next"] == where
    assert sign_in(client, next=where)["Location"] == where


@pytest.mark.parametrize(
    "where",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", ""],
)
def test_it_goes_nowhere_else(client: Client, alice: Any, where: str) -> None:
    assert sign_in(client, next=where)["Location"] == "/"


def test_who_is_signed_in_goes_on(client: Client, alice: Any) -> None:
    client.force_login(alice)

    assert client.get(ADDRESS, {"next": "/acme"})["Location"] == "/acme"


def test_it_wants_a_csrf_token(alice: Any) -> None:
    from django.test import Client

    assert sign_in(Client(enforce_csrf_checks=True)).status_code == 403


def test_it_offers_an_account_only_where_there_is_one(client: Client, settings: Any) -> None:
    settings.SIGNUP_ENABLED = False
    assert "/users/sign_up" not in client.get(ADDRESS).content.decode()

    settings.SIGNUP_ENABLED = True
    assert "/users/sign_up" in client.get(ADDRESS).content.decode()


def test_it_is_never_cached(client: Client) -> None:
    assert "no-store" in client.get(ADDRESS)["Cache-Control"]


class TestSignOut:
    ADDRESS = "/users/sign_out"

    def test_it_works(self, client: Client, alice: Any) -> None:
        client.force_login(alice)

        response = client.post(self.ADDRESS)

        assert response["Location"] == ADDRESS
        assert not signed_in(client)

    def test_a_link_asks_first(self, client: Client, alice: Any) -> None:
        client.force_login(alice)

        page = client.get(self.ADDRESS)

        assert "Sign out?" in page.content.decode()
        assert signed_in(client)

    def test_a_visitor_is_out_already(self, client: Client) -> None:
        assert client.get(self.ADDRESS)["Location"] == ADDRESS
