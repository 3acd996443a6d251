"""Projects: found, made, changed, moved, archived, deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person, require_confirmation
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter
from gitlab.api.lookups import as_id_or_path, group_for, namespace_for, project_for, user_called
from gitlab.api.pagination import ordering as order_of
from gitlab.api.pagination import page_of, sorting
from gitlab.api.parameters import Parameters, choice, flag, identifier, moment, text
from gitlab.api.project_entities import ProjectEntity, ProjectSimple, context_for
from gitlab.api.shared_groups import shared_with
from gitlab.container_registry import repositories
from gitlab.container_registry.cleanup import services as cleanup
from gitlab.container_registry.cleanup.models import Cadence
from gitlab.namespaces import group_links, queries, services
from gitlab.namespaces.models import AccessLevel, Namespace, Project, RegistryAccess, Visibility
from gitlab.namespaces.paths import slug
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.roles import Roles
from gitlab.path_changes import services as path_changes
from gitlab.principals import Anybody, Person

_ORDERS = {
    "id": ("id",),
    "name": ("name", "id"),
    "path": ("full_path",),
    "created_at": ("created_at", "id"),
    "updated_at": ("updated_at", "id"),
    "last_activity_at": ("updated_at", "id"),
}
_POLICY = "container_expiration_policy_attributes"
_NAMES = {"registry_access": "container_registry_access_level", "namespace": "namespace_id"}


class ListParameters(sorting(list(_ORDERS))):  # type: ignore[misc]
    """Which projects, and how they are shown."""

    search = text()
    visibility = choice(Visibility.choices)
    archived = flag()
    owned = flag()
    membership = flag()
    min_access_level = serializers.ChoiceField(choices=AccessLevel.choices, required=False)
    simple = flag()
    statistics = flag()
    id_after = identifier(required=False)
    id_before = identifier(required=False)
    last_activity_after = moment()
    last_activity_before = moment()


class GroupListParameters(ListParameters):
    """Which projects of a group."""

    include_subgroups = flag()
    with_shared = flag(help_text="Those too to which the group is invited; true unless said.")


def _filtered(
    user: Anybody, given: Mapping[str, Any], within: Namespace | None = None
) -> QuerySet[Project]:
    """The projects that are asked for, of those that somebody may see."""
    search = given.get("search", "")
    if user is not None and (given.keys() & {"owned", "membership", "min_access_level"}):
        lowest = AccessLevel.OWNER if given.get("owned") else given.get("min_access_level", 0)
        rows = (
            queries.projects_of(user, search=search, lowest=lowest)
            if given.get("owned") or given.get("membership") or lowest
            else queries.projects_visible_to(user, search=search)
        )
    else:
        rows = queries.projects_visible_to(user, search=search)
    if within is not None:
        rows = rows.filter(_in_group(within, given))
    columns = {
        "visibility": "visibility",
        "archived": "archived",
        "id_after": "pk__gt",
        "id_before": "pk__lt",
        "last_activity_after": "updated_at__gt",
        "last_activity_before": "updated_at__lt",
    }
    wanted = {column: given[name] for name, column in columns.items() if name in given}
    return rows.filter(**wanted).select_related("namespace__owner")


def _in_group(group: Namespace, given: Mapping[str, Any]) -> Q:
    """What is in a group, or at any depth below it, and the projects to which it is invited."""
    found = Q(namespace=group)
    if given.get("include_subgroups"):
        found = Q(full_path__startswith=f"{group.full_path}/")
    # Found first: where there are none, the list is a walk along one index.
    shared = group_links.projects_shared_with(group) if given.get("with_shared", True) else []
    return found | Q(pk__in=shared) if shared else found


def _sizes(user: Anybody, projects: Sequence[Project]) -> dict[int, int | None]:
    """Bytes of each project's images, of those only whose images somebody may read."""
    roles = Roles(user)
    readable = [project for project in projects if roles.reads_images(project)]
    return repositories.sizes_of(readable)


def _page(request: Request, given: Mapping[str, Any], rows: QuerySet[Project]) -> Response:
    page = page_of(request, given, rows, order_of(given, _ORDERS, "-created_at"))
    sizes = _sizes(request.user, page.rows) if given.get("statistics") else None
    context = context_for(request.user, page.rows, sizes)
    entity = ProjectSimple if given.get("simple") else ProjectEntity
    return page.response(entity(page.rows, many=True, context=context).data)


def shown(user: Anybody, project: Project, *, statistics: bool = False) -> dict[str, Any]:
    """A project as it is now, as `user` sees it."""
    project = Project.objects.select_related("namespace__owner").get(pk=project.pk)
    sizes = _sizes(user, [project]) if statistics else None
    context = context_for(user, [project], sizes)
    context["shared"] = shared_with(user, project)
    return dict(ProjectEntity(project, context=context).data)


_KEEP_N = f"One of {', '.join(map(str, cleanup.GITLAB_KEEP_N))}, or nothing."


class KeepCount(serializers.IntegerField):
    """How many of the newest stay; an empty text takes that away."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """The number, or None."""
        return super().run_validation(None if data == "" else data)


class ExpirationPolicyParameters(Parameters):
    """The first rule of a project's cleanup policy, in GitLab's words."""

    cadence = choice(Cadence.choices)
    enabled = flag()
    keep_n = KeepCount(required=False, allow_null=True, help_text=_KEEP_N)
    older_than = text(allow_null=True, help_text="`7d`, `14d`, `30d`, `60d`, `90d`, or nothing.")
    name_regex = text(allow_null=True, help_text="GitLab's older word for `name_regex_delete`.")
    name_regex_delete = text(allow_null=True, help_text="RE2, of the whole name.")
    name_regex_keep = text(allow_null=True, help_text="RE2: these stay.")


class _Settings(Parameters):
    """What can be given to a project when it is made, and later."""

    name = text()
    path = text()
    description = text(allow_null=True)
    visibility = choice(Visibility.choices)
    container_registry_access_level = choice(RegistryAccess.choices)
    container_registry_enabled = flag(help_text="GitLab's older word for the access level.")
    container_expiration_policy_attributes = ExpirationPolicyParameters(required=False)


class CreateParameters(_Settings):
    """A new project: its name or its path, and where."""

    namespace_id = serializers.CharField(
        required=False, help_text="An id or a path; one's own namespace if it is left out."
    )


class ChangeParameters(_Settings):
    """What shall be different."""

    keep_untagged = flag(help_text="Ours: manifests without a tag are not collected.")


def _arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the services are told."""
    taken = ("name", "description", "visibility", "keep_untagged")
    found = {name: given[name] for name in taken if given.get(name) is not None}
    if "container_registry_enabled" in given:
        enabled = given["container_registry_enabled"]
        found["registry_access"] = RegistryAccess.ENABLED if enabled else RegistryAccess.DISABLED
    if "container_registry_access_level" in given:
        found["registry_access"] = given["container_registry_access_level"]
    return found


def _create(by: Person, namespace: Namespace, given: Mapping[str, Any]) -> Project:
    path = given.get("path") or slug(given.get("name", ""))
    if not path:
        raise BadParameter("name, path are missing, at least one parameter must be provided")
    with transaction.atomic():
        project = services.create_project(by, namespace=namespace, path=path, **_arguments(given))
        _set_policy(by, project, given)
    return project


def _set_policy(by: Person, project: Project, given: Mapping[str, Any]) -> None:
    policy = given.get(_POLICY)
    if policy:
        cleanup.save_gitlab_fields(by, project, policy)


class Projects(Endpoint):
    """``/projects``"""

    section = "Projects"
    visitors = True
    names = _NAMES

    @operation("List projects", takes=ListParameters, gives=ProjectEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """The projects that one may see; visitors see those that are public."""
        return _page(request, given, _filtered(request.user, given))

    @operation(
        "Create a project",
        takes=CreateParameters,
        gives=ProjectEntity,
        status=201,
        refuses=[404, 409],
    )
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """A new project in a group or in one's own namespace."""
        by = person(request)
        where = as_id_or_path(given["namespace_id"]) if "namespace_id" in given else by.username
        project = _create(by, namespace_for(by, where), given)
        return Response(shown(by, project), status=201)


class ProjectForUser(Endpoint):
    """``/projects/user/:user_id``"""

    section = "Projects"
    administrators = True
    names = _NAMES

    @operation(
        "Create a project for somebody",
        takes=CreateParameters,
        gives=ProjectEntity,
        status=201,
        refuses=[404, 409],
    )
    def post(self, request: Request, given: dict[str, Any], user_id: int) -> Response:
        """A new project in the namespace of this person, or in a group."""
        by, user = person(request), user_called(user_id)
        where = as_id_or_path(given["namespace_id"]) if "namespace_id" in given else user.username
        return Response(shown(by, _create(by, namespace_for(by, where), given)), status=201)


class ShowParameters(Parameters):
    """How much of a project."""

    statistics = flag()


class OneProject(Endpoint):
    """``/projects/:id``"""

    section = "Projects"
    visitors = True
    names = _NAMES
    confirmed = ["DELETE"]

    @operation("Show a project", takes=ShowParameters, gives=ProjectEntity, refuses=[404])
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """A project that one may see."""
        project = project_for(request.user, id)
        statistics = bool(given.get("statistics"))
        return Response(shown(request.user, project, statistics=statistics))

    @operation(
        "Change a project", takes=ChangeParameters, gives=ProjectEntity, refuses=[404, 409, 503]
    )
    def put(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """What is given is changed. Another path takes the images along, and is a request of its
        own.
        """
        by = person(request)
        project = project_for(by, id, Ability.ADMIN_PROJECT)
        arguments = _arguments(given)
        if arguments.get("visibility") == Visibility.PUBLIC != project.visibility:
            require_confirmation(request)
        path = given.get("path", project.path)
        if path != project.path and (arguments or _POLICY in given):
            raise BadParameter("path has to be changed alone")
        if path != project.path:
            project = path_changes.change_project_path(by, project, path=path)
        else:
            with transaction.atomic():
                project = services.update_project(by, project, **arguments)
                _set_policy(by, project, given)
        return Response(shown(by, project))

    @operation("Delete a project", status=202, refuses=[404])
    def delete(self, request: Request, id: int | str) -> Response:
        """The project is hidden at once; its images are deleted by a job."""
        by = person(request)
        services.delete_project(by, project_for(by, id, Ability.REMOVE_PROJECT))
        return Response({"message": "202 Accepted"}, status=202)


class Archive(Endpoint):
    """``/projects/:id/archive`` and ``/unarchive``"""

    section = "Projects"
    archived = True

    @operation("Archive a project", gives=ProjectEntity, status=201, refuses=[404])
    def post(self, request: Request, id: int | str) -> Response:
        """From now on its images are only pulled."""
        return self._set(request, id)

    def _set(self, request: Request, id: int | str) -> Response:
        by = person(request)
        project = project_for(by, id, Ability.REMOVE_PROJECT)
        services.set_archived(by, project, archived=self.archived)
        return Response(shown(by, project), status=201)


class Unarchive(Archive):
    """``/projects/:id/unarchive``"""

    archived = False

    @operation("Take a project out of the archive", gives=ProjectEntity, status=201, refuses=[404])
    def post(self, request: Request, id: int | str) -> Response:
        """Its images are pushed and deleted again."""
        return self._set(request, id)


class ProjectsOfUser(Endpoint):
    """``/users/:id/projects``"""

    section = "Projects"
    visitors = True

    @operation(
        "List the projects of somebody",
        takes=ListParameters,
        gives=ProjectEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Those in somebody's own namespace, as far as one may see them."""
        rows = _filtered(request.user, given).filter(namespace__owner_id=user_called(id).pk)
        return _page(request, given, rows)


class ProjectsOfGroup(Endpoint):
    """``/groups/:id/projects``"""

    section = "Groups"
    visitors = True

    @operation(
        "List the projects of a group",
        takes=GroupListParameters,
        gives=ProjectEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Those in a group, with `include_subgroups` at any depth, and those to which it is
        invited, unless `with_shared` is false; as far as one may see them.
        """
        group = group_for(request.user, id)
        return _page(request, given, _filtered(request.user, given, group))
