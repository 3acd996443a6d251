"""``manage.py registry_import``: take over what a docker-registry (distribution) keeps."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from registry.errors import RegistryError
from registry.services.transfer import importing
from registry.services.transfer.sources import FolderSource, NotThere, Source, SourceUnavailable
from registry.storage.base import StorageFull, StorageUnavailable

_SHOWN = 10
"""Names that a warning tells."""


class Command(BaseCommand):
    """Imports one repository after the other; may be stopped and run again."""

    help = (
        "Take over blobs, manifests and tags from the folder or the S3 bucket of a docker-registry,"
        " which must not be running. May be stopped and run again: what is here is passed over."
        " The keys of a bucket are looked for in the environment, as by every AWS client"
        " (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, the machine's role)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source", metavar="SOURCE", help="its rootdirectory: a folder, or s3://bucket/prefix"
        )
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
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would come, and change nothing"
        )
        parser.add_argument("--format", choices=["text", "json"], default="text")
        bucket = parser.add_argument_group("a bucket")
        bucket.add_argument("--endpoint", help="the address of the store, for any but AWS's own")
        bucket.add_argument("--region", default="us-east-1", help="(default: us-east-1)")
        bucket.add_argument(
            "--addressing-style", choices=["auto", "path", "virtual"], default="auto"
        )
        bucket.add_argument(
            "--same-store",
            action="store_true",
            help="it is in the registry's own S3 store: take endpoint, region and keys from there",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._is_dry = options["dry_run"]
        # Where programs read the result, how far it is goes elsewhere.
        self._progress = self.stderr if options["format"] == "json" else self.stdout
        mapped = [_pair(text) for text in options["map"]]
        try:
            source = _source(options)
            names = [(name, renamed(name, mapped)) for name in source.names()]
            objections = self._warn([new_name for _, new_name in names])
            importer = importing.Importer(source, options["link"], options["trust"], self._is_dry)
            results = self._import(importer, names, options["keep_untagged"])
        except NotThere as error:
            raise CommandError(str(error)) from error
        except SourceUnavailable as error:
            raise CommandError(f"The source: {error}. Run it again to go on.") from error
        except (StorageFull, StorageUnavailable) as error:
            raise CommandError(f"The store: {error}. Run it again to go on.") from error
        if options["names"]:
            options["names"].write_text("".join(f"{new_name}\n" for _, new_name in names))
        faults = sum(len(row["faults"]) for row in results)
        self._conclude(results, faults, objections, as_json=options["format"] == "json")
        if faults:
            sys.exit(1)

    def _import(
        self, importer: importing.Importer, names: list[tuple[str, str]], keep_untagged: bool
    ) -> list[dict[str, Any]]:
        """Each repository under its new name; what each has brought."""
        results: list[dict[str, Any]] = []
        for number, (name, new_name) in enumerate(names, 1):
            try:
                result = importer.repository(name, new_name)
                if keep_untagged and not self._is_dry:
                    importing.keep_untagged(new_name)
            except RegistryError as error:
                result = importing.Result(new_name, faults=[f"{new_name}: {error}"])
            self._say(number, len(names), name, result)
            results.append({"from": name, **_as_json(result)})
        return results

    def _warn(self, names: list[str]) -> dict[str, str]:
        """Before anything is taken over: what GitLab's side can't hold, by name, and doubles."""
        objections: dict[str, str] = import_string(settings.REGISTRY_IMPORT_OBJECTIONS)(names)
        if objections:
            self.stderr.write(
                f"GitLab's side can't hold {len(objections)} of {len(names)} names."
                " Stop here and use --map to give them others; what it may hold all the same once"
                " groups are made, `note_images --group-levels --dry-run` says.",
                str,
            )
        for name, why in list(objections.items())[:_SHOWN]:
            self.stderr.write(f"    {name} {why}", str)
        if len(objections) > _SHOWN:
            self.stderr.write("    … all of them: --format json", str)
        doubles = sorted(name for name, count in Counter(names).items() if count > 1)
        if doubles:
            self.stderr.write(f"Several repositories become one: {', '.join(doubles[:10])}.", str)
        return objections

    def _say(self, number: int, total: int, name: str, result: importing.Result) -> None:
        arrow = f" → {result.name}" if name != result.name else ""
        self._progress.write(
            f"[{number}/{total}] {name}{arrow}: {result.blobs} blobs ({result.bytes:,} bytes),"
            f" {result.manifests} manifests, {result.tags} tags; {result.known} were here",
            str,
        )
        for fault in result.faults:
            self._progress.write(f"    {fault}", str)

    def _conclude(
        self,
        results: list[dict[str, Any]],
        faults: int,
        objections: dict[str, str],
        *,
        as_json: bool,
    ) -> None:
        if as_json:
            body = {"repositories": results, "faults": faults, "objections": objections}
            self.stdout.write(json.dumps({**body, "dry_run": self._is_dry}, indent=2))
            return
        self.stdout.write(f"{len(results)} repositories, {faults} faults.")
        if self._is_dry:
            total = sum(row["bytes"] for row in results)
            self.stdout.write(
                f"Nothing was changed. At most {total:,} bytes would come: what several"
                " repositories share counts for each."
            )


def _source(options: dict[str, Any]) -> Source:
    """What `options` name. Raises `NotThere`, `SourceUnavailable`, `CommandError`."""
    location: str = options["source"]
    if options["link"] and (location.startswith("s3://") or not _has_files()):
        raise CommandError("--link needs a folder, and the filesystem store.")
    if not location.startswith("s3://"):
        return FolderSource(Path(location))
    # Only here: boto3 takes half a second and tens of megabytes.
    from registry.services.transfer import bucket_source
    from registry.storage.s3_client import S3Options

    bucket, prefix = bucket_source.parse(location)
    store: dict[str, Any] = {
        name: options[name] for name in ("endpoint", "region", "addressing_style")
    }
    if options["same_store"]:
        if _has_files():
            raise CommandError("--same-store: the registry's own store is no S3 store.")
        configured: dict[str, Any] = settings.REGISTRY_STORAGE
        store = configured["s3"]
    return bucket_source.BucketSource(S3Options(**{**store, "bucket": bucket, "prefix": prefix}))


def _has_files() -> bool:
    return bool(settings.REGISTRY_STORAGE["driver"] == "filesystem")


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
