"""Rates at GitLab's addresses: pages and the token endpoint, each in its own form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.test import Client, RequestFactory

from gitlab.server.rate_limit import RateLimitMiddleware
from tests.people import PASSWORD, basic
from tests.refusals import assert_refused

pytestmark = pytest.mark.django_db(databases=["default"])

AUTH = "/jwt/auth?service=container_registry"


@pytest.fixture(autouse=True)
def limits(settings: Any, tmp_path: Path) -> dict[str, int]:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "gitlab.server.rate_limit.RateLimitMiddleware"]
    settings.RATE_LIMITS_STORES = (f"file://{tmp_path}/limiter.sqlite3",)
    settings.RATE_LIMITS = {}
    found: dict[str, int] = settings.RATE_LIMITS
    return found


def assert_limited_page(response: Any) -> None:
    assert response.status_code == 429
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["Content-Type"].startswith("text/html")
    assert "Too many requests" in response.content.decode()
    # No log has it.
    assert response.headers["X-Request-Id"] not in response.content.decode()


def assert_limited_token(response: Any) -> None:
    assert_refused(response, "TOOMANYREQUESTS", status=429)
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["Cache-Control"] == "no-store"


def test_pages_for_nobody_known(limits: dict[str, int], client: Client, alice: Any) -> None:
    limits["address"] = 2
    for _ in range(2):
        assert client.get("/users/sign_in").status_code == 200
    assert_limited_page(client.get("/users/sign_in"))
    assert client.get("/users/sign_in", REMOTE_ADDR="203.0.113.9").status_code == 200
    assert client.get("/-/liveness").status_code == 200
    client.force_login(alice)
    assert client.get("/").status_code == 200


def test_pages_for_somebody(limits: dict[str, int], client: Client, alice: Any, bob: Any) -> None:
    limits["user"] = 2
    client.force_login(alice)
    for _ in range(2):
        assert client.get("/").status_code == 200
    assert_limited_page(client.get("/"))
    other = Client()
    other.force_login(bob)
    assert other.get("/").status_code == 200
    # The same person with docker.
    assert_limited_token(client.get(AUTH, HTTP_AUTHORIZATION=basic("alice", PASSWORD)))


def test_below_api_it_is_json(limits: dict[str, int], rf: RequestFactory) -> None:
    limits["address"] = 1
    middleware = RateLimitMiddleware(lambda _: HttpResponse())
    request = rf.get("/api/v4/projects", REMOTE_ADDR="203.0.113.7")
    request.user = AnonymousUser()
    assert middleware.process_view(request, object(), (), {}) is None
    answer = middleware.process_view(request, object(), (), {})
    assert answer is not None
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "too many requests" in json.loads(answer.content)["message"]


def test_logins_with_a_token(limits: dict[str, int], client: Client, alice: Any) -> None:
    from gitlab.access_tokens import services

    limits["token"] = 2
    texts = [
        services.create(alice, name=name, scopes=["read_registry"])[1] for name in ("one", "two")
    ]
    for _ in range(2):
        assert client.get(AUTH, HTTP_AUTHORIZATION=basic("alice", texts[0])).status_code == 200
    assert_limited_token(client.get(AUTH, HTTP_AUTHORIZATION=basic("alice", texts[0])))
    assert client.get(AUTH, HTTP_AUTHORIZATION=basic("alice", texts[1])).status_code == 200
    # A password is no token.
    for _ in range(3):
        assert client.get(AUTH, HTTP_AUTHORIZATION=basic("alice", PASSWORD)).status_code == 200


def test_tokens_for_nobody_known(limits: dict[str, int], client: Client) -> None:
    limits["address"] = 1
    assert client.get(AUTH).status_code == 403
    assert_limited_token(client.get(AUTH))
    assert client.get(AUTH, REMOTE_ADDR="203.0.113.9").status_code == 403


def test_nobody_uses_up_what_is_anothers(
    limits: dict[str, int], client: Client, alice: Any
) -> None:
    limits["user"] = 1
    for _ in range(3):
        assert (
            client.get(AUTH, HTTP_AUTHORIZATION=basic("alice", "wrong-password")).status_code == 401
        )
    assert client.get(AUTH, HTTP_AUTHORIZATION=basic("alice", PASSWORD)).status_code == 200


def test_off_costs_nothing() -> None:
    from django.conf import settings as fresh

    from gitlab.settings import MIDDLEWARE

    assert not any("rate_limit" in name for name in MIDDLEWARE)
    assert fresh.MIDDLEWARE is not MIDDLEWARE


def test_the_largest_form(client: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = settings.TOKENS_MAX_FORM_SIZE = 2048
    form = "application/x-www-form-urlencoded"
    for size, page, token in ((1000, 200, 401), (4096, 400, 413)):
        password = f"password={'x' * size}"
        answer = client.post("/users/sign_in", f"login=alice&{password}", content_type=form)
        assert answer.status_code == page
        fields = f"service=container_registry&grant_type=password&username=alice&{password}"
        assert client.post("/jwt/auth", fields, content_type=form).status_code == token


def test_a_registrys_notifications_are_not_counted(limits: dict[str, int], client: Client) -> None:
    limits["address"] = 1
    for _ in range(3):
        answer = client.post(
            "/api/v4/container_registry_event/events", "{}", content_type="application/json"
        )
        assert answer.status_code in (401, 403)
