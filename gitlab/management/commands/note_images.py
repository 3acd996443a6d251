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
        parser.add_argument(
            "--create-groups",
            action="store_true",
            help="make missing groups at the top too: of group/project/image the first",
        )
        parser.add_argument("--owner", help="the username in whose name they are made")

    def handle(self, *args: Any, **options: Any) -> None:
        from gitlab.accounts.models import User
        from gitlab.container_registry import repositories
        from gitlab.container_registry.image_paths import image_paths
        from gitlab.refusals import Forbidden, Invalid, NotFound

        owner = None
        if options["create_projects"] or options["create_groups"]:
            owner = User.objects.filter(username=options["owner"] or "").first()
            if owner is None:
                raise CommandError("To create, --owner needs the name of a person.")
        source = options["file"]
        text = sys.stdin.read() if str(source) == "-" else source.read_text()
        left: list[str] = []
        noted = 0
        for name in filter(None, map(str.strip, text.splitlines())):
            try:
                image = image_paths([name]).get(name)
                if image is None and owner is not None and options["create_groups"]:
                    _create_group(name, owner)
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


def _create_group(name: str, owner: Any) -> None:
    """The group at the top in which an image lies; the next segment is its project's.

    Raises `Invalid` and `Forbidden`.
    """
    from gitlab.namespaces.services import create_group
    from gitlab.refusals import Invalid

    top, _, below = name.partition("/")
    if not below:
        raise Invalid({"path": "an image lies in a project, and that in a group: map it to one"})
    create_group(owner, path=top)
