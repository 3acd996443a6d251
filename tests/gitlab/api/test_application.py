"""`/application/settings` and `/application/statistics`: for administrators."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def test_settings(api: Api, root: Any, settings: Any) -> None:
    settings.SIGNUP_ENABLED = False
    settings.RATE_LIMITS = {"user": 0, "address": 900}
    settings.UNDO_WINDOW = dt.timedelta(days=1)
    settings.SIGNUP_DOMAINS = ["example.com"]
    settings.SIGNUP_REQUIRES_APPROVAL = True
    settings.DEACTIVATE_DORMANT_AFTER = dt.timedelta(days=90)
    settings.REQUIRE_TWO_FACTOR = True
    settings.TWO_FACTOR_GRACE = dt.timedelta(days=2)
    settings.FAILED_LOGIN_LIMIT = 7
    settings.PASSWORD_MIN_LENGTH = 12
    settings.MAX_TOKEN_LIFETIME = dt.timedelta(days=365)
    found = api(root).get("application/settings").json()
    assert found["signup_enabled"] is False
    assert found["container_registry_token_expire_delay"] == settings.TOKENS_LIFETIME // 60
    assert found["undo_window_in_seconds"] == 86400
    assert found["domain_allowlist"] == ["example.com"]
    assert found["require_admin_approval_after_user_signup"] is True
    assert found["deactivate_dormant_users"] is True
    assert found["deactivate_dormant_users_period"] == 90
    assert found["throttle_authenticated_api_enabled"] is False
    assert found["require_two_factor_authentication"] is True
    assert found["two_factor_grace_period"] == 48
    assert found["max_login_attempts"] == 7
    assert found["minimum_password_length"] == 12
    assert found["session_expire_delay"] == settings.SESSION_COOKIE_AGE // 60
    assert found["require_personal_access_token_expiry"] is True
    assert found["max_personal_access_token_lifetime"] == 365


def test_tokens_without_an_end(api: Api, root: Any, settings: Any) -> None:
    settings.MAX_TOKEN_LIFETIME = dt.timedelta(0)
    found = api(root).get("application/settings").json()
    assert found["require_personal_access_token_expiry"] is False
    assert found["max_personal_access_token_lifetime"] is None


def test_settings_are_not_changed_here(api: Api, root: Any) -> None:
    answer = api(root).put("application/settings", {"signup_enabled": False})
    assert_refused(answer, 405, "gitlab.toml")


def test_statistics(api: Api, root: Any, app: Any, web: Any) -> None:
    found = api(root).get("application/statistics").json()
    assert found["users"] == "4"
    assert found["active_users"] == "4"
    assert found["projects"] == "1"
    assert found["groups"] == "1"
    assert found["container_repositories"] == "1"
    assert found["issues"] == "0"


@pytest.mark.parametrize("path", ["application/settings", "application/statistics"])
def test_who_may(api: Api, alice: Any, root: Any, path: str) -> None:
    assert_refused(api(alice).get(path), 403)
    assert_refused(api().get(path), 401)
    assert api(root, "read_api").get(path).status_code == 200
