"""Django's ``createsuperuser`` takes names that are reserved, any password without a terminal, and
records nobody who did it: ours says what does not.
"""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Refuses, and names the command that keeps the rules and records what it does."""

    help = "Not here: manage.py users create USERNAME --admin makes an administrator."

    def add_arguments(self, parser: Any) -> None:
        for name in ("--username", "--email", "--name", "--database"):
            parser.add_argument(name)
        parser.add_argument("--noinput", "--no-input", action="store_true")

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        raise CommandError(
            "manage.py users create USERNAME --admin makes an administrator, and records it."
        )
