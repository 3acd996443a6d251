"""The page where strangers make an account."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.accounts.models import User
from tests.people import PASSWORD

ADDRESS = "/users/sign_up"
GOOD = {
    "name": "Nina Newcomer",
    "username": "nina",
    "email": "nina@example.com",
    "password": PASSWORD,
}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def enabled(settings: Any) -> None:
    settings.SIGNUP_ENABLED = True


def test_it_works(client: Client) -> None:
    response = client.post(ADDRESS, GOOD)

    user = User.objects.get(username="nina")
    assert response["Location"] == "/"
    assert client.session["_auth_user_id"] == str(user.pk)
    assert not user.is_superuser
    assert user.namespace.full_path == "nina"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "a b"),
        ("username", "admin"),
        ("username", "alice"),
        ("email", "alice@example.com"),
        ("email", "nowhere"),
        ("password", "12345678"),
        ("password", ""),
        ("name", ""),
    ],
)
def test_it_refuses_at_the_field(client: Client, alice: Any, field: str, value: str) -> None:
    page = client.post(ADDRESS, GOOD | {field: value})

    assert page.status_code == 200
    assert page.context["form"].errors.keys() == {field}
    assert PASSWORD not in page.content.decode()
    assert not User.objects.filter(username="nina").exists()


@pytest.mark.parametrize("extra", [{"is_superuser": "on"}, {"external": ""}, {"state": "x"}])
def test_it_takes_nothing_else(client: Client, extra: Any) -> None:
    client.post(ADDRESS, GOOD | extra)

    user = User.objects.get(username="nina")
    assert (user.is_superuser, user.external, user.state) == (False, False, "active")


def test_it_is_not_there_where_it_is_off(client: Client, settings: Any) -> None:
    settings.SIGNUP_ENABLED = False

    assert client.get(ADDRESS).status_code == 404
    assert client.post(ADDRESS, GOOD).status_code == 404
    assert not User.objects.exists()


def test_who_is_signed_in_needs_none(client: Client, alice: Any) -> None:
    client.force_login(alice)

    assert client.get(ADDRESS)["Location"] == "/"
