"""``manage.py groups``: many groups at once, by CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError

from gitlab.management import bulk
from gitlab.management.administration import AdministrationCommand, administrator, user_named

if TYPE_CHECKING:
    from gitlab.accounts.models import User

_COLUMNS = ("path", "name", "visibility", "description", "owner")


class Command(AdministrationCommand):
    """import, export."""

    help = "Make many groups by a CSV file, or write one of all there are."

    def add_verbs(self) -> None:
        taking = self.verb("import", "Make groups, all lines of a file or none.")
        bulk.add_arguments(
            taking,
            "path, with those above it; name, visibility, description, owner (a username) if wanted",
        )
        taking.add_argument(
            "--by", metavar="USERNAME", help="who does it; default: the oldest administrator"
        )
        self.verb("export", "All groups, as CSV.")

    def import_(self, options: dict[str, Any]) -> None:
        by = administrator(options["by"])
        lines = bulk.read(options["file"], required=_COLUMNS[:1], optional=_COLUMNS[1:])
        taken = bulk.take(lines, lambda line: _group(by, line), dry_run=options["dry_run"])
        self.show_one(taken._asdict(), bulk.said(taken, dry_run=options["dry_run"]))

    def export(self, options: dict[str, Any]) -> None:
        from gitlab.audit.export import csv_lines
        from gitlab.namespaces.models import Namespace

        rows = Namespace.objects.filter(kind="group", pending_delete_at__isnull=True)
        found = (
            {
                "path": row.full_path,
                "name": row.name,
                "visibility": row.visibility,
                "description": row.description,
            }
            for row in rows.order_by("full_path").iterator(2000)
        )
        for line in csv_lines(found, _COLUMNS[:4]):
            self.stdout.write(line, ending="")


def _group(by: User, line: Mapping[str, str]) -> bool:
    """Make a group below those that are there; False where it is there itself."""
    from gitlab.namespaces import members, services
    from gitlab.namespaces.models import AccessLevel, Namespace

    full_path = line["path"].strip("/").lower()
    groups = Namespace.objects.filter(kind="group", pending_delete_at__isnull=True)
    if groups.filter(full_path=full_path).exists():
        return False
    above, _, path = full_path.rpartition("/")
    parent = groups.filter(full_path=above).first() if above else None
    if above and parent is None:
        raise ValidationError({"path": f"there is no group {above}: it comes in a line before"})
    group = services.create_group(
        by,
        path=path,
        parent=parent,
        name=line.get("name", ""),
        visibility=line.get("visibility") or "private",
        description=line.get("description", ""),
    )
    owner = user_named(line["owner"]) if line.get("owner") else None
    if owner is not None and owner != by:
        members.add_member(by, group, owner, AccessLevel.OWNER)
    return True
