"""What a job has measured: no page adds up what is stored while somebody waits.

    Measure ──► a namespace, a project, or an image     one each: the latest
    DailySize ─► a project or namespace                 a row a day
    Candidate ─► an image                               what could be deleted, and what that frees

What lies in several images counts once for whatever holds them all, as it lies on the disk. `alone`
is what would go with something: what nothing else has in the project, group or namespace that it
stands in. Their sum and what is shared between them is what lies in the whole.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Namespace, Project


class Measure(models.Model):
    """What lies at and below a namespace, project or image, as of `measured_at` (null: not yet).

    `shares` are an image's tags by what they hold alone: see `measuring`. `pulled_at` is when an
    image was pulled last, null where it never was or nobody counts. Who measures moves `due_at`
    ahead first, so that nobody else does the same.
    """

    namespace = models.OneToOneField(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="measure"
    )
    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="measure"
    )
    repository = models.OneToOneField(
        ContainerRepository, on_delete=models.CASCADE, null=True, blank=True, related_name="measure"
    )
    size_bytes = models.BigIntegerField(default=0)
    alone_bytes = models.BigIntegerField(default=0)
    images = models.IntegerField(default=0)
    tags = models.IntegerField(default=0)
    is_exact = models.BooleanField(default=True)
    shares = models.JSONField(default=list)
    waiting_bytes = models.BigIntegerField(default=0)
    waiting_tags = models.IntegerField(default=0)
    waiting_images = models.IntegerField(default=0)
    first_until = models.DateTimeField(null=True, blank=True)
    last_until = models.DateTimeField(null=True, blank=True)
    pulled_at = models.DateTimeField(null=True, blank=True, editable=False)
    measured_at = models.DateTimeField(null=True, blank=True, editable=False)
    due_at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="measure_of_one",
                condition=Q(namespace__isnull=False, project__isnull=True, repository__isnull=True)
                | Q(namespace__isnull=True, project__isnull=False, repository__isnull=True)
                | Q(namespace__isnull=True, project__isnull=True, repository__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                fields=["size_bytes", "id"],
                name="measure_of_project_by_size",
                condition=Q(project__isnull=False),
            ),
            models.Index(
                fields=["size_bytes", "id"],
                name="measure_of_image_by_size",
                condition=Q(repository__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"measure of {self.namespace_id or self.project_id or self.repository_id}"


class DailySize(models.Model):
    """How much lay at and below a project or namespace on a day (UTC), by its last measure."""

    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    day = models.DateField(db_index=True)
    size_bytes = models.BigIntegerField()
    waiting_bytes = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "day"],
                condition=Q(namespace__isnull=False),
                name="daily_size_of_namespace",
            ),
            models.UniqueConstraint(
                fields=["project", "day"],
                condition=Q(project__isnull=False),
                name="daily_size_of_project",
            ),
            models.CheckConstraint(
                name="daily_size_of_one",
                condition=Q(namespace__isnull=False, project__isnull=True)
                | Q(namespace__isnull=True, project__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.size_bytes}"


class Candidate(models.Model):
    """What nobody has pulled for long, or has no tag any more: what deleting it would free.

    `names` are all tags of the manifest `digest`, which is "" for all `manifests` without a tag.
    As held elsewhere counts what the project has for `freed_bytes`, and what the namespace at the
    top has for `freed_at_top_bytes`: who may look that far is told the latter.
    """

    repository = models.ForeignKey(
        ContainerRepository, on_delete=models.CASCADE, related_name="candidates"
    )
    digest = models.CharField(max_length=135, blank=True)
    names = models.JSONField(default=list)
    manifests = models.PositiveIntegerField(default=1)
    freed_bytes = models.BigIntegerField()
    freed_at_top_bytes = models.BigIntegerField()
    published_at = models.DateTimeField(null=True, blank=True)
    pulled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "digest"], name="candidate_once"),
        ]
        indexes = [
            models.Index(fields=["-freed_bytes", "id"], name="candidate_by_freed"),
            models.Index(fields=["-freed_at_top_bytes", "id"], name="candidate_by_freed_at_top"),
        ]

    def __str__(self) -> str:
        return f"{self.repository_id}: {', '.join(self.names) or 'untagged'}"
