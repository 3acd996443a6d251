"""``manage.py audit``: audit events for programs, before their time ends."""

from __future__ import annotations

import json
from typing import Any

from gitlab.management.administration import AdministrationCommand, moment


class Command(AdministrationCommand):
    """export."""

    help = "Hand out audit events, which end after berth.audit_events_kept."

    def add_verbs(self) -> None:
        export = self.verb(
            "export",
            "Write audit events as JSON, one a line, in order of their ids. The last id is told on"
            " standard error, for --after the next time.",
        )
        export.add_argument(
            "--before", type=moment, help="those from before: 2026-01-01, 2026-01-01T12:00:00Z"
        )
        export.add_argument(
            "--after", type=int, default=0, metavar="ID", help="those behind this one"
        )

    def export(self, options: dict[str, Any]) -> None:
        from gitlab.audit.export import rows

        count, last = 0, options["after"]
        for row in rows(after=options["after"], before=options["before"]):
            self.stdout.write(json.dumps(row, ensure_ascii=False))
            count, last = count + 1, row["id"]
        self.stderr.write(f"{count:,} exported; the last id is {last}.", str)
