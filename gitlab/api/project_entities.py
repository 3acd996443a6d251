"""What is shown of projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from gitlab.api.fields import Entity, Moment, UserBasic, api_url, web_url
from gitlab.api.namespaces import NamespaceBasic
from gitlab.api.shared_groups import SharedGroupEntity
from gitlab.container_registry.cleanup import services as cleanup
from gitlab.container_registry.cleanup.models import Cadence
from gitlab.namespaces import queries
from gitlab.namespaces.models import Project, RegistryAccess, Visibility
from gitlab.namespaces.roles import Roles
from gitlab.principals import Anybody


class AccessEntity(Entity):
    """A role."""

    access_level = serializers.IntegerField()
    notification_level = serializers.IntegerField()


class PermissionsEntity(Entity):
    """One's own roles: in the project, and in the groups above it."""

    project_access = AccessEntity(allow_null=True)
    group_access = AccessEntity(allow_null=True)


class StatisticsEntity(Entity):
    """How much is stored, in bytes; null where the registry can't tell."""

    storage_size = serializers.IntegerField(allow_null=True)
    container_registry_size = serializers.IntegerField(allow_null=True)
    repository_size = serializers.IntegerField()
    commit_count = serializers.IntegerField()


class ExpirationPolicy(Entity):
    """A cleanup policy as GitLab has it: its first rule. See `cleanup/policy` for all of it."""

    cadence = serializers.ChoiceField(choices=Cadence.choices)
    enabled = serializers.BooleanField()
    keep_n = serializers.IntegerField(allow_null=True)
    older_than = serializers.CharField(allow_null=True)
    name_regex = serializers.CharField(allow_null=True)
    name_regex_delete = serializers.CharField(allow_null=True)
    name_regex_keep = serializers.CharField(allow_null=True)
    next_run_at = Moment(allow_null=True)


_POLICY = ExpirationPolicy()
"""One for all: a serializer copies its fields when it is made, a hundred times for a page."""


class ProjectLinks(Entity):
    """Where the parts of a project are."""

    self = serializers.CharField()
    members = serializers.CharField()
    repositories = serializers.CharField()


class ProjectSimple(Entity):
    """A project, as with `simple=true`."""

    id = serializers.IntegerField()
    description = serializers.CharField()
    name = serializers.CharField()
    name_with_namespace = serializers.SerializerMethodField()
    path = serializers.CharField()
    path_with_namespace = serializers.CharField(source="full_path")
    created_at = Moment()
    last_activity_at = Moment(source="updated_at")
    web_url = serializers.SerializerMethodField()
    avatar_url = serializers.SerializerMethodField()
    namespace = NamespaceBasic()
    topics = serializers.SerializerMethodField()
    tag_list = serializers.SerializerMethodField()
    star_count = serializers.SerializerMethodField()
    forks_count = serializers.SerializerMethodField()

    def get_name_with_namespace(self, project: Project) -> str:
        """``Acme / Tools / Builder``"""
        above: Mapping[str, str] = self.context["names"]
        return f"{above[project.namespace.full_path]} / {project.name}"

    def get_web_url(self, project: Project) -> str:
        """Its page."""
        return web_url(project.full_path)

    def get_avatar_url(self, project: Project) -> str | None:
        """None: nothing has a picture here."""
        return None

    def get_topics(self, project: Project) -> list[str]:
        """Empty: there are no topics here."""
        return []

    def get_tag_list(self, project: Project) -> list[str]:
        """The same by its old name."""
        return []

    def get_star_count(self, project: Project) -> int:
        """0: there are no stars here."""
        return 0

    def get_forks_count(self, project: Project) -> int:
        """0: there are no forks here."""
        return 0


class ProjectEntity(ProjectSimple):
    """A project."""

    updated_at = Moment(read_only=True)
    visibility = serializers.ChoiceField(choices=Visibility.choices, read_only=True)
    archived = serializers.BooleanField(read_only=True)
    empty_repo = serializers.SerializerMethodField()
    creator_id = serializers.IntegerField(allow_null=True, read_only=True)
    owner = UserBasic(source="namespace.owner", read_only=True, help_text="Of a personal project.")
    container_registry_image_prefix = serializers.SerializerMethodField()
    container_registry_enabled = serializers.SerializerMethodField()
    container_registry_access_level = serializers.ChoiceField(
        choices=RegistryAccess.choices, source="registry_access", read_only=True
    )
    keep_untagged = serializers.BooleanField(
        read_only=True, help_text="Ours: manifests without a tag are not collected."
    )
    container_expiration_policy = serializers.SerializerMethodField()
    permissions = serializers.SerializerMethodField()
    shared_with_groups = serializers.SerializerMethodField()
    statistics = serializers.SerializerMethodField()
    _links = serializers.SerializerMethodField()

    def to_representation(self, project: Project) -> Any:
        """Without those parts that there are only for some."""
        shown = super().to_representation(project)
        if shown["owner"] is None:
            del shown["owner"]
        if "statistics" not in self.context:
            del shown["statistics"]
        if "shared" not in self.context:
            del shown["shared_with_groups"]
        return shown

    def get_empty_repo(self, project: Project) -> bool:
        """True: no code is kept here."""
        return True

    def get_container_registry_image_prefix(self, project: Project) -> str:
        """What the names of its images begin with."""
        return f"{settings.CONTAINER_REGISTRY_HOST_PORT}/{project.full_path}"

    def get_container_registry_enabled(self, project: Project) -> bool:
        """Whether images can be pushed at all."""
        return project.registry_access != RegistryAccess.DISABLED

    @extend_schema_field(ExpirationPolicy)
    def get_container_expiration_policy(self, project: Project) -> dict[str, Any]:
        """The cleanup policy that holds for it, its own or an inherited one."""
        policy = self.context["policies"].get(project.pk) or cleanup.proposed()
        return dict(_POLICY.to_representation(cleanup.gitlab_fields(policy)))

    @extend_schema_field(PermissionsEntity)
    def get_permissions(self, project: Project) -> dict[str, Any]:
        """One's roles, null where there is none."""
        roles: Roles = self.context["roles"]
        direct = roles.projects.get(project.pk, 0)
        return _permissions(direct, roles.level_above(project))

    @extend_schema_field(SharedGroupEntity(many=True))
    def get_shared_with_groups(self, project: Project) -> list[dict[str, Any]]:
        """The groups that are invited to it, where it is shown alone."""
        return list(self.context.get("shared", []))

    @extend_schema_field(StatisticsEntity)
    def get_statistics(self, project: Project) -> dict[str, Any]:
        """With `statistics=true`, for who may read the images."""
        size = self.context.get("statistics", {}).get(project.pk)
        nothing = {"repository_size": 0, "commit_count": 0}
        return {"storage_size": size, "container_registry_size": size, **nothing}

    @extend_schema_field(ProjectLinks)
    def get__links(self, project: Project) -> dict[str, Any]:
        """Where its parts are."""
        here = api_url(f"projects/{project.pk}")
        return {
            "self": here,
            "members": f"{here}/members",
            "repositories": f"{here}/registry/repositories",
        }


def _permissions(direct: int, above: int) -> dict[str, Any]:
    def access(level: int) -> dict[str, int] | None:
        return {"access_level": level, "notification_level": 3} if level else None

    return {"project_access": access(direct), "group_access": access(above)}


def context_for(
    user: Anybody, projects: Iterable[Project], sizes: Mapping[int, int | None] | None = None
) -> dict[str, Any]:
    """What the entities of these projects look up. Three queries, however many.

    `sizes` are the bytes of each project, by id, where statistics are wanted.
    """
    shown = list(projects)
    found: dict[str, Any] = {
        "roles": Roles(user),
        "names": queries.full_names(project.namespace.full_path for project in shown),
        "policies": cleanup.effective_policies(shown),
    }
    return found if sizes is None else {**found, "statistics": sizes}
