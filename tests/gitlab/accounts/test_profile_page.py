"""Name and e-mail address, and the password."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import Client

from gitlab.ui.decorators import SIGNED_IN_AT
from tests.people import PASSWORD

PROFILE = "/-/user_settings/profile"
CHANGE = "/-/user_settings/password"
NEW = "another-staple-entirely"
pytestmark = [pytest.mark.engineless, pytest.mark.django_db]


@pytest.mark.parametrize("address", [PROFILE, CHANGE])
def test_strangers_sign_in_first(client: Client, address: Any) -> None:
    assert client.get(address)["Location"] == f"/users/sign_in?next={address}"


class TestProfile:
    def test_it_works(self, client: Client, alice: Any) -> None:
        client.force_login(alice)

        response = client.post(PROFILE, {"name": "Alice M.", "email": "A@example.org"})

        alice.refresh_from_db()
        assert response["Location"] == PROFILE
        assert (alice.name, alice.email) == ("Alice M.", "a@example.org")
        assert "Your profile is saved." in client.get(PROFILE).content.decode()

    def test_another_address_asks_who_it_is_first(self, client: Client, alice: Any) -> None:
        """By the address whoever sits at an unlocked screen would set a password."""
        client.force_login(alice)
        session = client.session
        session[SIGNED_IN_AT] = time.time() - 3600
        session.save()

        response = client.post(PROFILE, {"name": "Alice", "email": "mallory@example.org"})
        client.post(PROFILE, {"name": "Alice M.", "email": "Alice@example.com"})

        alice.refresh_from_db()
        assert response["Location"].startswith("/users/confirm")
        assert (alice.name, alice.email) == ("Alice M.", "alice@example.com")

    @pytest.mark.parametrize("email", ["bob@example.com", "BOB@example.com", "nowhere", ""])
    def test_it_refuses_at_the_field(
        self, client: Client, alice: Any, bob: Any, email: str
    ) -> None:
        client.force_login(alice)

        page = client.post(PROFILE, {"name": "Other", "email": email})

        alice.refresh_from_db()
        assert page.context["form"].errors.keys() == {"email"}
        assert (alice.name, alice.email) == ("Alice", "alice@example.com")
        assert page.context["user"].name == "Alice"

    def test_it_changes_nothing_else(self, client: Client, alice: Any) -> None:
        client.force_login(alice)

        client.post(
            PROFILE,
            {"name": "A", "email": "a@example.org", "username": "x", "is_superuser": "on"},
        )

        alice.refresh_from_db()
        assert (alice.username, alice.is_superuser) == ("alice", False)


class TestPassword:
    def change(
        self, client: Client, current: Any = PASSWORD, new: Any = NEW, repeated: Any = None
    ) -> Any:
        fields = {"current_password": current, "new_password": new, "repeated": repeated or new}
        return client.post(CHANGE, fields)

    def test_it_works(self, client: Client, alice: Any) -> None:
        client.force_login(alice)

        response = self.change(client)

        alice.refresh_from_db()
        assert response["Location"] == CHANGE
        assert alice.check_password(NEW)

    def test_other_sessions_end_and_this_one_goes_on(self, client: Client, alice: Any) -> None:
        other = Client()
        for each in (client, other):
            each.force_login(alice)

        self.change(client)

        assert client.get(PROFILE).status_code == 200
        assert other.get(PROFILE).status_code == 302

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("current_password", {"current": "wrong"}),
            ("current_password", {"current": ""}),
            ("new_password", {"new": "12345678"}),
            ("new_password", {"new": "alice@example.com"}),
            ("repeated", {"repeated": "something-else"}),
        ],
    )
    def test_it_refuses_at_the_field(
        self, client: Client, alice: Any, field: str, fields: Any
    ) -> None:
        client.force_login(alice)

        page = self.change(client, **fields)

        alice.refresh_from_db()
        assert page.context["form"].errors.keys() == {field}
        assert alice.check_password(PASSWORD)
        assert NEW not in page.content.decode()
