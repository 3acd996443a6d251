"""``manage.py registry_pause_garbage``: leave everything where it is, for a backup."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.services.garbage import leases

_DURATION = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Command(BaseCommand):
    """Takes a lease that pauses the collector, or ends leases."""

    help = "Pause garbage collection: while it lasts, no content of the registry is removed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--for", dest="duration", default="2h", metavar="2h", help="30s, 15m, 2h, 1d"
        )
        parser.add_argument("--reason", default="asked for on the command line")
        parser.add_argument("--renew", metavar="ID", help="let this lease last that long from now")
        parser.add_argument(
            "--resume", action="store_true", help="end the lease, and collect again"
        )
        parser.add_argument("--id", help="with --resume: this lease only")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> str | None:
        as_json = options["format"] == "json"
        if options["resume"]:
            ended = leases.end(_id(options["id"]) if options["id"] else None)
            self.stdout.write(json.dumps({"ended": ended}) if as_json else f"{ended} leases ended.")
            return None
        matched = _DURATION.fullmatch(options["duration"])
        if matched is None:
            raise CommandError("--for takes a number with s, m, h or d, as in 2h.")
        duration = dt.timedelta(seconds=int(matched[1]) * _SECONDS[matched[2]])
        if options["renew"]:
            if not leases.renew(_id(options["renew"]), duration):
                raise CommandError("That lease has ended: the collector may have run since.")
            return _told(options["renew"], as_json)
        return _told(str(leases.take(duration, options["reason"]).pk), as_json)


def _told(lease: str, as_json: bool) -> str:
    return json.dumps({"lease": lease}) if as_json else lease


def _id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise CommandError(f"{text} is no lease.") from error
