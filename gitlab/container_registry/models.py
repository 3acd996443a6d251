"""GitLab's row about one repository in the registry.

    ContainerRepository ──► namespaces.Project          EventCursor: what each reader knows
    DeletedImage ─────────► namespaces.Project          what an undo needs of one that has gone
    BulkTagDeletion ──────► ContainerRepository         tags by criteria, a job: see `bulk_deletion`

    status     null ──schedule──► delete_scheduled ──take──► delete_ongoing ──done──► (no row)
                 ▲                       ▲                        │
                 │                       └──── a failure ─────────┤
                 └── retry (admin, person) ◄── delete_failed ◄────┘ after several

The status is the queue: a worker that dies leaves the row where another one finds it. Whoever
holds `lease` owns the deletion: see `gitlab.jobs.leases`.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce, Lower
from django.utils import timezone

from gitlab.jobs.leases import LeasedJob
from gitlab.namespaces.models import MAX_PATH_LENGTH, Project


class ContainerRepository(LeasedJob):
    """An image of a project. `name` is what follows the project's path, "" for its root."""

    class Status(models.TextChoices):
        DELETE_SCHEDULED = "delete_scheduled", "Deletion scheduled"
        DELETE_ONGOING = "delete_ongoing", "Being deleted"
        DELETE_FAILED = "delete_failed", "Deletion failed"

    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="container_repositories"
    )
    name = models.CharField(max_length=MAX_PATH_LENGTH, blank=True)
    path = models.CharField(max_length=MAX_PATH_LENGTH, unique=True)
    # Null rather than "": it is what GitLab's API shows for an image at rest.
    status = models.CharField(max_length=16, choices=Status, null=True, blank=True)
    status_changed_at = models.DateTimeField(default=timezone.now, editable=False)
    failed_deletion_count = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # What the registry was told of the project's `keep_untagged`.
    keeps_untagged = models.BooleanField(default=False, editable=False)
    # By the registry's clock, from its events or notifications.
    last_published_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "container repositories"
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], name="container_repository_name_in_project"
            ),
            models.CheckConstraint(
                name="container_repository_path_lower", condition=Q(path=Lower("path"))
            ),
            models.CheckConstraint(
                name="container_repository_status_known",
                condition=Q(status__isnull=True)
                | Q(status__in=["delete_scheduled", "delete_ongoing", "delete_failed"]),
            ),
            models.CheckConstraint(
                name="container_repository_lease_while_ongoing",
                condition=(
                    Q(
                        status="delete_ongoing",
                        lease__isnull=False,
                        lease_renewed_at__isnull=False,
                        started_at__isnull=False,
                    )
                    | (
                        (Q(status__isnull=True) | ~Q(status="delete_ongoing"))
                        & Q(lease__isnull=True)
                    )
                ),
            ),
        ]
        indexes = [
            models.Index(
                fields=["status", "next_attempt_at"],
                name="container_repository_queue",
                condition=Q(status__isnull=False),
            ),
            models.Index(
                "project",
                Coalesce("last_published_at", "created_at"),
                "id",
                name="container_repository_by_push",
            ),
            models.Index(
                fields=["project", "created_at", "id"], name="container_repository_by_age"
            ),
        ]

    def __str__(self) -> str:
        return self.path

    @property
    def is_being_deleted(self) -> bool:
        """Whether its deletion is queued or under way."""
        return self.status in (self.Status.DELETE_SCHEDULED, self.Status.DELETE_ONGOING)


class DeletedImage(models.Model):
    """An image that has gone, and by which the registry brings it back within the undo window.

    `row` was the id of its `ContainerRepository`, `registry_id` is the registry's. It belongs to
    the project and not to the path, which another project may have by now.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="deleted_images")
    row = models.BigIntegerField()
    name = models.CharField(max_length=MAX_PATH_LENGTH, blank=True)
    registry_id = models.BigIntegerField(unique=True)
    tags_count = models.PositiveIntegerField(default=0)
    deleted_at = models.DateTimeField(default=timezone.now, db_index=True)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        indexes = [
            models.Index(fields=["project", "deleted_at", "id"], name="deleted_image_latest"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.project)


class BulkTagDeletion(LeasedJob):
    """Tags of an image that somebody wants deleted by criteria. The status is the queue."""

    class Status(models.TextChoices):
        SCHEDULED = "scheduled", "Scheduled"
        ONGOING = "ongoing", "Under way"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"

    repository = models.ForeignKey(
        ContainerRepository, on_delete=models.CASCADE, related_name="bulk_deletions"
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    name_regex_delete = models.CharField(max_length=255)
    name_regex_keep = models.CharField(max_length=255, blank=True)
    keep_n = models.PositiveIntegerField(default=0)
    older_than = models.DurationField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=Status, default=Status.SCHEDULED)
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    failures = models.PositiveSmallIntegerField(default=0)
    deleted_count = models.PositiveIntegerField(default=0)
    refused_count = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-requested_at"]
        constraints = [
            models.CheckConstraint(
                name="bulk_deletion_status_known",
                condition=Q(status__in=["scheduled", "ongoing", "finished", "failed"]),
            ),
        ]
        indexes = [
            models.Index(fields=["repository", "-requested_at"], name="bulk_deletion_latest"),
            models.Index(
                fields=["status", "requested_at"],
                name="bulk_deletion_queue",
                condition=Q(status__in=["scheduled", "ongoing"]),
            ),
            models.Index(fields=["finished_at"], name="bulk_deletion_finished"),
        ]

    def __str__(self) -> str:
        return f"{self.repository_id}: {self.name_regex_delete}"


class EventCursor(models.Model):
    """How far a reader has read the events of a registry, which is named by its URL.

    Each reader has a row of its own (see `events.READERS`), so that one which is slow or fails
    keeps no other from reading on.
    """

    registry = models.CharField(max_length=255)
    # With a default of the database, for nodes of the version before.
    reader = models.CharField(max_length=32, db_default="pushes")
    position = models.BigIntegerField(default=0)
    read_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["registry", "reader"], name="event_cursor_once_a_reader"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reader} of {self.registry} up to {self.position}"
