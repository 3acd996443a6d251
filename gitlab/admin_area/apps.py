"""The Django app of the administrators' console, and Django's own admin with our site in it."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.admin import apps as django_admin
from django.contrib.admin import checks as django_checks
from django.core import checks


class AdminAreaConfig(AppConfig):
    """The console's templates and site; each package registers its models in its ``admin.py``."""

    name = "gitlab.admin_area"
    label = "admin_area"
    verbose_name = "Admin area"
    default = True


class ConsoleConfig(django_admin.SimpleAdminConfig):
    """``django.contrib.admin``, with `gitlab.admin_area.site.Console` as its site.

    Who serves its addresses, or checks it, has the packages' models registered by `site.discover`.
    At each start that would import half as much again, for commands and for the worker too.
    """

    default_site = "gitlab.admin_area.site.Console"
    default = False

    def ready(self) -> None:
        """Register Django's checks, with the models found before them."""
        checks.register(django_checks.check_dependencies, checks.Tags.admin)
        checks.register(_check_models, checks.Tags.admin)


def _check_models(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    from gitlab.admin_area.site import discover

    discover()
    messages: list[checks.CheckMessage] = django_checks.check_admin_app(app_configs, **options)
    return messages
