"""``manage.py generate_keys``: a new key pair, by hand."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tokens import keys


class Command(BaseCommand):
    """Writes ``gitlab-registry.key`` (mode 0600) and ``gitlab-registry.crt``."""

    help = (
        "Generate the key pair of the registry's tokens: carry the key to GitLab's node, leave"
        " the certificate on the registry's. Refuses to overwrite."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", type=Path, required=True, help="the folder to write to")
        parser.add_argument("--rsa", action="store_true", help="an RSA key instead of EC P-256")
        parser.add_argument("--format", choices=["text", "json"], default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["out"]
        key_path, certificate_path = folder / "gitlab-registry.key", folder / "gitlab-registry.crt"
        if certificate_path.exists():
            raise CommandError(f"{certificate_path} is there already; choose another folder")
        key, certificate = keys.generate(rsa_bits=3072 if options["rsa"] else None)
        try:
            keys.write_secret(key_path, key)
        except FileExistsError as error:
            raise CommandError(f"{key_path} is there already; choose another folder") from error
        certificate_path.write_bytes(certificate)
        certificate_path.chmod(0o644)
        if options["format"] == "json":
            written = {"key": str(key_path), "certificate": str(certificate_path)}
            self.stdout.write(json.dumps(written))
            return
        self.stdout.write(f"Wrote {key_path} and {certificate_path}.")
