"""`GET /user`: who one is, the first call of every script; and how anybody is known at all."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.access_tokens import services
from tests.gitlab import factories
from tests.gitlab.api.conftest import Api, ApiClient, assert_refused

pytestmark = pytest.mark.django_db


def test_it_says_who_one_is(api: Api, alice: Any) -> None:
    answer = api(alice).get("user")
    assert answer.status_code == 200
    found = answer.json()
    assert found["username"] == "alice"
    assert found["id"] == alice.pk
    assert found["email"] == "alice@example.com"
    assert found["state"] == "active"
    assert found["is_admin"] is False
    assert found["web_url"].endswith("/alice")


@pytest.mark.parametrize(
    "environment",
    [
        {"HTTP_PRIVATE_TOKEN": "{}"},
        {"HTTP_AUTHORIZATION": "Bearer {}"},
        {"HTTP_AUTHORIZATION": "bearer {}"},
        {"QUERY_STRING": "private_token={}"},
        {"QUERY_STRING": "access_token={}"},
    ],
)
def test_each_way_to_send_a_token(alice: Any, environment: dict[str, str]) -> None:
    text = factories.token(alice, "api")
    sent = {name: value.format(text) for name, value in environment.items()}
    assert ApiClient().get("user", **sent).json()["username"] == "alice"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"HTTP_PRIVATE_TOKEN": "glpat-wrong"},
        {"HTTP_PRIVATE_TOKEN": ""},
        {"HTTP_PRIVATE_TOKEN": "no-token"},
        {"HTTP_JOB_TOKEN": "glcbt-wrong"},
        {"HTTP_AUTHORIZATION": "Bearer "},
        {"HTTP_AUTHORIZATION": "Basic YWxpY2U6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5"},
        {"HTTP_AUTHORIZATION": "nonsense"},
    ],
)
def test_nobody_and_wrong_credentials(alice: Any, environment: dict[str, str]) -> None:
    answer = ApiClient().get("user", **environment)
    assert_refused(answer, 401)
    assert answer.json() == {"message": "401 Unauthorized"}
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_wrong_token_is_not_a_visitor(api: Api, make_project: Any) -> None:
    assert ApiClient("glpat-wrong").get("version").status_code == 401


def test_tokens_that_have_ended(api: Api, alice: Any) -> None:
    expired = ApiClient(factories.token(alice, "api", expired=True)).get("user")
    assert_refused(expired, 401, "Token is expired")
    assert expired.json()["error"] == "invalid_token"
    revoked = ApiClient(factories.token(alice, "api", revoked=True)).get("user")
    assert_refused(revoked, 401, "Token was revoked")


def test_a_blocked_person(api: Api, alice: Any) -> None:
    client = api(alice)
    alice.state = "blocked"
    alice.save()
    assert_refused(client.get("user"), 401)


@pytest.mark.parametrize(
    ("scope", "status"),
    [("api", 200), ("read_api", 200), ("read_user", 200), ("read_registry", 403)],
)
def test_scopes(api: Api, alice: Any, scope: str, status: int) -> None:
    answer = api(alice, scope).get("user")
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"] == "insufficient_scope"
        assert answer.json()["scope"] == "api read_api read_user"


def test_a_session_of_the_pages(alice: Any) -> None:
    browser = Client()
    browser.force_login(alice)
    assert browser.get("/api/v4/user").json()["username"] == "alice"


def test_the_use_of_a_token_is_noted(api: Api, alice: Any) -> None:
    api(alice).get("user")
    assert services.tokens_of(alice).get().last_used_at is not None


def test_nobody_acts_as_somebody_else(api: Api, root: Any, alice: Any) -> None:
    assert_refused(api(root).get("user", HTTP_SUDO="alice"), 403, "acting as somebody else")
    assert_refused(api(root).get("user?sudo=alice"), 403, "acting as somebody else")
    body = {"sudo": "alice"}
    assert_refused(api(root).post(f"users/{alice.pk}/block", body), 403, "acting as somebody else")
    assert_refused(api(root).delete(f"users/{alice.pk}", body), 403, "acting as somebody else")
    alice.refresh_from_db()
    assert alice.state == "active"


def test_wrong_tokens_are_counted(settings: Any, alice: Any) -> None:
    settings.FAILED_LOGINS_PER_ADDRESS = 2
    for number in range(2):
        assert ApiClient(f"glpat-wrong{number}").get("user").status_code == 401
    answer = ApiClient("glpat-wrong9").get("user")
    assert_refused(answer, 429)
    assert int(answer.headers["Retry-After"]) > 0
    # Nobody guesses a right one.
    assert ApiClient(factories.token(alice)).get("user").status_code == 200
