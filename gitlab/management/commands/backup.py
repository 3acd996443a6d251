"""``manage.py backup OUT``: everything that this node keeps, while it runs."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from gitlab.config import Configuration
from gitlab.node import database_dumps

CONTENTS = "backup.json"
"""Written last: a folder without it is no backup."""

SECRETS = ("keys", "secrets")


class Command(BaseCommand):
    """A lease that pauses collection, the databases, the bytes, the end of the lease."""

    help = (
        "Back up databases, bytes, keys and secrets of this node into a folder, while everybody"
        " goes on. Whatever was acknowledged before it began is in it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="a new folder, or one of a backup to renew")
        parser.add_argument(
            "--link", action="store_true", help="bytes by hard link: the same filesystem"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        config: Configuration = settings.CONFIG
        # Where programs read the result, how far it is goes elsewhere.
        progress = self.stderr if options["format"] == "json" else self.stdout
        folder: Path = options["folder"].absolute()
        if folder.exists() and any(folder.iterdir()) and not (folder / CONTENTS).exists():
            raise CommandError(f"{folder} is not empty and no backup.")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        (folder / CONTENTS).unlink(missing_ok=True)
        begun = dt.datetime.now(dt.UTC)
        aliases = _aliases(config)
        lease = ""
        if "registry" in config.roles:
            lease = _quietly("registry_pause_garbage", "--for", "12h", "--reason", "backup")
        try:
            # GitLab's first: then the registry's has every image that GitLab's knows of.
            for alias in aliases:
                database_dumps.dump(alias, folder / f"{alias}.{database_dumps.suffix(alias)}")
                progress.write(f"{alias}: dumped.", str)
            _copy_secrets(config, folder)
            if lease:
                call_command(
                    "registry_bytes", "save", folder / "registry", link=options["link"],
                    renew=lease, stdout=progress,
                )  # fmt: skip
                # Only now is it sure that nothing was removed in between.
                _quietly("registry_pause_garbage", "--renew", lease, "--for", "1m")
        except database_dumps.DumpFailed as error:
            raise CommandError(str(error)) from error
        finally:
            if lease:
                _quietly("registry_pause_garbage", "--resume", "--id", lease)
        contents = {
            "begun_at": begun.isoformat(),
            "ended_at": dt.datetime.now(dt.UTC).isoformat(),
            "databases": {alias: database_dumps.suffix(alias) for alias in aliases},
            "bytes": bool(lease),
        }
        _write(folder / CONTENTS, json.dumps(contents, indent=2))
        if options["format"] == "json":
            self.stdout.write(json.dumps({"folder": str(folder), **contents}, indent=2))
            return
        self.stdout.write(
            f"{folder}: everything that was acknowledged before {begun:%H:%M:%S} UTC."
        )


def _aliases(config: Configuration) -> list[str]:
    return [
        alias for alias, role in (("default", "web"), ("registry", "registry"))
        if role in config.roles
    ]  # fmt: skip


def _quietly(name: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue().strip()


def _copy_secrets(config: Configuration, folder: Path) -> None:
    """Keys and secrets: without them tokens, sessions and two-factor logins are void."""
    for name in SECRETS:
        source = config.home / name
        if source.is_dir():
            shutil.rmtree(folder / name, ignore_errors=True)
            shutil.copytree(source, folder / name)
            (folder / name).chmod(0o700)


def _write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
