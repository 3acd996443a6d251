"""What ``users``, ``members``, ``groups``, ``tokens``, ``projects`` and ``garbage`` share.

Each has verbs, as in ``manage.py users block bob``. They call the services that pages call, so the
same rules hold and the same is audited, with "command line" in the place of an address and of the
actor, where no `--by` names one, and the account of the shell in that of a credential. What is
printed is a table, or with ``--format json`` what other programs read.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import json
import keyword
import os
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.http import Http404

if TYPE_CHECKING:
    from gitlab.accounts.models import User

ORIGIN = "command line"
Row = Mapping[str, Any]


class AdministrationCommand(BaseCommand):
    """A command with verbs. Subclasses add parsers in `add_verbs` and have a method for each, whose
    name ends in _ where it is a word of Python's.
    """

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        self._verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        self.add_verbs()

    def add_verbs(self) -> None:
        """Call `verb` for each."""
        raise NotImplementedError

    def verb(self, name: str, text: str) -> ArgumentParser:
        """A new verb; the method that is called has its name, with _ for -."""
        made: ArgumentParser = self._verbs.add_parser(name, help=text, description=text)
        made.add_argument("--format", choices=["text", "json"], default="text")
        return made

    def handle(self, *args: Any, **options: Any) -> None:
        if "web" not in settings.ROLES:
            raise CommandError("This node serves the registry alone; ask on a node of GitLab's.")
        from gitlab.audit.origin import acting_from, of_shell

        self.as_json = options["format"] == "json"
        with acting_from(ORIGIN, of_shell(_login()), ORIGIN), _refusals():
            name = options["verb"].replace("-", "_")
            getattr(self, f"{name}_" if keyword.iskeyword(name) else name)(options)

    def show(self, rows: Sequence[Row], nothing: str) -> None:
        """Many: a table with a line each, or a JSON list."""
        if self.as_json:
            self.stdout.write(json.dumps(rows, default=_plain, indent=2))
            return
        if not rows:
            self.stdout.write(nothing)
            return
        lines = [[name.replace("_", " ").upper() for name in rows[0]]]
        lines += [[_readable(value) for value in row.values()] for row in rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())

    def show_one(self, row: Row, sentence: str) -> None:
        """One, which was just changed: a sentence, or a JSON object."""
        self.stdout.write(json.dumps(row, default=_plain, indent=2) if self.as_json else sentence)

    def progress(self, text: str) -> None:
        """How far it is, for people who wait; never among what is read by programs."""
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{text}", ending="")
            self.stderr.flush()


def _login() -> str:
    """The name of the account of the operating system, or its number where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _plain(value: object) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value)


def _readable(value: object) -> str:
    if value is None or value is False:
        return "-"
    if value is True:
        return "yes"
    return ", ".join(map(str, value)) if isinstance(value, list) else _plain(value)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What a rule refuses is one line and exit code 1, without a stack trace."""
    try:
        yield
    except ValidationError as error:
        raise CommandError(" ".join(error.messages)) from error
    except (PermissionDenied, Http404) as error:
        raise CommandError(str(error)) from error


def moment(text: str) -> dt.datetime:
    """A moment that was typed, in UTC where no zone is said. Raises `ArgumentTypeError`."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("a moment is 2026-01-01 or 2026-01-01T12:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def user_named(username: str) -> User:
    """The user. Raises `CommandError`."""
    from gitlab.accounts.models import User

    found = User.objects.filter(username=username.lower()).first()
    if found is None:
        raise CommandError(f"There is no user {username}.")
    return found


def administrator(username: str | None) -> User:
    """Who does it where the rules want somebody: `username`, else the oldest administrator."""
    from gitlab.accounts.models import User

    if username:
        return user_named(username)
    known = User.objects.filter(is_superuser=True, state=User.State.ACTIVE).order_by("pk").first()
    if known is None:
        raise CommandError("There is no administrator; `manage.py users create --admin` makes one.")
    return known
