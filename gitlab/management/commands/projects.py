"""``manage.py projects``: projects, whoever they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from gitlab.management.administration import AdministrationCommand, Row, administrator

if TYPE_CHECKING:
    from gitlab.accounts.models import User
    from gitlab.namespaces.models import Namespace, Project

_VISIBILITIES = ["private", "internal", "public"]


class Command(AdministrationCommand):
    """list, create, visibility, rename, transfer, delete."""

    help = "List, create, rename, transfer and delete projects, and set who sees them."

    def add_verbs(self) -> None:
        listed = self.verb("list", "Projects, by path.")
        listed.add_argument("--below", metavar="PATH", help="only those in this group or namespace")
        listed.add_argument("--visibility", choices=_VISIBILITIES, help="only these")
        create = self._changing("create", "A new project in a group or namespace that is there.")
        create.add_argument("--visibility", choices=_VISIBILITIES, default="private")
        visibility = self._changing("visibility", "Set who sees a project and pulls its images.")
        visibility.add_argument("visibility", choices=_VISIBILITIES)
        rename = self._changing("rename", "Another last part of the path; images move along.")
        rename.add_argument("new_name")
        transfer = self._changing("transfer", "Into another group or namespace; images move along.")
        transfer.add_argument("namespace")
        self._changing("delete", "Hide a project at once; the worker then deletes its images.")

    def _changing(self, name: str, text: str) -> Any:
        made = self.verb(name, text)
        made.add_argument("path")
        made.add_argument(
            "--by", metavar="USERNAME", help="who does it; default: the oldest administrator"
        )
        return made

    def list(self, options: dict[str, Any]) -> None:
        from django.db.models import Count

        from gitlab.namespaces.models import Project

        rows = Project.objects.filter(pending_delete_at__isnull=True).order_by("full_path")
        if options["below"]:
            rows = rows.filter(full_path__startswith=f"{options['below'].lower().strip('/')}/")
        if options["visibility"]:
            rows = rows.filter(visibility=options["visibility"])
        counted = rows.annotate(images=Count("container_repositories"))
        self.show(
            [{**_row(row), "images": row.images} for row in counted.iterator(2000)], "No projects."
        )

    def create(self, options: dict[str, Any]) -> None:
        from gitlab.namespaces import services

        by = administrator(options["by"])
        parent, _, name = options["path"].rpartition("/")
        project = services.create_project(
            by, namespace=_namespace(by, parent), path=name, visibility=options["visibility"]
        )
        self.show_one(_row(project), f"Made {project.full_path}.")

    def visibility(self, options: dict[str, Any]) -> None:
        from gitlab.namespaces import services

        by = administrator(options["by"])
        project = _project(by, options["path"])
        changed = services.update_project(by, project, visibility=options["visibility"])
        self.show_one(_row(changed), f"{changed.full_path} is {changed.visibility}.")

    def rename(self, options: dict[str, Any]) -> None:
        from gitlab.path_changes import services as path_changes

        by = administrator(options["by"])
        project = _project(by, options["path"])
        self._moved(lambda: path_changes.change_project_path(by, project, path=options["new_name"]))

    def transfer(self, options: dict[str, Any]) -> None:
        from gitlab.path_changes import services as path_changes

        by = administrator(options["by"])
        project, there = _project(by, options["path"]), _namespace(by, options["namespace"])
        self._moved(lambda: path_changes.transfer_project(by, project, namespace=there))

    def delete(self, options: dict[str, Any]) -> None:
        from gitlab.namespaces import services

        by = administrator(options["by"])
        project = _project(by, options["path"])
        services.delete_project(by, project)
        self.show_one(_row(project), f"{project.full_path} is gone; its images follow.")

    def _moved(self, move: Any) -> None:
        from gitlab.container_registry.client.connection import RegistryUnavailable

        try:
            moved: Project = move()
        except RegistryUnavailable as error:
            raise CommandError(
                f"{error}. Where the change was begun the worker finishes it."
            ) from error
        self.show_one(_row(moved), f"It is {moved.full_path} now.")


def _project(by: User, path: str) -> Project:
    from gitlab.namespaces.loaders import get_project_for
    from gitlab.refusals import NotFound

    try:
        return get_project_for(by, path.strip("/"))
    except NotFound as error:
        raise CommandError(f"There is no project {path}.") from error


def _namespace(by: User, path: str) -> Namespace:
    from gitlab.namespaces.loaders import get_namespace_for
    from gitlab.refusals import NotFound

    try:
        return get_namespace_for(by, path.strip("/"))
    except NotFound as error:
        raise CommandError(f"There is no group or namespace {path}.") from error


def _row(project: Project) -> Row:
    return {
        "path": project.full_path,
        "visibility": project.visibility,
        "registry_access": project.registry_access,
        "created_at": project.created_at,
    }
