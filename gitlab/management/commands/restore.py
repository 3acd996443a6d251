"""``manage.py restore FROM``: a backup into an empty state folder and empty databases."""

from __future__ import annotations

import json
import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from gitlab.config import Configuration
from gitlab.management.commands.backup import CONTENTS, SECRETS
from gitlab.node import database_dumps
from gitlab.server.databases import schema


class Command(BaseCommand):
    """Keys and secrets, databases, bytes. What is there is never overwritten."""

    help = "Bring a backup back, into a state folder and databases that are empty."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="what `backup` has written")
        parser.add_argument(
            "--link", action="store_true", help="bytes by hard link: the same filesystem"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        config: Configuration = settings.CONFIG
        folder: Path = options["folder"].absolute()
        try:
            contents = json.loads((folder / CONTENTS).read_text())
        except (OSError, ValueError) as error:
            raise CommandError(f"{folder} is no whole backup: {error}") from error
        databases: dict[str, str] = contents["databases"]
        _require_emptiness(config, databases)
        config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in SECRETS:
            if (folder / name).is_dir():
                shutil.copytree(folder / name, config.home / name)
        try:
            for alias, kind in databases.items():
                database_dumps.restore(alias, folder / f"{alias}.{kind}")
                self.stdout.write(f"{alias}: restored.")
        except database_dumps.DumpFailed as error:
            raise CommandError(str(error)) from error
        # The backup may be of an older version, which is brought up, or of a newer one.
        try:
            for alias in databases:
                schema.migrate(alias, f"the backup ({alias})")
        except schema.NewerSchema as error:
            raise CommandError(str(error)) from error
        if contents["bytes"]:
            config.storage_root.mkdir(mode=0o700, parents=True, exist_ok=True)
            call_command("registry_pause_garbage", "--resume", stdout=self.stdout)
            call_command(
                "registry_bytes", "load", folder / "registry", link=options["link"],
                stdout=self.stdout,
            )  # fmt: skip
        self.stdout.write("Restored. manage.py registry_verify says whether all is there.")


def _require_emptiness(config: Configuration, databases: dict[str, str]) -> None:
    """Raises `CommandError` where anything is there that a restore would have to overwrite."""
    for name in SECRETS:
        if (config.home / name).exists():
            raise CommandError(f"{config.home / name} is there: nothing was restored.")
    for alias, kind in databases.items():
        if database_dumps.suffix(alias) != kind:
            raise CommandError(f"The backup of {alias} is for another engine ({kind}).")
        if not database_dumps.is_empty(alias):
            raise CommandError(f"The database {alias} is not empty: nothing was restored.")
