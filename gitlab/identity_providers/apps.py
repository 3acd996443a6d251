"""The Django app of identity providers."""

from __future__ import annotations

import importlib.util
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks


class IdentityProvidersConfig(AppConfig):
    """By whose word people sign in, and what that gives them."""

    name = "gitlab.identity_providers"
    label = "identity_providers"
    verbose_name = "Identity providers"

    def ready(self) -> None:
        """Have commands say what a directory needs and is not there, and keep away who is gone."""
        from gitlab.accounts import services
        from gitlab.identity_providers import absence

        checks.register(packages_for_directories)
        services.ASKED_BEFORE_RETURN.append(absence.require_presence)


def packages_for_directories(**_: Any) -> list[checks.CheckMessage]:
    """A table of LDAP needs packages that the default installation has not."""
    missing = [
        package
        for package in ("ldap", "django_auth_ldap")
        if settings.DIRECTORIES and importlib.util.find_spec(package) is None
    ]
    if not missing:
        return []
    return [
        checks.Warning(
            f"berth.ldap is set, and there is no {' and no '.join(missing)}: nobody signs in by it.",
            hint="`make ldap` installs what it needs; docs/sign-in.md says which packages of Debian.",
            id="identity_providers.W001",
        )
    ]
