"""``manage.py prepare``: what a node needs before its first start, and after each update."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from gitlab.config import Configuration
from gitlab.node import preparation


class Command(BaseCommand):
    """Runs every step of `gitlab.node.preparation` under its lock."""

    help = (
        "Make the state folder, secrets, key pair, databases, static files and the administrator"
        " root. What is there is kept; it may run again and again."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        config: Configuration = settings.CONFIG
        try:
            with preparation.lock(config.home, self._say):
                self._prepare(config)
        except preparation.NotPrepared as error:
            raise CommandError(str(error)) from error

    def _prepare(self, config: Configuration) -> None:
        if not config.roles:
            raise preparation.NotPrepared(
                "This node serves nothing: berth.roles names the registry alone and"
                " registry.enable is false."
            )
        preparation.check_agreement(config)
        preparation.check_files(config)
        preparation.prepare_folders(config)
        preparation.prepare_secrets(config)
        preparation.prepare_keys(config, self._say)
        with preparation.databases_to_ourselves(config):
            preparation.prepare_databases(config)
            if "web" in config.roles:
                self._prepare_root(config)
        if "web" in config.roles:
            preparation.prepare_static_files(config)

    def _prepare_root(self, config: Configuration) -> None:
        from gitlab.accounts import services

        if services.has_administrator():
            return
        configured = config.gitlab_root_password
        password = configured.get_secret_value() if configured else secrets.token_urlsafe(12)
        services.create_root(password)
        if configured:
            self._say("Made the administrator root with the password of GITLAB_ROOT_PASSWORD.")
        elif self.stdout.isatty():
            self._say(
                "\nMade the administrator. This is shown once:\n"
                f"    user      root\n    password  {password}\n"
            )
        else:
            # What is printed goes to a journal or a container's log, where others read it for
            # years.
            path = preparation.keep_root_password(config, password)
            self._say(
                "\nMade the administrator root. The password is kept for you, readable by this user alone,\n"
                f"in {path}: sign in, change it, and remove the file.\n"
            )

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
