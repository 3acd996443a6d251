"""``manage.py members``: who belongs to which group or project, by CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError

from gitlab.management import bulk
from gitlab.management.administration import AdministrationCommand, administrator, user_named

if TYPE_CHECKING:
    from gitlab.accounts.models import User
    from gitlab.namespaces.models import Routable

_COLUMNS = ("path", "username", "access_level", "expires_at")


class Command(AdministrationCommand):
    """import, export."""

    help = "Make and change many memberships by a CSV file, or write one of all there are."

    def add_verbs(self) -> None:
        taking = self.verb("import", "Make or change members, all lines of a file or none.")
        bulk.add_arguments(
            taking, "path, username, access_level (a name or a number); expires_at if wanted"
        )
        taking.add_argument(
            "--by", metavar="USERNAME", help="who does it; default: the oldest administrator"
        )
        self.verb("export", "All direct members of groups and projects, as CSV.")

    def import_(self, options: dict[str, Any]) -> None:
        by = administrator(options["by"])
        lines = bulk.read(options["file"], required=_COLUMNS[:3], optional=_COLUMNS[3:])
        taken = bulk.take(lines, lambda line: _member(by, line), dry_run=options["dry_run"])
        self.show_one(taken._asdict(), bulk.said(taken, dry_run=options["dry_run"]))

    def export(self, options: dict[str, Any]) -> None:
        from gitlab.audit.export import csv_lines
        from gitlab.namespaces import user_access
        from gitlab.namespaces.models import AccessLevel

        rows = user_access.live_members().filter(user__user_type="human").order_by("pk")
        found = (
            {
                "path": (row.project or row.namespace).full_path,  # type: ignore[union-attr]
                "username": row.user.username,
                "access_level": AccessLevel(row.access_level).name.lower(),
                "expires_at": row.expires_at.isoformat() if row.expires_at else "",
            }
            for row in rows.select_related("user", "namespace", "project").iterator(2000)
        )
        for line in csv_lines(found, _COLUMNS):
            self.stdout.write(line, ending="")


def _level(text: str) -> int:
    """A level by its name or number; what is none the rule refuses. Raises `ValidationError`."""
    from gitlab.namespaces.models import AccessLevel

    if text.isascii() and text.isdecimal() and len(text) < 4:
        return int(text)
    known = {level.name.lower(): int(level) for level in AccessLevel}
    if text.lower() not in known:
        raise ValidationError({"access_level": f"one of {', '.join(known)}"})
    return known[text.lower()]


def _routable(by: User, path: str) -> Routable:
    from gitlab.namespaces.loaders import get_group_for, get_project_for
    from gitlab.refusals import NotFound

    path = path.strip("/")
    try:
        return get_project_for(by, path)
    except NotFound:
        try:
            return get_group_for(by, path)
        except NotFound as error:
            text = f"there is no group or project {path}"
            raise ValidationError({"path": text}) from error


def _member(by: User, line: Mapping[str, str]) -> bool:
    """Make or change a member; whether anything was different."""
    from gitlab.namespaces import members

    routable = _routable(by, line["path"])
    user = user_named(line["username"])
    level = _level(line["access_level"])
    expires_at = bulk.day("expires_at", line.get("expires_at", ""))
    there = routable.members.filter(user=user).first()
    if there is None:
        members.add_member(by, routable, user, level, expires_at)
        return True
    if (there.access_level, there.expires_at) == (level, expires_at):
        return False
    members.update_member(by, routable, user, level, expires_at)
    return True
