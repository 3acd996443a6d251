"""What GitLab has as application settings, as this node's settings say it: to be read, not changed.

A node reads its settings when it starts, from its file and environment; none is in the database.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings


class Setting(NamedTuple):
    """GitLab's name, the value, and by which setting of ours it is changed; "" where by none."""

    name: str
    value: Any
    ours: str = ""

    @property
    def text(self) -> str:
        """The value as a file would have it."""
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


def listed() -> list[Setting]:
    """All that have a meaning here, in the order in which the API has them."""
    by_user, by_address = (settings.RATE_LIMITS.get(kind, 0) for kind in ("user", "address"))
    of_user, of_address = "berth.rate_limits.per_user", "berth.rate_limits.per_address"
    return [
        Setting("signup_enabled", settings.SIGNUP_ENABLED, "berth.signup_enabled"),
        Setting("password_authentication_enabled_for_web", True),
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


def as_gitlab() -> dict[str, Any]:
    """By GitLab's names."""
    return {one.name: one.value for one in listed()}
