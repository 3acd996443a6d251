"""Where images live and who belongs there.

    Namespace ──parent──► Namespace          kind "user": a person's own, always at the top
        ▲  ▲                                 kind "group": nests
        │  └───────────── Project            exactly one namespace
        │                    ▲
        └──── Member ────────┘               a person in exactly one of the two, with a level
        ├── GroupLink ───────┤               a group whose direct members belong there too
        ├──── Route ─────────┤               one row for each full path, unique over both
        └──── PathChange ────┘               a path that is being changed, with its images

`Route` is why a project and a subgroup can't share a path, and how the deepest existing prefix of
an image path is found in one query. Full paths are in lower case everywhere.
"""

from __future__ import annotations

from typing import TypeAlias

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

MAX_PATH_LENGTH = 255
"""Of a full path: what docker's grammar allows a repository's name."""


class Visibility(models.TextChoices):
    """Who may see it without being a member."""

    PRIVATE = "private", "Private"
    INTERNAL = "internal", "Internal"
    PUBLIC = "public", "Public"


class AccessLevel(models.IntegerChoices):
    """GitLab's levels."""

    GUEST = 10, "Guest"
    REPORTER = 20, "Reporter"
    DEVELOPER = 30, "Developer"
    MAINTAINER = 40, "Maintainer"
    OWNER = 50, "Owner"


class RegistryAccess(models.TextChoices):
    """Who may use a project's container registry."""

    ENABLED = "enabled", "Everyone with access"
    PRIVATE = "private", "Only project members"
    DISABLED = "disabled", "Off"


class Namespace(models.Model):
    """A person's own namespace or a group."""

    class Kind(models.TextChoices):
        USER = "user", "User"
        GROUP = "group", "Group"

    kind = models.CharField(max_length=8, choices=Kind)
    path = models.CharField(max_length=MAX_PATH_LENGTH)
    name = models.CharField(max_length=255)
    description = models.CharField(max_length=500, blank=True)
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )
    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="namespace",
        help_text="The person whose own namespace this is; none for a group.",
    )
    full_path = models.CharField(max_length=MAX_PATH_LENGTH, unique=True)
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.PRIVATE)
    # Of all who belong to a group or to what is in it; the hours that they have for it.
    require_two_factor_authentication = models.BooleanField(default=False, db_default=False)
    two_factor_grace_period = models.PositiveIntegerField(default=48, db_default=48)
    pending_delete_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    abilities: frozenset[str] = frozenset()
    """What whoever it was loaded for may do here. Filled by `loaders`, kept nowhere."""

    class Meta:
        ordering = ["full_path"]
        constraints = [
            models.UniqueConstraint(fields=["parent", "path"], name="namespace_path_in_parent"),
            models.CheckConstraint(
                name="namespace_path_lower", condition=Q(full_path=Lower("full_path"))
            ),
            models.CheckConstraint(
                name="namespace_kind_and_owner",
                condition=Q(kind="user", owner__isnull=False, parent__isnull=True)
                | Q(kind="group", owner__isnull=True),
            ),
            models.CheckConstraint(
                name="namespace_visibility_known",
                condition=Q(visibility__in=["private", "internal", "public"]),
            ),
        ]
        indexes = [
            models.Index(fields=["kind", "full_path"], name="namespace_by_kind"),
            # What the API can order groups by.
            models.Index(fields=["kind", "name", "id"], name="namespace_by_name"),
            models.Index(fields=["kind", "id"], name="namespace_by_kind_and_id"),
            models.Index(fields=["kind", "updated_at", "id"], name="namespace_by_update"),
            models.Index(
                fields=["two_factor_grace_period"],
                name="namespace_with_two_factors",
                condition=Q(require_two_factor_authentication=True),
            ),
            models.Index(
                fields=["pending_delete_at"],
                name="namespace_pending_delete",
                condition=Q(pending_delete_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.full_path

    @property
    def is_group(self) -> bool:
        """Whether this is a group rather than a person's own namespace."""
        return self.kind == self.Kind.GROUP

    @property
    def root_path(self) -> str:
        """The full path of the namespace at the top."""
        return self.full_path.partition("/")[0]


class Project(models.Model):
    """What images belong to. While `pending_delete_at` is set nobody sees it any more."""

    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, related_name="projects")
    path = models.CharField(max_length=MAX_PATH_LENGTH)
    name = models.CharField(max_length=255)
    full_path = models.CharField(max_length=MAX_PATH_LENGTH, unique=True)
    description = models.CharField(max_length=500, blank=True)
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.PRIVATE)
    registry_access = models.CharField(
        max_length=8, choices=RegistryAccess, default=RegistryAccess.ENABLED
    )
    # Read-only: its images are pulled, and neither pushed nor deleted. With a default of the
    # database, for nodes of the version before.
    archived = models.BooleanField(default=False, db_default=False)
    # Manifests that no tag points at, for those who pull by digest.
    keep_untagged = models.BooleanField(default=False)
    creator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    pending_delete_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    abilities: frozenset[str] = frozenset()
    """What whoever it was loaded for may do here. Filled by `loaders`, kept nowhere."""

    class Meta:
        ordering = ["full_path"]
        constraints = [
            models.UniqueConstraint(fields=["namespace", "path"], name="project_path_in_namespace"),
            models.CheckConstraint(
                name="project_path_lower", condition=Q(full_path=Lower("full_path"))
            ),
            models.CheckConstraint(
                name="project_visibility_known",
                condition=Q(visibility__in=["private", "internal", "public"]),
            ),
            models.CheckConstraint(
                name="project_registry_access_known",
                condition=Q(registry_access__in=["enabled", "private", "disabled"]),
            ),
        ]
        indexes = [
            models.Index(fields=["visibility", "full_path"], name="project_by_visibility"),
            # What the API can order by, each with the id behind it.
            models.Index(fields=["created_at", "id"], name="project_by_creation"),
            models.Index(fields=["updated_at", "id"], name="project_by_update"),
            models.Index(fields=["name", "id"], name="project_by_name"),
            models.Index(fields=["namespace", "created_at", "id"], name="project_by_age_in_group"),
            models.Index(fields=["namespace", "full_path"], name="project_by_namespace"),
            models.Index(
                fields=["pending_delete_at"],
                name="project_pending_delete",
                condition=Q(pending_delete_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.full_path

    @property
    def is_pending_delete(self) -> bool:
        """Whether it is being deleted with its images."""
        return self.pending_delete_at is not None


Routable: TypeAlias = Namespace | Project
"""What has a full path of its own, and so a route: GitLab's word for either."""


class Route(models.Model):
    """A full path and what is found there. Written with the row that it points at."""

    full_path = models.CharField(max_length=MAX_PATH_LENGTH, unique=True)
    namespace = models.OneToOneField(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="route"
    )
    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="route"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="route_points_at_one",
                condition=Q(namespace__isnull=False, project__isnull=True)
                | Q(namespace__isnull=True, project__isnull=False),
            ),
            models.CheckConstraint(
                name="route_path_lower", condition=Q(full_path=Lower("full_path"))
            ),
        ]

    def __str__(self) -> str:
        return self.full_path


class PathChange(models.Model):
    """A project or group whose full path is being changed; gone when it is done.

    While it stands nobody pushes there. Whoever finds it may finish it: see `path_changes`.
    """

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="path_change"
    )
    namespace = models.OneToOneField(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="path_change"
    )
    old_path = models.CharField(max_length=MAX_PATH_LENGTH, unique=True)
    new_path = models.CharField(max_length=MAX_PATH_LENGTH, unique=True)
    new_parent = models.ForeignKey(
        Namespace, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    started_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="path_change_of_exactly_one",
                condition=Q(project__isnull=False, namespace__isnull=True)
                | Q(project__isnull=True, namespace__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.old_path} → {self.new_path}"


class Member(models.Model):
    """Somebody's level in one group or one project; it holds for all that is below."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="members"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="members"
    )
    access_level = models.PositiveSmallIntegerField(choices=AccessLevel)
    expires_at = models.DateField(
        null=True, blank=True, help_text="The first day on which the membership no longer holds."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="member_of_exactly_one",
                condition=Q(namespace__isnull=False, project__isnull=True)
                | Q(namespace__isnull=True, project__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["user", "namespace"],
                condition=Q(namespace__isnull=False),
                name="member_once_in_namespace",
            ),
            models.UniqueConstraint(
                fields=["user", "project"],
                condition=Q(project__isnull=False),
                name="member_once_in_project",
            ),
            models.CheckConstraint(
                name="member_level_known",
                condition=Q(access_level__in=[10, 20, 30, 40, 50]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.namespace_id or self.project_id}: {self.access_level}"

    @property
    def is_expired(self) -> bool:
        """Whether the last day has passed."""
        return self.expires_at is not None and self.expires_at <= timezone.now().date()


class GroupLink(models.Model):
    """A group that is invited to another group, or to a project: GitLab's "share".

    Who is a direct member of `group` has in the other, and below it, the lower of their level there
    and `group_access`. It goes one step: who is invited to `group` is not invited on.
    """

    group = models.ForeignKey(Namespace, on_delete=models.CASCADE, related_name="links_elsewhere")
    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="group_links"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="group_links"
    )
    group_access = models.PositiveSmallIntegerField(choices=AccessLevel)
    expires_at = models.DateField(
        null=True, blank=True, help_text="The first day on which it no longer holds."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                name="group_link_to_exactly_one",
                condition=Q(namespace__isnull=False, project__isnull=True)
                | Q(namespace__isnull=True, project__isnull=False),
            ),
            models.CheckConstraint(
                name="group_link_to_another",
                condition=Q(namespace__isnull=True) | ~Q(namespace=models.F("group")),
            ),
            models.UniqueConstraint(
                fields=["namespace", "group"],
                condition=Q(namespace__isnull=False),
                name="group_link_once_to_namespace",
            ),
            models.UniqueConstraint(
                fields=["project", "group"],
                condition=Q(project__isnull=False),
                name="group_link_once_to_project",
            ),
            models.CheckConstraint(
                name="group_link_level_known", condition=Q(group_access__in=[10, 20, 30, 40, 50])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group_id} to {self.namespace_id or self.project_id}: {self.group_access}"
