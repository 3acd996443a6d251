"""``manage.py registry_bytes``: what `backup` and `restore` do with the registry's bytes."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from registry.services.transfer import copying

_RENEWED_EVERY = 300.0


class Command(BaseCommand):
    """Copies blobs out of the store or into it."""

    help = "Copy the bytes of all blobs into a folder (save) or out of one (load)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("direction", choices=["save", "load"])
        parser.add_argument("folder", type=Path)
        parser.add_argument("--link", action="store_true", help="by hard link where that works")
        parser.add_argument("--renew", metavar="ID", help="a lease to renew while it takes long")

    def handle(self, *args: Any, **options: Any) -> None:
        act = copying.save if options["direction"] == "save" else copying.load
        count = total = 0
        last = time.monotonic()
        try:
            for size in act(options["folder"], by_link=options["link"]):
                count += 1
                total += size
                if options["renew"] and time.monotonic() - last > _RENEWED_EVERY:
                    call_command("registry_pause_garbage", renew=options["renew"])
                    last = time.monotonic()
        except copying.Incomplete as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{count:,} blobs, {total:,} bytes.")
