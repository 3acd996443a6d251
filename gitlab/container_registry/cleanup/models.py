"""Who wants what cleaned up when, and what each cleanup was to do and has done.

    CleanupPolicy ──► namespaces.Project, namespaces.Namespace, or neither: the installation's
    CleanupRun ─────► namespaces.Project            a plan, and its execution
    CleanupBatch ───► CleanupRun, ContainerRepository    tags of it: what happens to each and why

    planning ──► planned ── approve ──► approved ──► running ──► finished ── undo ──► undoing
        │  │        │                      ▲            │                                │
        │  └────────┼── without approval ──┘            │                              undone
        └───────────┴──────── cancelled, failed ◄───────┘

The status says which step is next; whoever holds `lease` is at it. See `runs`.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs.leases import LeasedJob
from gitlab.namespaces.models import MAX_PATH_LENGTH, Namespace, Project


class Cadence(models.TextChoices):
    """How often a policy runs by itself, in GitLab's words."""

    DAY = "1d", "Every day"
    WEEK = "7d", "Every week"
    TWO_WEEKS = "14d", "Every two weeks"
    MONTH = "1month", "Every month"
    THREE_MONTHS = "3month", "Every three months"

    @property
    def length(self) -> dt.timedelta:
        """A month has 30 days."""
        return dt.timedelta(days={"1d": 1, "7d": 7, "14d": 14, "1month": 30}.get(self.value, 90))


class CleanupPolicy(models.Model):
    """The rules of a project, or of all projects in a group or here that have none of their own."""

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="cleanup_policy"
    )
    namespace = models.OneToOneField(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="cleanup_policy"
    )
    # True for that of the installation, else null: unique says that there is one.
    is_instance = models.BooleanField(null=True, blank=True, unique=True, editable=False)
    enabled = models.BooleanField(default=False)
    cadence = models.CharField(max_length=8, choices=Cadence, default=Cadence.DAY)
    requires_approval = models.BooleanField(default=False)
    # As `policy.Rule.as_json`, in their order.
    rules = models.JSONField(default=list)
    next_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Of a group's: the last project for which a run was opened in the round under way, by its id.
    opened_up_to = models.BigIntegerField(default=0, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        verbose_name_plural = "cleanup policies"
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                name="cleanup_policy_of_exactly_one",
                condition=Q(project__isnull=False, namespace__isnull=True, is_instance__isnull=True)
                | Q(project__isnull=True, namespace__isnull=False, is_instance__isnull=True)
                | Q(project__isnull=True, namespace__isnull=True, is_instance=True),
            ),
            models.CheckConstraint(
                name="cleanup_policy_cadence_known",
                condition=Q(cadence__in=["1d", "7d", "14d", "1month", "3month"]),
            ),
            models.CheckConstraint(
                name="cleanup_policy_runs_while_enabled",
                condition=Q(enabled=True, next_run_at__isnull=False)
                | Q(enabled=False, next_run_at__isnull=True),
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_run_at"],
                name="cleanup_policy_due",
                condition=Q(next_run_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        owner = self.project or self.namespace
        return owner.full_path if owner is not None else "the installation"


class CleanupRun(LeasedJob):
    """A plan of what is cleaned up in a project, and how far its execution is.

    `rules` are those that it was planned by, whatever became of the policy. `requested_by` is
    empty where the policy's cadence asked. Bytes are what the registry said when it was planned:
    `freed_bytes` go, `shared_bytes` stay since something else needs them; the least that it is
    where not `is_exact`. `collected_bytes` are what really went, noted when the collector was done
    at `collected_at`; None of a run of which nobody knows.
    """

    class Status(models.TextChoices):
        PLANNING = "planning", "Being planned"
        PLANNED = "planned", "Waits for approval"
        APPROVED = "approved", "About to run"
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        UNDOING = "undoing", "Being undone"
        UNDONE = "undone", "Undone"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="cleanup_runs")
    status = models.CharField(max_length=16, choices=Status, default=Status.PLANNING)
    rules = models.JSONField(default=list)
    # What somebody has chosen in an image, in place of rules: see `choosing.Selection`.
    selection = models.JSONField(null=True, blank=True)
    requires_approval = models.BooleanField(default=True)
    by_policy = models.BooleanField(default=False)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    planned_at = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    undone_at = models.DateTimeField(null=True, blank=True, editable=False)

    seen_count = models.PositiveIntegerField(default=0)
    going_count = models.PositiveIntegerField(default=0)
    done_count = models.PositiveIntegerField(default=0)
    deleted_count = models.PositiveIntegerField(default=0)
    spared_count = models.PositiveIntegerField(default=0)
    restored_count = models.PositiveIntegerField(default=0)
    freed_bytes = models.BigIntegerField(default=0)
    shared_bytes = models.BigIntegerField(default=0)
    is_exact = models.BooleanField(default=True)
    collected_bytes = models.BigIntegerField(null=True, blank=True, editable=False)
    collected_at = models.DateTimeField(null=True, blank=True, editable=False)
    # There are more tags than one plan looks at, or more go than one run deletes.
    is_cut = models.BooleanField(default=False)
    watches_pulls = models.BooleanField(default=False)
    # Of a run under way: its worker ends it behind the batch that it is at.
    cancel_asked = models.BooleanField(default=False)

    # Since when it waits for its turn: who has had one waits behind the others.
    turn_at = models.DateTimeField(default=timezone.now, editable=False)
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="cleanup_run_status_known",
                condition=Q(
                    status__in=[
                        "planning", "planned", "approved", "running", "finished", "failed",
                        "cancelled", "undoing", "undone",
                    ]
                ),
            ),
            models.UniqueConstraint(
                fields=["project"],
                condition=Q(status__in=["planning", "approved", "running", "undoing"]),
                name="cleanup_run_one_at_a_time",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["project", "-id"], name="cleanup_run_of_project"),
            models.Index(
                fields=["turn_at"],
                name="cleanup_run_queue",
                condition=Q(status__in=["planning", "approved", "running", "undoing"]),
            ),
            models.Index(
                fields=["project"], name="cleanup_run_waiting", condition=Q(status="planned")
            ),
            models.Index(fields=["finished_at"], name="cleanup_run_over"),
            models.Index(
                fields=["finished_at"],
                name="cleanup_run_uncollected",
                condition=Q(
                    status__in=["finished", "failed", "cancelled"],
                    deleted_count__gt=0,
                    collected_at=None,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project}: cleanup {self.pk}"

    @property
    def is_active(self) -> bool:
        """Whether a worker has something to do for it."""
        return self.status in ACTIVE

    @property
    def cause(self) -> str:
        """What the registry's collector calls it."""
        return f"cleanup-{self.pk}"

    @property
    def kept_count(self) -> int:
        """How many tags stay by the plan."""
        return self.seen_count - self.going_count

    @property
    def least(self) -> str:
        """What stands with the bytes: that they are the least, where they are."""
        return "" if self.is_exact else "at least"


ENDED = (
    CleanupRun.Status.FINISHED,
    CleanupRun.Status.FAILED,
    CleanupRun.Status.CANCELLED,
)
"""What was deleted is deleted, until that is undone."""

ACTIVE = (
    CleanupRun.Status.PLANNING,
    CleanupRun.Status.APPROVED,
    CleanupRun.Status.RUNNING,
    CleanupRun.Status.UNDOING,
)


class CleanupBatch(models.Model):
    """Tags of one image in a plan, all of which go or all of which stay.

    `entries` are what `plan.Entry` reads. A batch of those that go is a step of the run: `BEGUN`
    is written before the registry is asked, so that whoever takes a run over knows whose work a tag
    that is gone may be.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        BEGUN = "begun", "Begun"
        DONE = "done", "Done"
        UNDONE = "undone", "Undone"

    run = models.ForeignKey(CleanupRun, on_delete=models.CASCADE, related_name="batches")
    # The row of the image may go before the receipt does.
    repository = models.ForeignKey(
        ContainerRepository, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    path = models.CharField(max_length=MAX_PATH_LENGTH)
    number = models.PositiveIntegerField()
    goes = models.BooleanField()
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    entries = models.JSONField()
    deleted_count = models.PositiveIntegerField(default=0)
    spared_count = models.PositiveIntegerField(default=0)
    restored_count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "cleanup batches"
        ordering = ["run", "number"]
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="cleanup_batch_number"),
        ]
        indexes = [
            models.Index(fields=["run", "goes", "status", "number"], name="cleanup_batch_next"),
        ]

    def __str__(self) -> str:
        return f"{self.path}: {self.number}"
