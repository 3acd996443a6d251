"""What was read of layers, and who wants it read.

    FileJob ──► ContainerRepository        an image's files, or two images compared: a job
       │  └──◄ Difference                  what a comparison found, in pages, the largest first
       ┆ by the digests in `layers`
    ListedLayer ──◄ LayerPart              what is in a layer, sorted: two images share it

    status     scheduled ── take ──► ongoing ──► finished
                   ▲                   │ │
                   └──── a failure ────┘ └─────► failed ──► scheduled, who asks again

A layer's listing is nobody's: who may see one is asked of the image whose manifest names it, and
the registry has served the layer to that image before its job is finished.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs.leases import LeasedJob

MAX_DIGEST = 255


class ListedLayer(models.Model):
    """A layer that has been read. `fault` and `left_out` are as in `reading.LayerContents`."""

    digest = models.CharField(max_length=MAX_DIGEST, unique=True)
    packed_bytes = models.BigIntegerField()
    unpacked_bytes = models.BigIntegerField()
    entries_count = models.PositiveIntegerField()
    stored_bytes = models.PositiveBigIntegerField()
    fault = models.CharField(max_length=300, blank=True)
    left_out = models.CharField(max_length=300, blank=True)
    used_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.digest


class LayerPart(models.Model):
    """Some records of a layer, packed. `first` and `last` are the keys at its ends."""

    layer = models.ForeignKey(ListedLayer, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    first = models.BinaryField()
    last = models.BinaryField()
    records = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["layer", "number"], name="layer_part_number"),
        ]

    def __str__(self) -> str:
        return f"{self.layer_id}: {self.number}"


class FileJob(LeasedJob):
    """The files of one image, or those of `repository` compared with those of `other`.

    `layers` and `other_layers` are the digests from the lowest up, and `sizes` what each has.
    """

    class Status(models.TextChoices):
        SCHEDULED = "scheduled", "Waits"
        ONGOING = "ongoing", "Under way"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"

    repository = models.ForeignKey(
        ContainerRepository, on_delete=models.CASCADE, related_name="file_jobs"
    )
    digest = models.CharField(max_length=MAX_DIGEST)
    other = models.ForeignKey(
        ContainerRepository, on_delete=models.CASCADE, null=True, related_name="+"
    )
    other_digest = models.CharField(max_length=MAX_DIGEST, blank=True)
    layers = models.JSONField(default=list)
    other_layers = models.JSONField(default=list)
    sizes = models.JSONField(default=dict)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    status = models.CharField(max_length=16, choices=Status, default=Status.SCHEDULED)
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    done_bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0)
    # How a comparison came out: by change, how many and how many bytes.
    totals = models.JSONField(default=dict)
    is_cut = models.BooleanField(default=False)
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="file_job_status_known",
                condition=Q(status__in=["scheduled", "ongoing", "finished", "failed"]),
            ),
            models.UniqueConstraint(
                fields=["repository", "digest"],
                condition=Q(other__isnull=True),
                name="file_job_of_image",
            ),
            models.UniqueConstraint(
                fields=["repository", "digest", "other", "other_digest"],
                condition=Q(other__isnull=False),
                name="file_job_of_two_images",
            ),
        ]
        indexes = [
            models.Index(
                fields=["status", "requested_at"],
                name="file_job_queue",
                condition=Q(status__in=["scheduled", "ongoing"]),
            ),
            models.Index(
                fields=["by"],
                name="file_job_of_person",
                condition=Q(status__in=["scheduled", "ongoing"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}"

    @property
    def is_active(self) -> bool:
        """Whether a worker has something to do for it."""
        return self.status in (self.Status.SCHEDULED, self.Status.ONGOING)

    @property
    def done_mebibytes(self) -> int:
        """What has been read."""
        return self.done_bytes >> 20

    @property
    def total_mebibytes(self) -> int | None:
        """What there is to read; None where that is less than a person waits for."""
        return self.total_bytes >> 20 or None


class Difference(models.Model):
    """A page of what a comparison found of one kind of change, the largest first.

    `entries` are what `comparing.Change` reads.
    """

    job = models.ForeignKey(FileJob, on_delete=models.CASCADE, related_name="differences")
    change = models.CharField(max_length=8)
    number = models.PositiveIntegerField()
    entries = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "change", "number"], name="difference_number"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id}: {self.change} {self.number}"
