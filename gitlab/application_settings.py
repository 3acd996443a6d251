"""What GitLab has as application settings, as this node's settings say it: to be read, not changed.

A node reads its settings when it starts, from its file and environment; none is in the database.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from django.conf import settings


class Setting(NamedTuple):
    """GitLab's name, the value, and by which setting of ours it is changed; "" where by none."""

    name: str
    value: Any
    ours: str = ""

    @property
    def text(self) -> str:
        """The value as a file would have it, and the empty text for none."""
        if self.value is None:
            return ""
        return self.value if isinstance(self.value, str) else json.dumps(self.value)


def listed() -> list[Setting]:
    """All that have a meaning here, in the order in which the API has them."""
    by_user, by_address = (settings.RATE_LIMITS.get(kind, 0) for kind in ("user", "address"))
    dormant = settings.DEACTIVATE_DORMANT_AFTER
    of_user, of_address = "berth.rate_limits.per_user", "berth.rate_limits.per_address"
    return [
        Setting("signup_enabled", settings.SIGNUP_ENABLED, "berth.signup_enabled"),
        Setting("domain_allowlist", settings.SIGNUP_DOMAINS, "berth.signup_domains"),
        Setting(
            "require_admin_approval_after_user_signup",
            settings.SIGNUP_REQUIRES_APPROVAL,
            "berth.signup_requires_approval",
        ),
        Setting("deactivate_dormant_users", bool(dormant), "berth.deactivate_dormant_after"),
        Setting("deactivate_dormant_users_period", dormant.days, "berth.deactivate_dormant_after"),
        Setting("password_authentication_enabled_for_web", True),
        *_of_signing_in(),
        Setting("default_project_visibility", "private"),
        Setting("default_group_visibility", "private"),
        Setting(
            "container_registry_token_expire_delay",
            settings.TOKENS_LIFETIME // 60,
            "berth.token_expire_delay",
        ),
        Setting("throttle_authenticated_api_enabled", bool(by_user), of_user),
        Setting("throttle_authenticated_api_requests_per_period", by_user, of_user),
        Setting("throttle_authenticated_api_period_in_seconds", 60),
        Setting("throttle_unauthenticated_api_enabled", bool(by_address), of_address),
        Setting("throttle_unauthenticated_api_requests_per_period", by_address, of_address),
        Setting("throttle_unauthenticated_api_period_in_seconds", 60),
        Setting(
            "push_creates_projects", settings.PUSH_CREATES_PROJECTS, "berth.push_creates_projects"
        ),
        Setting(
            "undo_window_in_seconds",
            int(settings.UNDO_WINDOW.total_seconds()),
            "berth.undo_window",
        ),
    ]


def _of_signing_in() -> list[Setting]:
    """Passwords, second factors, sessions, and how long tokens last."""
    longest = settings.MAX_TOKEN_LIFETIME
    hours = int(settings.TWO_FACTOR_GRACE.total_seconds() // 3600)
    return [
        Setting(
            "minimum_password_length", settings.PASSWORD_MIN_LENGTH, "berth.password_min_length"
        ),
        Setting(
            "max_login_attempts", settings.FAILED_LOGIN_LIMIT, "berth.rate_limits.failed_logins"
        ),
        Setting(
            "require_two_factor_authentication",
            settings.REQUIRE_TWO_FACTOR,
            "berth.require_two_factor",
        ),
        Setting("two_factor_grace_period", hours, "berth.two_factor_grace_period"),
        Setting("session_expire_delay", settings.SESSION_COOKIE_AGE // 60),
        Setting("require_personal_access_token_expiry", bool(longest), "berth.max_token_lifetime"),
        Setting(
            "max_personal_access_token_lifetime",
            max(1, longest.days) if longest else None,
            "berth.max_token_lifetime",
        ),
    ]


def as_gitlab() -> dict[str, Any]:
    """By GitLab's names."""
    return {one.name: one.value for one in listed()}
