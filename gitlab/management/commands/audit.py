"""``manage.py audit``: audit events for programs, before their time ends."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError

from gitlab.management.administration import AdministrationCommand, moment


class Command(AdministrationCommand):
    """export, verify."""

    help = "Hand out audit events, and prove that none was changed."

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

        verify = self.verb(
            "verify",
            "Compute the chain of digests again. Says where it ends: keep that elsewhere, and give"
            " it the next time.",
        )
        verify.add_argument(
            "--against", type=_kept, metavar="POSITION:DIGEST", help="what was said some time ago"
        )

    def verify(self, options: dict[str, Any]) -> None:
        from gitlab.audit import chain

        found = chain.verify(*(options["against"] or (None, "")))
        if found.faults:
            raise CommandError("\n".join(found.faults))
        sentence = (
            f"{found.count:,} events are what was sealed, the last at {found.last}:{found.digest}."
        )
        if found.swept:
            sentence += f" {found.swept:,} before them are gone, whose time was over."
        if found.unsealed_since is not None:
            since = found.unsealed_since.isoformat(timespec="seconds")
            sentence += f" {found.unsealed:,} are not sealed yet, the first since {since}."
        row = {
            "events": found.count,
            "position": found.last,
            "digest": found.digest,
            "swept": found.swept,
            "unsealed": found.unsealed,
            "unsealed_since": found.unsealed_since,
        }
        self.show_one(row, sentence)

    def export(self, options: dict[str, Any]) -> None:
        from gitlab.audit.export import rows

        count, last = 0, options["after"]
        for row in rows(after=options["after"], before=options["before"]):
            self.stdout.write(json.dumps(row, ensure_ascii=False))
            count, last = count + 1, row["id"]
        self.stderr.write(f"{count:,} exported; the last id is {last}.", str)


def _kept(text: str) -> tuple[int, str]:
    position, colon, digest = text.partition(":")
    if not colon or not position.isdecimal() or len(digest) != 64:
        raise ArgumentTypeError("POSITION:DIGEST, as `audit verify` says it")
    return int(position), digest.lower()
