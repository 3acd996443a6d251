"""What stands above every page for a while, in GitLab's words a broadcast message."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class BroadcastMessage(models.Model):
    """A sentence for everybody, from `starts_at` until before `ends_at`. Its text is no markup."""

    class Level(models.TextChoices):
        INFO = "info", "Information"
        GOOD = "good", "Good news"
        WARN = "warn", "Warning"
        BAD = "bad", "Trouble"

    message = models.CharField(max_length=500)
    level = models.CharField(max_length=8, choices=Level, default=Level.INFO)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # Whether a reader may put it away, for their browser.
    dismissable = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-starts_at", "-id"]
        constraints = [
            models.CheckConstraint(
                name="broadcast_message_level_known",
                condition=Q(level__in=["info", "good", "warn", "bad"]),
            ),
            models.CheckConstraint(
                name="broadcast_message_ends_later", condition=Q(ends_at__gt=F("starts_at"))
            ),
        ]
        indexes = [models.Index(fields=["ends_at"], name="broadcast_message_by_end")]

    def __str__(self) -> str:
        return self.message[:80]

    @property
    def is_over(self) -> bool:
        """Whether its time has passed."""
        return self.ends_at <= timezone.now()

    @property
    def is_shown(self) -> bool:
        """Whether it stands above the pages now."""
        return self.starts_at <= timezone.now() < self.ends_at
