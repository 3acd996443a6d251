"""One's own access tokens: made, shown once, listed, revoked."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.access_tokens import services
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.accounts.models import User

LIST = "/-/user_settings/personal_access_tokens"
NEW = f"{LIST}/new"
pytestmark = [pytest.mark.engineless, pytest.mark.django_db]


def make(client: Client, **fields: Any) -> Any:
    return client.post(NEW, {"name": "Laptop", "scopes": ["read_registry"]} | fields)


@pytest.fixture
def client_of_alice(client: Client, alice: Any) -> Any:
    client.force_login(alice)
    return client


@pytest.mark.parametrize("address", [LIST, NEW, f"{LIST}/1/revoke"])
def test_strangers_sign_in_first(client: Client, address: Any) -> None:
    assert client.get(address)["Location"] == f"/users/sign_in?next={address}"


class TestMaking:
    def test_it_works(self, client_of_alice: Any, alice: Any, settings: Any) -> None:
        response = make(client_of_alice, scopes=["read_registry", "write_registry"])
        page = client_of_alice.get(response["Location"])

        token = PersonalAccessToken.objects.get(user=alice)
        text = page.context["new"]["text"]
        assert services.authenticate(text).id == token.pk
        assert token.scopes == ["read_registry", "write_registry"]
        assert text in page.content.decode()
        assert (
            f"docker login {settings.CONTAINER_REGISTRY_HOST_PORT} -u alice"
            in page.content.decode()
        )
        assert "no-store" in page["Cache-Control"]

    def test_it_is_shown_once(self, client_of_alice: Any) -> None:
        make(client_of_alice)
        text = client_of_alice.get(LIST).context["new"]["text"]

        assert text not in client_of_alice.get(LIST).content.decode()

    def test_the_server_keeps_the_digest_only(self, client_of_alice: Any, alice: Any) -> None:
        response = make(client_of_alice)
        cookie = response.cookies["new_token"]

        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == LIST
        assert "new_token" not in client_of_alice.session
        assert cookie.value not in str(list(PersonalAccessToken.objects.values()))
        assert cookie.value not in str(dict(client_of_alice.session))

    def test_nobody_elses_token_is_shown(self, client_of_alice: Any, bob: Any) -> None:
        _, text = services.create(bob, name="x", scopes=["api"])
        client_of_alice.cookies["new_token"] = text

        assert client_of_alice.get(LIST).context["new"] is None

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", "x" * 256),
            ("scopes", []),
            ("scopes", ["everything"]),
            ("scopes", ["sudo"]),
            ("expires_at", "2020-01-01"),
            ("expires_at", "soon"),
        ],
    )
    def test_it_refuses_at_the_field(self, client_of_alice: Any, field: str, value: Any) -> None:
        page = make(client_of_alice, **{field: value})

        assert page.status_code == 200
        assert page.context["form"].errors.keys() == {field}
        assert not PersonalAccessToken.objects.exists()

    def test_it_proposes_a_last_day(self, client_of_alice: Any) -> None:
        page = client_of_alice.get(NEW).content.decode()

        day = timezone.now().date() + dt.timedelta(days=90)
        assert f'value="{day.isoformat()}"' in page


class TestListing:
    def test_active_and_inactive_ones_stand_apart(self, client_of_alice: Any, alice: Any) -> None:
        today = timezone.now().date()
        services.create(alice, name="Works", scopes=["api"])
        services.create(alice, name="Ends", scopes=["api"], expires_at=today + dt.timedelta(days=3))
        revoked, _ = services.create(alice, name="Revoked", scopes=["api"])
        services.revoke(alice, revoked)
        expired, _ = services.create(alice, name="Expired", scopes=["api"])
        PersonalAccessToken.objects.filter(pk=expired.pk).update(expires_at=today)

        active = client_of_alice.get(LIST)
        inactive = client_of_alice.get(f"{LIST}?state=inactive")

        assert [row["token"].name for row in active.context["tokens"]] == ["Ends", "Works"]
        assert [row["ends_soon"] for row in active.context["tokens"]] == [True, False]
        assert [r["token"].name for r in inactive.context["tokens"]] == ["Expired", "Revoked"]

    def test_others_are_not_there(self, client_of_alice: Any, bob: Any) -> None:
        services.create(bob, name="Bob's secret machine", scopes=["api"])

        assert "secret machine" not in client_of_alice.get(LIST).content.decode()

    def test_it_costs_the_same_for_many(
        self, client_of_alice: Any, alice: Any, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(30):
            services.create(alice, name=f"t{number}", scopes=["api", "read_user"])

        client_of_alice.get(LIST)  # A session's first page is kept in it.
        with django_assert_max_num_queries(6):
            client_of_alice.get(LIST)


class TestRevoking:
    @pytest.fixture
    def token(self, alice: Any) -> Any:
        return services.create(alice, name="Laptop", scopes=["api"])

    def test_it_asks_first(self, client_of_alice: Any, token: Any) -> None:
        page = client_of_alice.get(f"{LIST}/{token[0].pk}/revoke").content.decode()

        assert "Revoke Laptop?" in page
        assert "data-panel" in page
        assert services.authenticate(token[1]) is not None

    def test_it_works(self, client_of_alice: Any, token: Any) -> None:
        response = client_of_alice.post(f"{LIST}/{token[0].pk}/revoke")

        assert response["Location"] == LIST
        assert services.authenticate(token[1]) is None
        assert "Laptop is revoked." in client_of_alice.get(LIST).content.decode()

    @pytest.mark.parametrize("who", ["bob", "root"])
    def test_others_do_not_find_it(self, make_person: Any, token: Any, who: str) -> None:
        other = Client()
        other.force_login(make_person(who) if who == "bob" else _root(make_person))
        address = f"{LIST}/{token[0].pk}/revoke"

        assert other.get(address).status_code == 404
        assert other.post(address).status_code == 404
        assert services.authenticate(token[1]) is not None


def _root(make_person: Any) -> User:
    return make_person("root", is_superuser=True)
