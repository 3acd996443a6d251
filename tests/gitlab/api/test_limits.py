"""How often somebody may ask: the same limits as everywhere, said in each answer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.gitlab import factories
from tests.gitlab.api.conftest import ApiClient, assert_refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def limits(settings: Any, tmp_path: Path) -> dict[str, int]:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "gitlab.server.rate_limit.RateLimitMiddleware"]
    settings.RATE_LIMITS_STORES = (f"file://{tmp_path}/limiter.sqlite3",)
    settings.RATE_LIMITS = {}
    found: dict[str, int] = settings.RATE_LIMITS
    return found


def test_what_is_left_is_said(limits: dict[str, int], alice: Any) -> None:
    limits["user"] = 3
    client = ApiClient(factories.token(alice))
    for left in (2, 1, 0):
        answer = client.get("version")
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Limit"] == "3"
        assert answer.headers["RateLimit-Remaining"] == str(left)
        assert answer.headers["RateLimit-Observed"] == str(3 - left)
        assert answer.headers["RateLimit-Name"] == "throttle_user_api"
        assert 0 < int(answer.headers["RateLimit-Reset"]) - time.time() <= 61
    refused = client.get("version")
    assert_refused(refused, 429, "too many requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_a_token_and_an_address(limits: dict[str, int], alice: Any) -> None:
    limits |= {"token": 1, "address": 1}
    one, two = (ApiClient(factories.token(alice)) for _ in range(2))
    assert one.get("version").status_code == 200
    assert one.get("version").status_code == 429
    assert two.get("version").headers["RateLimit-Name"] == "throttle_token_api"
    assert ApiClient().get("version").status_code == 401
    assert ApiClient().get("nothing").status_code == 429
    assert ApiClient().get("version", REMOTE_ADDR="203.0.113.9").status_code == 401


def test_wrong_tokens_are_requests_too(limits: dict[str, int], alice: Any) -> None:
    limits["address"] = 1
    assert ApiClient("glpat-wrong").get("version").status_code == 401
    assert ApiClient("glpat-wrong").get("version").status_code == 429


def test_off_says_nothing(alice: Any) -> None:
    answer = ApiClient(factories.token(alice)).get("version")
    assert not [name for name in answer.headers if name.startswith("RateLimit")]
