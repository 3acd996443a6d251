"""``manage.py garbage``: what the collector has before it, and letting it work now."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError

from gitlab.management.administration import AdministrationCommand

BATCH = 100


class Command(AdministrationCommand):
    """status, run."""

    help = "Ask the registry for the collector's queue, or have what is due reviewed now."

    def add_verbs(self) -> None:
        self.verb("status", "How much is due for review, and when the next is.")
        run = self.verb("run", "Review what is due, batch by batch, until nothing is.")
        run.add_argument(
            "--seconds", type=float, default=3600, help="stop after this long (default: 3600)"
        )

    def status(self, options: dict[str, Any]) -> None:
        found = _asking(lambda registry: registry.garbage())
        next_due = found.next_due_at.isoformat() if found.next_due_at else "never"
        self.show_one(found.raw, f"{found.due} due for review; the next is due: {next_due}.")

    def run(self, options: dict[str, Any]) -> None:
        until = time.monotonic() + options["seconds"]
        totals = {"reviewed": 0, "removed": 0, "postponed": 0, "freed_bytes": 0}
        while True:
            batch = _asking(lambda registry: registry.review_garbage(BATCH))
            for name in totals:
                totals[name] += getattr(batch, name)
            self.progress(f"{totals['reviewed']:,} reviewed, {batch.left_due:,} left")
            if not batch.left_due or not batch.reviewed or time.monotonic() >= until:
                break
        self.progress("")
        self.show_one(
            {**totals, "left_due": batch.left_due},
            f"{totals['reviewed']:,} reviewed, {totals['removed']:,} removed,"
            f" {totals['freed_bytes']:,} bytes freed; {batch.left_due:,} still due.",
        )


def _asking(ask: Any) -> Any:
    from gitlab.container_registry.client import chosen as clients
    from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
    from gitlab.container_registry.client.registry import own_api

    try:
        return ask(own_api(clients.for_jobs(), "collects its garbage by itself"))
    except (RegistryUnavailable, RegistryRefused) as error:
        raise CommandError(str(error)) from error
