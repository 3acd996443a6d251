"""``manage.py registry_export``: what has happened, before its time ends."""

from __future__ import annotations

import datetime as dt
import json
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand

from registry.services import exporting


class Command(BaseCommand):
    """Writes one kind as JSON lines."""

    help = (
        "Write events, receipts or the history of tags as JSON, one a line, in order of their ids."
        " They end after berth.events_kept and berth.tag_history_kept. The last id is told on"
        " standard error, for --after the next time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=exporting.KINDS)
        parser.add_argument(
            "--before",
            type=_moment,
            help="those from before: 2026-01-01, 2026-01-01T12:00:00Z; of tags what ended before",
        )
        parser.add_argument(
            "--after", type=int, default=0, metavar="ID", help="those behind this one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count, last = 0, options["after"]
        found = exporting.rows(options["kind"], after=options["after"], before=options["before"])
        for row in found:
            self.stdout.write(json.dumps(row, ensure_ascii=False))
            count, last = count + 1, row["id"]
        self.stderr.write(f"{count:,} exported; the last id is {last}.", str)


def _moment(text: str) -> dt.datetime:
    """A moment, in UTC where no zone is said. Raises `ArgumentTypeError`."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("a moment is 2026-01-01 or 2026-01-01T12:00:00Z") from error
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
