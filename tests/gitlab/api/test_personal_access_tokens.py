"""`/personal_access_tokens`: listed, shown, made, rotated, revoked."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.access_tokens import services
from gitlab.access_tokens.models import PersonalAccessToken
from tests.gitlab import factories
from tests.gitlab.api.conftest import Api, ApiClient, assert_refused

pytestmark = pytest.mark.django_db


def day(days: int) -> str:
    return (timezone.now().date() + dt.timedelta(days=days)).isoformat()


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [found["name"] for found in answer.json()]


@pytest.fixture
def tokens(alice: Any) -> dict[str, PersonalAccessToken]:
    """Alice's: one that works, one that is revoked, one that has expired."""
    made = {
        name: services.create(alice, name=name, scopes=["read_registry"])[0]
        for name in ("works", "revoked", "expired")
    }
    services.revoke(alice, made["revoked"])
    PersonalAccessToken.objects.filter(name="expired").update(expires_at=day(-1))
    return made


def test_the_shape(api: Api, alice: Any) -> None:
    body = {
        "name": "ci",
        "scopes": ["read_registry"],
        "expires_at": day(9),
        "description": "For CI",
    }
    answer = api(alice).post("user/personal_access_tokens", body)
    assert answer.status_code == 201, answer.content
    found = answer.json()
    text = found.pop("token")
    assert text.startswith("glpat-")
    assert found == {
        "id": found["id"],
        "name": "ci",
        "description": "For CI",
        "revoked": False,
        "created_at": found["created_at"],
        "scopes": ["read_registry"],
        "user_id": alice.pk,
        "last_used_at": None,
        "active": True,
        "expires_at": day(9),
    }
    assert api(alice).get(f"personal_access_tokens/{found['id']}").json() == found
    assert ApiClient(text).get("personal_access_tokens/self").json()["id"] == found["id"]


def test_which_are_listed(api: Api, alice: Any, bob: Any, root: Any, tokens: Any) -> None:
    client = api(alice)
    here = "personal_access_tokens"
    assert names(client.get(here)) == ["test", "expired", "revoked", "works"]
    assert names(client.get(f"{here}?state=active")) == ["test", "works"]
    assert names(client.get(f"{here}?state=inactive")) == ["expired", "revoked"]
    assert names(client.get(f"{here}?revoked=true")) == ["revoked"]
    assert names(client.get(f"{here}?search=WORK")) == ["works"]
    assert names(client.get(f"{here}?sort=name_asc"))[0] == "expired"
    assert names(client.get(f"{here}?expires_before={day(0)}")) == ["expired"]
    assert names(client.get(f"{here}?created_before=2001-01-01")) == []
    assert names(client.get(f"{here}?last_used_after=2001-01-01")) == ["test"]
    assert names(client.get(f"{here}?pagination=keyset&per_page=1")) == ["test"]
    assert names(client.get(f"{here}?user_id={alice.pk}&state=active")) == ["test", "works"]
    assert_refused(client.get(f"{here}?user_id={bob.pk}"), 401)
    assert names(api(root).get(f"{here}?user_id={alice.pk}&state=active")) == ["test", "works"]
    assert len(names(api(root).get(here))) > 4
    assert_refused(api().get(here), 401)
    assert_refused(client.get(f"{here}?state=some"), 400)


def test_queries_do_not_grow(api: Api, alice: Any, tokens: Any) -> None:
    client = api(alice)
    client.get("personal_access_tokens")
    with CaptureQueriesContext(connection) as few:
        client.get("personal_access_tokens?per_page=1")
    with CaptureQueriesContext(connection) as more:
        assert len(client.get("personal_access_tokens").json()) == 4
    assert len(more) <= len(few) <= 3


def test_somebody_elses_and_none_are_the_same(
    api: Api, bob: Any, root: Any, alice: Any, tokens: Any
) -> None:
    for pk in (tokens["works"].pk, 999999):
        here = f"personal_access_tokens/{pk}"
        assert_refused(api(bob).get(here), 401)
        assert_refused(api(bob).delete(here), 401)
        assert_refused(api(bob).post(f"{here}/rotate"), 401)
    assert api(root).get(f"personal_access_tokens/{tokens['works'].pk}").status_code == 200
    assert_refused(api(root).get("personal_access_tokens/999999"), 404)


def test_revoked(api: Api, alice: Any, root: Any, tokens: Any) -> None:
    pk = tokens["works"].pk
    assert api(alice).delete(f"personal_access_tokens/{pk}").status_code == 204
    assert api(alice).delete(f"personal_access_tokens/{pk}").status_code == 204
    assert api(root).get(f"personal_access_tokens/{pk}").json()["revoked"] is True


@pytest.mark.parametrize("scope", ["api", "read_registry", "self_rotate"])
def test_the_one_in_use(alice: Any, scope: str) -> None:
    client = ApiClient(factories.token(alice, scope))
    assert client.get("personal_access_tokens/self").json()["scopes"] == [scope]
    assert client.delete("personal_access_tokens/self").status_code == 204
    assert_refused(client.get("personal_access_tokens/self"), 401, "revoked")


def test_a_session_has_no_token(alice: Any) -> None:
    browser = Client()
    browser.force_login(alice)
    assert_refused(browser.get("/api/v4/personal_access_tokens/self"), 401)


def test_rotated(api: Api, alice: Any, bob: Any, tokens: Any) -> None:
    pk = tokens["works"].pk
    answer = api(alice).post(f"personal_access_tokens/{pk}/rotate")
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["id"] != pk
    assert (found["name"], found["scopes"]) == ("works", ["read_registry"])
    assert found["expires_at"] == day(7)
    assert services.authenticate(found["token"]) is not None
    tokens["works"].refresh_from_db()
    assert tokens["works"].is_revoked
    for name in ("works", "expired"):
        again = api(alice).post(f"personal_access_tokens/{tokens[name].pk}/rotate")
        assert_refused(again, 400, "revoked or expired already")


def test_rotating_itself(alice: Any) -> None:
    old = ApiClient(factories.token(alice, "self_rotate", "read_registry"))
    refused = old.post("personal_access_tokens/self/rotate", {"expires_at": day(0)})
    assert_refused(refused, 400, "future")
    found = old.post("personal_access_tokens/self/rotate", {"expires_at": day(30)}).json()
    assert found["expires_at"] == day(30)
    assert ApiClient(found["token"]).get("personal_access_tokens/self").status_code == 200
    # Used again, the old one counts as stolen, and takes the new one along.
    assert_refused(old.get("personal_access_tokens/self"), 401)
    assert_refused(ApiClient(found["token"]).get("personal_access_tokens/self"), 401)
    weak = ApiClient(factories.token(alice, "read_api"))
    assert_refused(weak.post("personal_access_tokens/self/rotate"), 403, "self_rotate")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "name is missing, scopes is missing"),
        ({"name": "x", "scopes": []}, "scopes is empty"),
        ({"name": "x", "scopes": ["create_runner"]}, "scopes"),
        ({"name": "x", "scopes": "api"}, "scopes"),
        ({"name": "x" * 256, "scopes": ["api"]}, "name is invalid"),
        ({"name": "x", "scopes": ["api"], "expires_at": "2001-01-01"}, "future"),
        ({"name": "x", "scopes": ["api"], "expires_at": "tomorrow"}, "expires_at is invalid"),
    ],
)
def test_not_made(api: Api, alice: Any, body: Any, says: str) -> None:
    assert_refused(api(alice).post("user/personal_access_tokens", body), 400, says)


def test_a_token_makes_none_that_may_more_or_lasts_longer(alice: Any) -> None:
    _, text = services.create(
        alice, name="short", scopes=["api"], expires_at=timezone.now().date() + dt.timedelta(days=5)
    )
    client = ApiClient(text)
    body = {"name": "x", "scopes": ["read_registry"]}
    here = "user/personal_access_tokens"
    assert_refused(client.post(here, body), 400, "Not after the token that makes it")
    assert_refused(client.post(here, {**body, "expires_at": day(6)}), 400, "Not after")
    more = {**body, "scopes": ["api", "sudo"], "expires_at": day(5)}
    assert_refused(client.post(here, more), 400, "has not got sudo itself")
    assert client.post(here, {**body, "expires_at": day(5)}).status_code == 201


def test_made_for_somebody(api: Api, root: Any, alice: Any, bob: Any) -> None:
    here = f"users/{bob.pk}/personal_access_tokens"
    body = {"name": "gift", "scopes": ["api"]}
    assert_refused(api(alice).post(here, body), 403)
    assert_refused(api(bob).post(here, body), 403)
    assert_refused(api().post(here, body), 401)
    assert_refused(api(root).post("users/999999/personal_access_tokens", body), 404)
    found = api(root).post(here, body).json()
    assert found["user_id"] == bob.pk
    assert ApiClient(found["token"]).get("user").json()["username"] == "bob"
