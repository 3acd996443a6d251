"""``manage.py registry_import``: take over the folder of a docker-registry (distribution)."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from registry.errors import RegistryError
from registry.services.transfer import importing
from registry.storage.base import StorageFull, StorageUnavailable


class Command(BaseCommand):
    """Imports one repository after the other; may be stopped and run again."""

    help = (
        "Take over blobs, manifests and tags from the folder of a docker-registry, which must not"
        " be running. May be stopped and run again: what is here is passed over."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="its rootdirectory")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--link", action="store_true", help="by hard link: the same filesystem")
        how.add_argument("--copy", action="store_true", help="by copying (the default)")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="FROM=TO",
            help="rename: FROM and what is below it; =TO puts everything below TO",
        )
        parser.add_argument("--trust", action="store_true", help="don't verify digests of blobs")
        parser.add_argument(
            "--keep-untagged",
            action="store_true",
            help="never collect untagged manifests of these images",
        )
        parser.add_argument(
            "--names", type=Path, help="write the names to this file, for `note_images`"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["link"] and settings.REGISTRY_STORAGE["driver"] != "filesystem":
            raise CommandError("--link needs the filesystem store.")
        try:
            source = importing.Source(options["path"])
        except importing.NotThere as error:
            raise CommandError(str(error)) from error
        # Where programs read the result, how far it is goes elsewhere.
        self._progress = self.stderr if options["format"] == "json" else self.stdout
        results: list[dict[str, Any]] = []
        mapped = [_pair(text) for text in options["map"]]
        names = list(source.names())
        self._warn([renamed(name, mapped) for name in names])
        importer = importing.Importer(source, options["link"], options["trust"])
        faults = 0
        done: list[str] = []
        for number, name in enumerate(names, 1):
            new_name = renamed(name, mapped)
            try:
                result = importer.repository(name, new_name)
                if options["keep_untagged"]:
                    importing.keep_untagged(new_name)
            except RegistryError as error:
                result = importing.Result(new_name, faults=[f"{new_name}: {error}"])
            except (StorageFull, StorageUnavailable) as error:
                raise CommandError(f"The store: {error}. Run it again to go on.") from error
            self._say(number, len(names), name, result)
            faults += len(result.faults)
            results.append({"from": name, **_as_json(result)})
            done.append(new_name)
        if options["names"]:
            options["names"].write_text("".join(f"{name}\n" for name in done))
        if options["format"] == "json":
            self.stdout.write(json.dumps({"repositories": results, "faults": faults}, indent=2))
        else:
            self.stdout.write(f"{len(names)} repositories, {faults} faults.")
        if faults:
            sys.exit(1)

    def _warn(self, names: list[str]) -> None:
        """Before anything is taken over: names that lie in no namespace, where GitLab has none."""
        alone = [name for name in names if "/" not in name]
        if alone:
            self.stderr.write(
                f"GitLab's side can't hold {len(alone)} of {len(names)} names, which have no"
                f" group: {', '.join(alone[:10])}{', …' if alone[10:] else ''}."
                " Stop here and use --map =GROUP to put them below one.",
                str,
            )
        doubles = sorted(name for name in set(names) if names.count(name) > 1)
        if doubles:
            self.stderr.write(f"Several repositories become one: {', '.join(doubles[:10])}.", str)

    def _say(self, number: int, total: int, name: str, result: importing.Result) -> None:
        arrow = f" → {result.name}" if name != result.name else ""
        self._progress.write(
            f"[{number}/{total}] {name}{arrow}: {result.blobs} blobs ({result.bytes:,} bytes),"
            f" {result.manifests} manifests, {result.tags} tags; {result.known} were here",
            str,
        )
        for fault in result.faults:
            self._progress.write(f"    {fault}", str)


def _as_json(result: importing.Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "blobs": result.blobs,
        "bytes": result.bytes,
        "manifests": result.manifests,
        "tags": result.tags,
        "known": result.known,
        "faults": result.faults,
    }


def _pair(text: str) -> tuple[str, str]:
    old, separator, new = text.partition("=")
    if not separator or not new:
        raise CommandError(f"--map {text}: it has the form FROM=TO")
    return old.strip("/"), new.strip("/")


def renamed(name: str, mapped: list[tuple[str, str]]) -> str:
    """What an image is called here: the longest mapping that fits."""
    for old, new in sorted(mapped, key=lambda pair: len(pair[0]), reverse=True):
        if not old:
            return f"{new}/{name}"
        if name == old or name.startswith(f"{old}/"):
            return new + name[len(old) :]
    return name
