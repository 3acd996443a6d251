"""Signing in by OpenID Connect: the way there and back, and who does not come in by it."""

from __future__ import annotations

import base64
import hashlib
import html
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from gitlab.accounts import failed_logins
from gitlab.accounts.models import User
from gitlab.identity_providers import openid_connect, views
from gitlab.identity_providers.models import Identity
from tests.gitlab.identity_providers.played_provider import (
    BACK,
    BEGIN,
    PERSON,
    PlayedProvider,
    unsigned,
)
from tests.played_issuer import send

pytestmark = pytest.mark.django_db

Come = Callable[..., Any]


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def said(client: Client) -> str:
    """What the sign-in page says."""
    return html.unescape(client.get("/users/sign_in").content.decode())


class TestTheWay:
    def test_there_and_back(self, client: Client, provider: PlayedProvider) -> None:
        asked = provider.asked_with(client, back="/explore")
        assert asked["redirect_uri"] == openid_connect.callback_url("sso")
        assert asked["response_type"] == "code"
        assert asked["scope"].split() == ["openid", "profile", "email"]
        provider.claims = {**PERSON, "nonce": asked["nonce"]}
        answer = client.get(BACK, {"code": "the-code", "state": asked["state"]})
        assert (answer.status_code, answer["Location"]) == (302, "/explore")
        assert is_in(client)
        sent = provider.forms[-1]
        assert sent["code"] == "the-code"
        digest = hashlib.sha256(sent["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        assert (asked["code_challenge"], asked["code_challenge_method"]) == (challenge, "S256")
        user = User.objects.get(username="dora")
        assert (user.email, user.name, user.has_usable_password()) == (
            "dora@example.com",
            "Dora",
            False,
        )

    def test_the_button(self, client: Client, provider: PlayedProvider) -> None:
        provider.settle(label="Company <account>")
        page = client.get("/users/sign_in").content.decode()
        assert "Continue with Company &lt;account&gt;" in page
        assert f'href="{BEGIN}?next=%2F"' in page

    def test_no_button_without_a_provider(self, client: Client, db: None) -> None:
        assert "/users/auth/" not in said(client)
        assert client.get(BEGIN).status_code == 404
        assert client.get(BACK).status_code == 404

    def test_each_question_is_another(self, client: Client, provider: PlayedProvider) -> None:
        one, two = provider.asked_with(client), provider.asked_with(client)
        assert not {one[key] for key in ("state", "nonce", "code_challenge")} & set(two.values())

    def test_the_way_on_stays_here(self, client: Client, provider: PlayedProvider) -> None:
        assert provider.come(client, back="https://evil.example/")["Location"] == "/"

    def test_a_session_has_few_under_way(self, client: Client, provider: PlayedProvider) -> None:
        first = provider.asked_with(client)
        for _ in range(10):
            provider.asked_with(client)
        assert len(client.session["identity_questions"]) == 10
        assert client.get(BACK, {"code": "c", "state": first["state"]})["Location"] == (
            "/users/sign_in"
        )

    def test_a_visitor_is_not_sent_there_without_an_end(
        self, client: Client, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each time the provider is asked, and a session is written."""
        allowed = failed_logins.Kind("questions", (failed_logins.Rate(2, 3600.0),))
        monkeypatch.setattr(failed_logins, "_QUESTIONS", allowed)
        assert all(provider.asked_with(Client()) for _ in range(2))
        assert client.get(BEGIN)["Location"] == "/users/sign_in"
        assert "Too many attempts" in said(client)
        assert client.get(BEGIN, REMOTE_ADDR="198.51.100.9")["Location"] != "/users/sign_in"

    def test_the_session_of_a_visitor_ends_with_the_question(
        self, client: Client, provider: PlayedProvider
    ) -> None:
        asked = provider.asked_with(client)
        assert client.session.get_expiry_age() <= 600
        provider.claims = {**PERSON, "nonce": asked["nonce"]}
        client.get(BACK, {"code": "the-code", "state": asked["state"]})
        assert is_in(client)
        assert client.session.get_expiry_age() > 600

    def test_claims_of_the_userinfo_endpoint(self, provider: PlayedProvider, come: Come) -> None:
        provider.userinfo(**PERSON)
        come(email=None, email_verified=None, preferred_username=None, name=None)
        assert User.objects.get(username="dora").name == "Dora"

    def test_a_provider_that_does_not_answer(
        self, client: Client, provider: PlayedProvider
    ) -> None:
        provider.configuration["issuer"] = "https://other.example"
        assert client.get(BEGIN)["Location"] == "/users/sign_in"
        assert views.UNAVAILABLE in said(client)


class TestWhatDoesNotCount:
    """Nobody comes in, nobody is made, and the page does not say why."""

    @pytest.fixture(autouse=True)
    def nobody_comes_in(self, client: Client, provider: PlayedProvider) -> Any:
        yield
        assert not is_in(client)
        assert not User.objects.filter(username="dora").exists()

    @pytest.mark.parametrize(
        "claims",
        [
            {"nonce": "another"},
            {"nonce": None},
            {"nonce": 1},
            {"aud": "another"},
            {"aud": ["berth", "another"]},
            {"aud": None},
            {"iss": "https://other.example"},
            {"azp": "another"},
            {"sub": None},
            {"sub": ""},
            {"sub": "x" * 256},
            {"exp": 1},
            {"iat": 2**33},
            {"groups": 7},
            {"_claim_names": {"groups": "src1"}},
        ],
        ids=str,
    )
    def test_claims(self, come: Come, client: Client, claims: dict[str, Any]) -> None:
        assert come(**claims)["Location"] == "/users/sign_in"
        assert views.REFUSED in said(client)

    def test_an_unsigned_token(self, provider: PlayedProvider, come: Come, client: Client) -> None:
        now = int(time.time())
        fixed = {"iss": provider.url, "aud": "berth", "iat": now, "exp": now + 60}
        provider.id_token = lambda: unsigned({**provider.claims, **fixed})
        come()
        assert views.REFUSED in said(client)

    @pytest.mark.parametrize("how", [{"number": 1}, {"algorithm": "RS256"}], ids=str)
    def test_a_key_that_is_not_the_providers(
        self, provider: PlayedProvider, come: Come, how: dict[str, Any]
    ) -> None:
        provider.id_token = lambda: provider.token(
            "berth", headers={"kid": "ES256-0"}, **how, **provider.claims
        )
        come()

    def test_a_secret_as_a_key(self, provider: PlayedProvider, come: Come) -> None:
        import jwt

        provider.id_token = lambda: jwt.encode(
            {**provider.claims, "iss": provider.url, "aud": "berth"}, "x" * 64, "HS256"
        )
        come()

    def test_no_token(self, provider: PlayedProvider, come: Come) -> None:
        provider.answers["/token"] = lambda handler: send(handler, {"access_token": "a"})
        come()

    def test_userinfo_of_somebody_else(self, provider: PlayedProvider, come: Come) -> None:
        provider.userinfo(**{**PERSON, "sub": "2"})
        come()

    @pytest.mark.parametrize("state", ["", "guessed"])
    def test_a_state_of_nobody(self, client: Client, provider: PlayedProvider, state: str) -> None:
        provider.asked_with(client)
        client.get(BACK, {"code": "c", "state": state})
        assert not provider.forms
        assert views.LATE in said(client)

    def test_a_state_of_another_browser(self, client: Client, provider: PlayedProvider) -> None:
        """Whoever gets a victim to follow a link of theirs would sign them in as themselves."""
        asked = provider.asked_with(Client())
        client.get(BACK, {"code": "c", "state": asked["state"]})
        assert not provider.forms

    def test_a_state_of_another_provider(
        self, client: Client, provider: PlayedProvider, settings: Any
    ) -> None:
        settings.IDENTITY_PROVIDERS["other"] = settings.IDENTITY_PROVIDERS["sso"]
        asked = provider.asked_with(client)
        client.get("/users/auth/other/callback", {"code": "c", "state": asked["state"]})
        assert not provider.forms

    def test_an_answer_that_is_late(
        self, client: Client, provider: PlayedProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = provider.asked_with(client)
        late = time.time() + 601
        monkeypatch.setattr(views.time, "time", lambda: late)
        client.get(BACK, {"code": "c", "state": asked["state"]})
        assert not provider.forms

    def test_an_answer_of_another_issuer(self, client: Client, provider: PlayedProvider) -> None:
        asked = provider.asked_with(client)
        answer = {"code": "c", "state": asked["state"], "iss": "https://other.example"}
        client.get(BACK, answer)
        assert not provider.forms

    def test_an_answer_without_the_issuer_that_was_promised(
        self, client: Client, provider: PlayedProvider
    ) -> None:
        provider.configuration["authorization_response_iss_parameter_supported"] = True
        asked = provider.asked_with(client)
        client.get(BACK, {"code": "c", "state": asked["state"]})
        assert not provider.forms

    def test_who_has_said_no(self, client: Client, provider: PlayedProvider) -> None:
        asked = provider.asked_with(client)
        client.get(BACK, {"error": "access_denied", "state": asked["state"]})
        assert not provider.forms
        assert views.REFUSED in said(client)

    def test_an_answer_without_an_end(self, provider: PlayedProvider, come: Come) -> None:
        provider.answers["/token"] = lambda handler: send(handler, {"x": "y" * 600_000})
        come()


def test_an_answer_counts_once(client: Client, provider: PlayedProvider) -> None:
    asked = provider.asked_with(client)
    provider.claims = {**PERSON, "nonce": asked["nonce"]}
    answer = {"code": "c", "state": asked["state"]}
    client.get(BACK, answer)
    assert is_in(client)
    client.post("/users/sign_out")
    client.get(BACK, answer)
    assert not is_in(client)
    assert len(provider.forms) == 1
    assert Identity.objects.count() == 1


def test_a_public_client_sends_no_secret(client: Client, provider: PlayedProvider) -> None:
    provider.settle(create_users=True, client_secret=None)
    provider.come(client)
    assert is_in(client)
    assert provider.forms[-1]["client_id"] == "berth"
    assert "client_secret" not in provider.forms[-1]
