"""``manage.py keys``: which keys sign and are trusted, and changing them without an
interruption.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from gitlab.config import Configuration
from gitlab.management.administration import AdministrationCommand
from tokens import rotation
from tokens.keys import UnusableKey


class Command(AdministrationCommand):
    """list, trust, use, distrust: on nodes of both sides, each for its own files."""

    help = (
        "The keys of the registry's tokens on this node: list them, trust a new one, sign with it,"
        " distrust the old one. Running processes notice by themselves."
    )

    def add_verbs(self) -> None:
        self.verb("list", "The keys that are trusted here, and the one that signs.")
        trust = self.verb("trust", "1. On the registry's nodes: trust a new certificate as well.")
        trust.add_argument("certificate", type=Path, help="gitlab-registry.crt of the new pair")
        use = self.verb("use", "2. On GitLab's nodes: sign with a new pair from now on.")
        use.add_argument("folder", type=Path, help="what generate_keys has written")
        distrust = self.verb(
            "distrust", "3. When the tokens of the old key have ended: take its certificate out."
        )
        distrust.add_argument("key_id", help="as list prints it")

    def handle(self, *args: Any, **options: Any) -> None:
        # Not as the other commands with verbs: the registry's nodes have keys as well.
        self.as_json = options["format"] == "json"
        self.config: Configuration = settings.CONFIG
        self.bundle, self.key_path = self.config.certificate_bundle, self.config.key_path
        try:
            getattr(self, options["verb"])(options)
        except (rotation.Refused, UnusableKey) as error:
            raise CommandError(f"Nothing was changed: {error}.") from error
        except OSError as error:
            raise CommandError(f"Nothing was changed: {error}") from error

    def list(self, options: dict[str, Any]) -> None:
        rows = [asdict(key) for key in rotation.bundled(self.bundle, self.key_path)]
        self.show(rows, "No key is trusted here.")

    def trust(self, options: dict[str, Any]) -> None:
        self._require_files("registry.internal_certificate")
        added = rotation.trust(self.bundle, options["certificate"].read_bytes())
        self.show_one(
            {"bundle": str(self.bundle), "added": added},
            f"{self.bundle} trusts it{'' if added else ' already'}.",
        )

    def use(self, options: dict[str, Any]) -> None:
        if "web" not in self.config.roles:
            raise CommandError("This node serves the registry alone, and signs nothing.")
        self._require_files("registry.internal_certificate", "registry.internal_key",
                            "gitlab_rails.internal_key")  # fmt: skip
        folder: Path = options["folder"]
        key_id = rotation.sign_with(
            self.key_path,
            self.bundle,
            (folder / "gitlab-registry.key").read_bytes(),
            (folder / "gitlab-registry.crt").read_bytes(),
        )
        self.show_one({"key_id": key_id}, f"Tokens are signed with {key_id} from now on.")

    def distrust(self, options: dict[str, Any]) -> None:
        self._require_files("registry.internal_certificate")
        rotation.distrust(self.bundle, self.key_path, options["key_id"])
        left = [key.key_id for key in rotation.bundled(self.bundle, self.key_path)]
        self.show_one(
            {"trusted": left}, f"{options['key_id']} is not trusted here; {', '.join(left)} is."
        )

    def _require_files(self, *settings_names: str) -> None:
        """Raises `CommandError` where the contents stand in the settings, which win at each
        start.
        """
        for name in settings_names:
            table, _, key = name.partition(".")
            if getattr(getattr(self.config, table), key) is not None:
                raise CommandError(
                    f"{name} has the contents of a file that this would change; change the setting,"
                    " and restart."
                )
