"""``manage.py show_config``: every setting, the value in force, and where it came from."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand
from pydantic import SecretStr

from gitlab.config import KEYS, Configuration, Loaded, reference

MASK = "********"
_URLS = {
    "berth.database_url",
    "berth.registry_database_url",
    "berth.broker_url",
    "berth.cache_url",
}
_GENERATED = {
    "registry.http_secret": "secrets/http_secret",
    "berth.events_secret": "secrets/events_secret",
}


class Command(BaseCommand):
    """Prints the settings as one table, secrets masked."""

    help = "Show each setting, the value in force and where it came from. Secrets are masked."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=["text", "json", "markdown"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["format"] == "markdown":
            self.stdout.write(reference.markdown(), ending="")
            return
        rows = describe(settings.LOADED)
        if options["format"] == "json":
            self.stdout.write(json.dumps(rows, indent=2))
            return
        width = max(len(row["key"]) for row in rows)
        for row in rows:
            value = json.dumps(row["value"], ensure_ascii=False)
            self.stdout.write(f"{row['key']:<{width}} = {value}  # {row['origin']}")


def describe(loaded: Loaded) -> list[dict[str, Any]]:
    """One entry for each key: its name, the value in force ready for JSON, its origin."""
    config = loaded.configuration
    derived = _derived(config)
    rows = []
    for key in _keys(config):
        value: Any = config
        for part in key.split("."):
            value = value[part] if isinstance(value, dict) else getattr(value, part)
        origin = loaded.origins.get(key, "default")
        if value is None and key in derived:
            value, origin = derived[key], "derived"
        elif value is None and key in _GENERATED:
            path = config.home / _GENERATED[key]
            value, origin = (MASK, f"file {path}") if path.exists() else (None, "not generated yet")
        rows.append({"key": key, "value": _printable(key, value), "origin": origin})
    return rows


def _keys(config: Configuration) -> Iterator[str]:
    """Every key, of several tables of a kind those that are there."""
    for key in KEYS:
        before, several, rest = key.partition(f".{reference.NAME}.")
        if not several:
            yield key
            continue
        for name in getattr(config.berth, before.removeprefix("berth.")):
            yield f"{before}.{name}.{rest}"


def _derived(config: Configuration) -> dict[str, Any]:
    """What follows from other settings where a key is not set itself."""
    shown = urlsplit(f"//{config.registry_host_port}")
    return {
        "registry.registry_http_addr": config.registry_http_addr,
        "registry.token_realm": config.token_realm,
        "registry.rootcertbundle": config.certificate_bundle,
        "registry.storage.root": config.storage_root,
        "gitlab_rails.registry_api_url": config.registry_api_url,
        "gitlab_rails.registry_host": shown.hostname,
        "gitlab_rails.registry_port": shown.port,
        "gitlab_rails.registry_key_path": config.key_path,
        "berth.web_http_addr": config.web_http_addr,
        "berth.database_url": config.database_url("gitlab"),
        "berth.registry_database_url": config.database_url("registry"),
    }


def _printable(key: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        value = value.get_secret_value() if key in _URLS else MASK
    if key in _URLS and isinstance(value, str):
        return mask_password(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return str(value) if isinstance(value, Path) else value


def mask_password(url: str) -> str:
    """`url` with the password in it masked: before the host, and in the query."""
    masked = re.sub(r"(?<=://)([^/@:]*):.*(?=@)", rf"\1:{MASK}", url)
    return re.sub(r"(?i)([?&](?:password|pass)=)[^&]*", rf"\1{MASK}", masked)
