"""``manage.py registry_verify``: is what the rows say in the store, and the other way round?"""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from registry.models import Blob, Manifest, Verification
from registry.services.verification import repairing
from registry.services.verification import rounds as verification_rounds
from registry.services.verification.comparison import (
    MEBIBYTE,
    PHASES,
    Finding,
    Throttle,
    Verifier,
)


class Command(BaseCommand):
    """Goes through one round, prints what it finds, and exits with 1 where that is something."""

    help = (
        "Compare the registry's rows with its bytes, while it runs. Exits with 1 where something"
        " is wrong."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--read-data", action="store_true", help="hash every byte")
        parser.add_argument("--format", choices=["text", "json"], default="text")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="move damaged bytes to quarantine/ and queue missing reviews; nothing is deleted",
        )
        parser.add_argument("--rate", type=float, metavar="MIB/S", help="read no faster than this")
        parser.add_argument("--resume", action="store_true", help="go on where the last one ended")

    def handle(self, *args: Any, **options: Any) -> None:
        rate = options["rate"]
        verifier = Verifier(
            reads_data=options["read_data"],
            throttle=Throttle(rate * MEBIBYTE if rate else None),
            page_bytes=64 * MEBIBYTE,
        )
        self._as_json = options["format"] == "json"
        self._bar = _Bar()
        row = verification_rounds.begin(verification_rounds.COMMAND, resume=options["resume"])
        begun = time.monotonic()
        counts: dict[str, int] = {}
        if self._as_json:
            self.stdout.write('{"findings": [', ending="")
        for page in verification_rounds.rounds(row, verifier):
            for finding in page.findings:
                counts[finding.kind] = counts.get(finding.kind, 0) + 1
                done = repairing.repair(finding) if options["repair"] else ""
                self._say(finding, done, is_first=sum(counts.values()) == 1)
            self._bar.draw(row)
        self._bar.end()
        self._conclude(row, counts, time.monotonic() - begun)
        if counts:
            sys.exit(1)

    def _say(self, finding: Finding, done: str, *, is_first: bool) -> None:
        """One finding, at once: a list of them would not stay small."""
        if self._as_json:
            body = {
                "kind": finding.kind,
                "subject": finding.subject,
                "detail": finding.detail,
                "needed_by": finding.needed_by,
                **({"repair": done} if done else {}),
            }
            self.stdout.write(("" if is_first else ",") + "\n  " + json.dumps(body), ending="")
            return
        self._bar.end()
        self.stdout.write(f"{finding.kind}: {finding.subject}: {finding.detail}")
        if finding.needed_by:
            self.stdout.write(f"    needed by {', '.join(finding.needed_by)}")
        if done:
            self.stdout.write(f"    {done}")

    def _conclude(self, row: Verification, counts: dict[str, int], seconds: float) -> None:
        total = sum(counts.values())
        if self._as_json:
            summary = {
                "checked": row.checked,
                "bytes_read": row.bytes,
                "seconds": round(seconds, 1),
            }
            text = json.dumps({**summary, "faults": total, "by_kind": counts})
            self.stdout.write(f"\n], {text[1:]}")
            return
        for kind, count in sorted(counts.items()):
            self.stdout.write(f"{count:>8,} {kind}")
        read = f", {row.bytes / MEBIBYTE:,.0f} MiB read" if row.bytes else ""
        verdict = f"{total:,} faults" if total else "nothing is wrong"
        self.stdout.write(f"{row.checked:,} checked{read} in {seconds:.1f} s: {verdict}.")


class _Bar:
    """How far it is, on a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        # Each blob is met as a row and as a file.
        self._total = max(1, Blob.objects.count() * 2 + Manifest.objects.count())

    def draw(self, row: Verification) -> None:
        if not self._is_shown:
            return
        share = min(1.0, row.checked / self._total)
        bar = ("#" * round(share * 30)).ljust(30)
        number = PHASES.index(row.phase) + 1
        sys.stderr.write(
            f"\r\x1b[K[{bar}] {share:4.0%}  {number}/{len(PHASES)} {row.phase}"
            f"  {row.bytes / MEBIBYTE:,.0f} MiB"
        )
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line to what is printed next."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
