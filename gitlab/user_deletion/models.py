"""Who is being deleted, and what becomes of what they own. The row is the queue."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class UserDeletion(models.Model):
    """Somebody who is deleted once their projects have moved, or are gone. It goes with them.

    While it waits, `due_at` is when it is looked at next; whoever works at it moves that on first.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        FAILED = "failed", "Failed"

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="deletion"
    )
    # Who gets projects and groups; nobody where they are deleted.
    moves = models.BooleanField()
    heir = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    requested_at = models.DateTimeField(default=timezone.now, editable=False)
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    failure_reason = models.CharField(max_length=500, blank=True, default="")
    due_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="user_deletion_status_known", condition=Q(status__in=["waiting", "failed"])
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], name="user_deletion_due", condition=Q(status="waiting")
            ),
        ]

    def __str__(self) -> str:
        return f"deletion of {self.user_id}"
