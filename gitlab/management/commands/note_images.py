"""``manage.py note_images``: let GitLab know of images that the registry has got without a push."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

if TYPE_CHECKING:
    from gitlab.accounts.models import User
    from gitlab.container_registry.imports import Plan

_MOST_LEVELS = 20
"""As deep as groups are nested at most."""


class Command(BaseCommand):
    """Notes a container repository for each name, in its project."""

    help = (
        "Note container repositories for the images named in a file, one a line, as"
        " registry_import --names writes them. Their projects have to be there, or are made."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the names; - reads them from stdin")
        parser.add_argument(
            "--create", action="store_true", help="make missing groups and projects, privately"
        )
        parser.add_argument("--create-projects", action="store_true", help="make missing projects")
        parser.add_argument("--create-groups", action="store_true", help="the same as --create")
        parser.add_argument(
            "--group-levels",
            type=_positive,
            default=1,
            metavar="N",
            help="where they are missing, the first N segments of a name are groups, and the next"
            " one is the project (default: 1)",
        )
        parser.add_argument("--owner", help="the username in whose name they are made")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be made, and change nothing"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        from gitlab.container_registry import imports

        makes_groups = options["create"] or options["create_groups"]
        makes_projects = makes_groups or options["create_projects"]
        self._owner = _owner(options["owner"]) if makes_projects else None
        self._is_dry = options["dry_run"]
        self._noted = 0
        self._made: dict[str, str] = {}
        """By path what was made, or would be: a group or a project."""
        self._left: dict[str, str] = {}
        # One by one: what was made for the one is there for the next.
        for name in _names(options["file"]):
            (plan,) = imports.plans([name], group_levels=options["group_levels"])
            if plan.objection:
                self._left[name] = plan.objection
            elif (plan.groups and not makes_groups) or (plan.project and not makes_projects):
                self._left[name] = "there is no project, and no namespace to make it in"
            else:
                self._note(plan)
        self._tell(as_json=options["format"] == "json")
        if self._left:
            sys.exit(1)

    def _note(self, plan: Plan) -> None:
        """Note one image with what has to be made for it; in a dry run only remember that."""
        from gitlab.container_registry import imports
        from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound

        try:
            if not self._is_dry:
                imports.note(plan, by=self._owner)
        except (Invalid, Forbidden, NotFound, Conflict) as error:
            said = error.messages if isinstance(error, ValidationError) else [str(error)]
            self._left[plan.name] = " ".join(said)
            return
        self._noted += 1
        self._made |= dict.fromkeys(plan.groups, "group")
        if plan.project:
            self._made[plan.project] = "project"

    def _tell(self, *, as_json: bool) -> None:
        if as_json:
            made = [{"path": path, "kind": kind} for path, kind in self._made.items()]
            body = {"noted": self._noted, "made": made, "left": self._left}
            self.stdout.write(json.dumps({**body, "dry_run": self._is_dry}, indent=2))
            return
        be = "would be" if self._is_dry else "are"
        self.stdout.write(f"{self._noted} images {be} noted.")
        for path, kind in self._made.items():
            self.stdout.write(f"    {kind} {path} {'would be' if self._is_dry else 'was'} made")
        for name, why in self._left.items():
            self.stdout.write(f"    {name}: {why}")


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _MOST_LEVELS):
        raise ArgumentTypeError(f"a number from 1 to {_MOST_LEVELS}")
    return int(text)


def _owner(username: str | None) -> User:
    """Who is to own what is made. Raises `CommandError`."""
    from gitlab.accounts.models import User

    owner = User.objects.filter(username=username or "").first()
    if owner is None:
        raise CommandError("To create, --owner needs the name of a person.")
    return owner


def _names(file: Path) -> Iterator[str]:
    """The names in a file, or in stdin, one a line. Raises `CommandError`."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} can't be read: {error}") from error
    return filter(None, map(str.strip, text.splitlines()))
