"""The page where strangers make an account."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from gitlab.accounts.models import User
from gitlab.accounts.sign_ups import services as sign_ups
from gitlab.mail.models import Message
from gitlab.refusals import Invalid
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


class TestDomains:
    """Only some domains may register, and the address is proven by a link."""

    @pytest.fixture(autouse=True)
    def domains(self, settings: Any, enqueued: Any) -> None:
        settings.SIGNUP_DOMAINS = ["example.com", "*.example.net"]
        settings.MAIL_ENABLED = True

    def link(self) -> str:
        text = Message.objects.latest("pk").text
        found = re.search(r"http://[^/\s]+(/users/sign_up/\S+)", text)
        assert found, text
        return found[1]

    def test_the_link_proves_the_address(self, client: Client) -> None:
        assert "example.com" in client.get(ADDRESS).content.decode()
        assert client.post(ADDRESS, {"email": "Nina@example.com"})["Location"] == "/users/sign_in"
        here = self.link()
        page = client.get(here).content.decode()
        assert "nina@example.com" in page
        assert 'name="email"' not in page
        given = GOOD | {"email": "somebody.else@example.com"}
        assert client.post(here, given)["Location"] == "/"
        user = User.objects.get(username="nina")
        assert (user.email, user.state) == ("nina@example.com", "active")

    @pytest.mark.parametrize(
        "email", ["a@example.org", "a@example.com.org", "a@example.net", "a@xexample.net"]
    )
    def test_other_domains(self, client: Client, email: str) -> None:
        page = client.post(ADDRESS, {"email": email})
        assert "Only addresses of example.com" in page.content.decode()
        assert not Message.objects.exists()

    def test_a_domain_below(self, client: Client) -> None:
        client.post(ADDRESS, {"email": "a@mail.example.net"})
        assert Message.objects.get().email == "a@mail.example.net"

    def test_nobody_learns_who_has_an_address(self, client: Client, alice: Any) -> None:
        answers = [
            client.post(ADDRESS, {"email": f"{name}@example.com"})["Location"]
            for name in ("alice", "nobody")
        ]
        assert answers == ["/users/sign_in"] * 2
        known, unknown = Message.objects.order_by("pk")
        assert "There is one already" in known.text
        assert "/users/sign_up/" not in known.text
        assert "/users/sign_up/" in unknown.text

    def test_a_few_links_an_hour(self, client: Client) -> None:
        for _ in range(5):
            answer = client.post(ADDRESS, {"email": "nina@example.com"})
            assert answer.status_code == 302
        assert Message.objects.count() == 3

    @pytest.mark.parametrize("token", ["x", "bmluYQ:1abc:xyz"])
    def test_a_link_that_was_made_up(self, client: Client, token: str) -> None:
        answer = client.post(f"{ADDRESS}/{token}", GOOD)
        assert answer.status_code == 404
        assert "This link is over" in answer.content.decode()
        assert not User.objects.exists()

    def test_it_ends(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        client.post(ADDRESS, {"email": "nina@example.com"})
        monkeypatch.setattr(sign_ups, "LINK_LASTS", -1)
        assert client.get(self.link()).status_code == 404

    def test_where_no_mail_is_sent_somebody_approves(self, client: Client, settings: Any) -> None:
        settings.MAIL_ENABLED = False
        other = client.post(ADDRESS, GOOD | {"email": "nina@example.org"})
        assert "Only addresses of" in other.content.decode()
        assert client.post(ADDRESS, GOOD)["Location"] == "/users/sign_in"
        assert User.objects.get(username="nina").is_pending
        assert "_auth_user_id" not in client.session


def test_only_some_domains(settings: Any) -> None:
    settings.SIGNUP_DOMAINS = ["example.org"]
    with pytest.raises(Invalid, match=r"Only addresses of example\.org"):
        sign_ups.sign_up(username="nina", email="nina@example.com", password=PASSWORD)


def test_twenty_an_hour(client: Client) -> None:
    for _ in range(20):
        assert client.post(ADDRESS, GOOD | {"username": "admin"}).status_code == 200
    answer = client.post(ADDRESS, GOOD)
    assert answer.status_code == 429
    assert answer["Retry-After"]
    assert not User.objects.exists()
