"""Two factors: setting them up, signing in with them, what a password alone still does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from gitlab.accounts import sign_in
from gitlab.accounts.adapters import AccountAdapter
from gitlab.accounts.factors import services
from gitlab.audit import denials
from gitlab.audit.models import AuditEvent, Denial
from gitlab.refusals import Forbidden
from tests.gitlab.accounts.factors import code_of, recovery_codes, set_up_app
from tests.people import PASSWORD, basic
from tokens import limiter_stores

pytestmark = pytest.mark.django_db

SIGN_IN = "/users/sign_in"
SECOND = "/users/sign_in/two_factor"
SET_UP = "/-/user_settings/two_factor"
CONFIRM = "/users/confirm"
WRONG = "This code is wrong, or was used before."


@pytest.fixture
def played_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A clock that stands in the middle of one of the app's half minutes, until it is moved."""
    now = [1_800_000_015.0]
    monkeypatch.setattr("allauth.mfa.totp.internal.auth.time.time", lambda: now[0])
    return now


def password(client: Client, login: str = "alice", **more: Any) -> Any:
    return client.post(SIGN_IN, {"login": login, "password": PASSWORD, **more})


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def confirmed(client: Client, user: Any) -> Client:
    """Signed in, and the password said once more."""
    client.force_login(user)
    assert client.get(f"{SET_UP}/app")["Location"].startswith(CONFIRM)
    assert client.post(CONFIRM, {"password": PASSWORD}).status_code == 302
    return client


def actions(user: Any) -> list[str]:
    return list(AuditEvent.objects.filter(target_id=user.pk).values_list("action", flat=True))


class TestSettingUp:
    def test_an_app(self, client: Client, alice: Any) -> None:
        confirmed(client, alice)
        page = client.get(f"{SET_UP}/app")
        secret = page.context["form"].secret
        assert secret in page.content.decode()

        done = client.post(f"{SET_UP}/app", {"code": code_of(secret)})

        assert done["Location"] == f"{SET_UP}/codes"
        assert is_in(client)
        assert actions(alice)[0] == "user.add_factor"
        codes = client.get(f"{SET_UP}/codes").content.decode()
        assert all(code in codes for code in recovery_codes(alice))
        again = client.get(f"{SET_UP}/codes").content.decode()
        assert not any(code in again for code in recovery_codes(alice))

    def test_a_wrong_code_sets_nothing_up(self, client: Client, alice: Any) -> None:
        confirmed(client, alice)
        client.get(f"{SET_UP}/app")

        assert client.post(f"{SET_UP}/app", {"code": "000"}).status_code == 200
        assert services.of(alice) == []

    def test_other_sessions_end(self, client: Client, alice: Any) -> None:
        other = Client()
        other.force_login(alice)
        confirmed(client, alice)
        secret = client.get(f"{SET_UP}/app").context["form"].secret

        client.post(f"{SET_UP}/app", {"code": code_of(secret)})

        assert client.get(SET_UP).status_code == 200
        assert other.get(SET_UP)["Location"].startswith(SIGN_IN)

    @pytest.mark.parametrize("page", ["app", "app/remove", "passkeys/new", "codes", "codes/new"])
    def test_it_wants_the_password_again(self, client: Client, alice: Any, page: str) -> None:
        set_up_app(alice)
        client.force_login(alice)

        if page == "app":
            Authenticator.objects.all().delete()
        assert client.get(f"{SET_UP}/{page}")["Location"].startswith(CONFIRM)

    @pytest.mark.parametrize("page", ["", "/app", "/app/remove", "/passkeys/new", "/codes"])
    def test_a_visitor_signs_in_first(self, client: Client, page: str) -> None:
        assert client.get(f"{SET_UP}{page}")["Location"].startswith(SIGN_IN)

    def test_a_stolen_copy_of_the_database_holds_no_secret(self, alice: Any) -> None:
        secret = set_up_app(alice)
        assert secret not in str(list(Authenticator.objects.values_list("data", flat=True)))

    def test_removing_the_last_takes_the_recovery_codes(self, client: Client, alice: Any) -> None:
        set_up_app(alice)
        client.force_login(alice)
        client.get(f"{SET_UP}/app/remove")
        client.post(CONFIRM, {"password": PASSWORD})
        page = client.get(f"{SET_UP}/app/remove").content.decode()
        assert "Remove the authenticator app?" in page

        assert client.post(f"{SET_UP}/app/remove")["Location"] == SET_UP
        assert services.of(alice) == []
        assert actions(alice)[0] == "user.remove_factor"

    def test_new_codes_take_the_place_of_the_old(self, client: Client, alice: Any) -> None:
        set_up_app(alice)
        before = recovery_codes(alice)
        client.force_login(alice)
        client.get(f"{SET_UP}/codes/new")
        client.post(CONFIRM, {"password": PASSWORD})

        client.post(f"{SET_UP}/codes/new")

        assert not set(before) & set(recovery_codes(alice))
        assert actions(alice)[0] == "user.new_recovery_codes"

    def test_gitlabs_address_leads_here(self, client: Client, alice: Any) -> None:
        client.force_login(alice)
        assert client.get("/-/profile/two_factor_auth")["Location"] == SET_UP


class TestSigningIn:
    def test_the_password_alone_is_half_the_way(self, client: Client, alice: Any) -> None:
        secret = set_up_app(alice)

        assert password(client, next="/acme")["Location"] == SECOND
        assert not is_in(client)
        assert client.get("/-/user_settings/profile")["Location"].startswith(SIGN_IN)
        assert client.get(SECOND).status_code == 200
        assert client.post(SECOND, {"code": code_of(secret)})["Location"] == "/acme"
        assert is_in(client)

    def test_a_code_of_another_is_wrong(self, client: Client, alice: Any, bob: Any) -> None:
        set_up_app(alice)
        secret = set_up_app(bob)
        password(client)

        answer = client.post(SECOND, {"code": code_of(secret)})

        assert WRONG in answer.content.decode()
        assert not is_in(client)

    def test_blanks_in_a_code_do_no_harm(self, client: Client, alice: Any) -> None:
        code = code_of(set_up_app(alice))
        password(client)
        client.post(SECOND, {"code": f"{code[:3]} {code[3:]}"})
        assert is_in(client)

    def test_a_code_counts_once(self, alice: Any, played_time: Any) -> None:
        """RFC 6238, section 5.2. Nor does one from before the last count."""
        secret = set_up_app(alice)
        before, now, after = (self._code(secret, played_time, step) for step in (-1, 0, 1))

        assert services.check_code(alice, now)
        assert services.check_code(alice, now) is None
        assert services.check_code(alice, before) is None
        assert services.check_code(alice, after)

    @staticmethod
    def _code(secret: str, now: Any, step: int) -> str:
        from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

        return format_hotp_value(hotp_value(secret, int(now[0]) // 30 + step))

    def test_a_recovery_code_counts_once(self, client: Client, alice: Any) -> None:
        set_up_app(alice)
        code = recovery_codes(alice)[3]
        password(client)
        client.post(SECOND, {"code": code})
        assert is_in(client)
        assert "user.use_recovery_code" in actions(alice)

        other = Client()
        password(other)
        assert WRONG in other.post(SECOND, {"code": code}).content.decode()

    def test_who_guesses_codes_has_to_wait(self, client: Client, alice: Any, settings: Any) -> None:
        settings.FAILED_LOGIN_LIMIT = 3
        secret = set_up_app(alice)
        password(client)
        for _ in range(3):
            assert client.post(SECOND, {"code": "x"}).status_code == 200

        answer = client.post(SECOND, {"code": code_of(secret)})

        assert answer.status_code == 429
        assert int(answer["Retry-After"]) > 60
        assert not is_in(client)

    def test_the_owner_gets_in_meanwhile_from_elsewhere(
        self, client: Client, alice: Any, settings: Any
    ) -> None:
        """Who knows the password alone locks nobody out: not at another address."""
        settings.FAILED_LOGIN_LIMIT = 3
        secret = set_up_app(alice)
        thief = Client(REMOTE_ADDR="192.0.2.66")
        password(thief)
        for _ in range(4):
            thief.post(SECOND, {"code": "x"})
        assert thief.post(SECOND, {"code": "x"}).status_code == 429

        password(client)
        client.post(SECOND, {"code": code_of(secret)})
        assert is_in(client)

    @pytest.mark.parametrize("field", ["code", "credential"])
    def test_a_wrong_factor_leaves_a_denial(self, client: Client, alice: Any, field: str) -> None:
        set_up_app(alice)
        password(client)
        sent = {"code": "000000", "credential": '{"id": "x"}'}
        page = client.post(SECOND, {field: sent[field]})
        assert page.status_code == 200
        denials.flush()
        (row,) = Denial.objects.all()
        assert (row.person_pk, row.name, row.credential) == (alice.pk, "alice", "second factor")
        assert "wrong" in row.reason
        if field == "code":
            assert row.reference in page.content.decode()
        assert "000000" not in str(vars(row))
        event = AuditEvent.objects.get(action="user.fail_sign_in")
        assert event.person_pk == alice.pk

    def test_nobody_comes_to_the_second_step_first(self, client: Client, alice: Any) -> None:
        secret = set_up_app(alice)
        assert client.get(SECOND)["Location"] == SIGN_IN
        assert client.post(SECOND, {"code": code_of(secret)})["Location"] == SIGN_IN
        assert not is_in(client)

    def test_who_was_deactivated_is_so_until_the_second_step(
        self, client: Client, alice: Any, root: Any
    ) -> None:
        from gitlab.accounts import services as accounts

        secret = set_up_app(alice)
        accounts.deactivate(alice, by=root)
        password(client)
        alice.refresh_from_db()
        assert not alice.is_active

        client.post(SECOND, {"code": code_of(secret)})

        alice.refresh_from_db()
        assert alice.is_active
        assert is_in(client)

    def test_whose_account_is_blocked_meanwhile_stays_out(
        self, client: Client, alice: Any, root: Any
    ) -> None:
        from gitlab.accounts import services as accounts

        secret = set_up_app(alice)
        password(client)
        accounts.block(alice, by=root)

        client.post(SECOND, {"code": code_of(secret)})

        assert client.get("/-/user_settings/profile")["Location"].startswith(SIGN_IN)

    def test_the_page_offers_a_passkey(self, client: Client) -> None:
        page = client.get(SIGN_IN).content.decode()
        assert 'data-passkey="loginForm"' in page
        answer = client.get("/users/sign_in/passkey", headers={"Accept": "application/json"})
        options = answer.json()["request_options"]["publicKey"]
        assert options["userVerification"] == "required"
        assert options["rpId"] == "localhost"

    def test_asking_for_a_passkey_leaves_little(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each leaves a session, which a visitor must not make without an end."""
        still = SimpleNamespace(time=lambda: 1_800_000_000.0)
        monkeypatch.setattr(limiter_stores, "time", still)
        ask = {"headers": {"Accept": "application/json"}}
        client.get("/users/sign_in/passkey", **ask)
        left = Session.objects.get().expire_date - timezone.now()
        assert left <= dt.timedelta(minutes=10)
        answers = [Client().get("/users/sign_in/passkey", **ask).status_code for _ in range(30)]
        assert answers[-1] == 429
        assert Session.objects.count() < 35

    def test_who_has_signed_in_stays_in(self, client: Client, alice: Any) -> None:
        client.get("/users/sign_in/passkey", headers={"Accept": "application/json"})
        password(client)
        assert is_in(client)
        assert client.session.get_expiry_age() > 86_400

    @pytest.mark.parametrize("state", ["blocked", "deactivated", "blocked_pending_approval"])
    def test_a_passkey_opens_no_closed_account(self, rf: Any, alice: Any, state: str) -> None:
        """Nor does any other way of signing in: each ends in this."""
        alice.state = state
        request = rf.get("/")
        request._messages = CookieStorage(request)
        refused = AccountAdapter(request).pre_login(request, alice)
        assert (refused is not None) == (state != "deactivated")

    @pytest.mark.parametrize(
        "sent",
        ["", "{}", "[]", "null", "[1]", '"x"', '{"id": "x"}', '{"response": {}}', "x" * 10_000],
    )
    def test_what_is_no_passkey_is_refused(self, client: Client, alice: Any, sent: str) -> None:
        client.get("/users/sign_in/passkey", headers={"Accept": "application/json"})
        answer = client.post("/users/sign_in/passkey", {"credential": sent})
        assert answer["Location"] == SIGN_IN
        assert not is_in(client)


class TestPasswordAlone:
    def docker(self, client: Client, secret: str = PASSWORD) -> Any:
        return client.get(
            "/jwt/auth?service=container_registry",
            headers={"Authorization": basic("alice", secret)},
        )

    def test_docker_is_told_of_tokens(self, client: Client, alice: Any, make_token: Any) -> None:
        assert self.docker(client).status_code == 200
        set_up_app(alice)

        refused = self.docker(client)

        assert refused.status_code == 401
        message = refused.json()["errors"][0]["message"]
        assert "access token" in message
        assert "/-/user_settings/personal_access_tokens" in message

    def test_a_wrong_password_learns_nothing(self, client: Client, alice: Any) -> None:
        before = self.docker(client, "wrong").json()
        set_up_app(alice)
        assert self.docker(client, "wrong").json() == before

    def test_it_is_no_guess(self, client: Client, alice: Any, settings: Any) -> None:
        settings.FAILED_LOGIN_LIMIT = 2
        set_up_app(alice)
        assert [self.docker(client).status_code for _ in range(5)] == [401] * 5

    def test_no_other_door_takes_it(self, client: Client, alice: Any) -> None:
        set_up_app(alice)
        with pytest.raises(sign_in.TokenNeeded):
            sign_in.verify("alice", PASSWORD, address="")
        assert not client.login(username="alice", password=PASSWORD)


class TestTakenAway:
    def test_by_an_administrator(self, alice: Any, root: Any, client: Client) -> None:
        set_up_app(alice)
        assert services.remove_all(alice, by=root) == 2
        assert actions(alice)[0] == "user.remove_factors"
        password(client)
        assert is_in(client)

    def test_by_nobody_else(self, alice: Any, bob: Any) -> None:
        set_up_app(alice)
        with pytest.raises(Forbidden):
            services.remove_all(alice, by=bob)
        assert services.of(alice)


class TestApi:
    def test_who_has_a_factor(self, client: Client, alice: Any, bob: Any, root: Any) -> None:
        set_up_app(alice)
        client.force_login(root)
        assert client.get(f"/api/v4/users/{alice.pk}").json()["two_factor_enabled"] is True
        assert client.get(f"/api/v4/users/{bob.pk}").json()["two_factor_enabled"] is False
        enabled = client.get("/api/v4/users?two_factor=enabled").json()
        assert [user["username"] for user in enabled] == ["alice"]
        disabled = client.get("/api/v4/users?two_factor=disabled").json()
        assert {user["username"] for user in disabled} >= {"bob", "root"}

    def test_a_list_costs_no_query_more(
        self, client: Client, alice: Any, bob: Any, root: Any, django_assert_max_num_queries: Any
    ) -> None:
        client.force_login(root)
        client.get("/api/v4/users")
        with django_assert_max_num_queries(5):
            assert len(client.get("/api/v4/users").json()) >= 3

    def test_nobody_else_learns_it(self, client: Client, alice: Any, bob: Any) -> None:
        set_up_app(alice)
        client.force_login(bob)
        assert "two_factor_enabled" not in client.get(f"/api/v4/users/{alice.pk}").json()
        assert len(client.get("/api/v4/users?two_factor=enabled").json()) >= 2

    def test_an_administrator_takes_them_away(self, client: Client, alice: Any, root: Any) -> None:
        set_up_app(alice)
        address = f"/api/v4/users/{alice.pk}/disable_two_factor"
        client.force_login(alice)
        assert client.patch(address).status_code == 403
        client.force_login(root)
        assert client.patch(address).status_code == 204
        assert services.of(alice) == []
        assert client.patch(address).status_code == 400
        assert client.patch("/api/v4/users/999999/disable_two_factor").status_code == 404
