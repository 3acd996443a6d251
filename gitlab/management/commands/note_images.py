"""``manage.py note_images``: let GitLab know of images that the registry has got without a push."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Notes a container repository for each name, in its project."""

    help = (
        "Note container repositories for the images named in a file, one a line, as"
        " registry_import --names writes them. Their projects have to be there, or are made."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the names; - reads them from stdin")
        parser.add_argument("--create-projects", action="store_true", help="make missing projects")
        parser.add_argument("--owner", help="the username in whose name they are made")

    def handle(self, *args: Any, **options: Any) -> None:
        from gitlab.accounts.models import User
        from gitlab.container_registry import repositories
        from gitlab.container_registry.image_paths import image_paths
        from gitlab.refusals import Forbidden, Invalid, NotFound

        owner = None
        if options["create_projects"]:
            owner = User.objects.filter(username=options["owner"] or "").first()
            if owner is None:
                raise CommandError("--create-projects needs --owner with the name of a person.")
        source = options["file"]
        text = sys.stdin.read() if str(source) == "-" else source.read_text()
        left: list[str] = []
        noted = 0
        for name in filter(None, map(str.strip, text.splitlines())):
            try:
                image = image_paths([name]).get(name)
                if image is not None and image.project is None and owner is not None:
                    repositories.create_project_of(image, by=owner, reason="import")
                    image = image_paths([name]).get(name)
                if image is None or image.project is None:
                    left.append(f"{name}: there is no project, and no namespace to make it in")
                    continue
                repositories.note(image.project, name, by=owner)
                noted += 1
            except (Invalid, Forbidden, NotFound) as error:
                left.append(f"{name}: {error}")
        self.stdout.write(f"{noted} images are noted.")
        for line in left:
            self.stdout.write(f"    {line}")
        if left:
            sys.exit(1)
