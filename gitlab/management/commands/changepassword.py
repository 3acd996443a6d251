"""Django's ``changepassword`` writes past the rules and the record: ours says what does not."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Refuses, and names the command that records what it does."""

    help = "Not here: manage.py users password USERNAME sets a password."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("username", nargs="?")

    def handle(self, *args: Any, **options: Any) -> NoReturn:
        raise CommandError("manage.py users password USERNAME sets a password, and records it.")
