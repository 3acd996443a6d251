"""``manage.py doctor``: whether this node and the registry agree, and the way between them
holds.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gitlab.doctor.examination import examine


class Command(BaseCommand):
    """Prints each check; exit code 1 where one has a finding."""

    help = (
        "Examine keys, certificates, clocks, the realm, the registry and the proxies before it."
        " Each finding names the setting and the cure. Exit code 1 where there is one."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--node",
            action="append",
            default=[],
            metavar="ADDRESS",
            help="a registry node's own address, as http://10.0.0.5:5000; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = examine(settings.CONFIG, [node.rstrip("/") for node in options["node"]])
        if options["format"] == "json":
            self.stdout.write(json.dumps([finding.as_json() for finding in found], indent=2))
        else:
            for finding in found:
                self.stdout.write(f"{'ok  ' if finding.ok else 'BAD '} {finding.check}")
                if not finding.ok:
                    self.stdout.write(f"       {finding.finding}")
                    self.stdout.write(f"       Setting: {finding.setting}")
                    self.stdout.write(f"       Cure: {finding.cure}")
        if not all(finding.ok for finding in found):
            sys.exit(1)
