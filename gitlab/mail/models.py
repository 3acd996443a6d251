"""What is to be said to people by mail. The row is the queue, and says that it was said."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Message(models.Model):
    """A mail to one person, to the address that they have when it is sent; or to an address.

    While it waits, `due_at` is when it is tried next: whoever sends it moves that on first, so that
    a crash leaves it to be tried again and no other worker sends it meanwhile.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
    )
    # That of somebody who may have no account. With a default of the database, for nodes of the
    # version before.
    email = models.EmailField(blank=True, default="", db_default="")
    subject = models.CharField(max_length=255)
    text = models.TextField()
    status = models.CharField(max_length=8, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    failure_reason = models.CharField(max_length=255, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="message_done_or_waiting",
                condition=Q(status="waiting", done_at__isnull=True)
                | Q(status__in=["sent", "failed"], done_at__isnull=False),
            ),
            models.CheckConstraint(
                name="message_to_one",
                condition=Q(user__isnull=False, email="") | Q(Q(user__isnull=True) & ~Q(email="")),
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="message_due", condition=Q(status="waiting")),
            models.Index(fields=["done_at"], name="message_by_end"),
        ]

    def __str__(self) -> str:
        return self.subject

    @property
    def recipient(self) -> str:
        """The address that it goes to; "" where the account gets no mail."""
        if self.user is None:
            return self.email
        return self.user.email if self.user.is_active else ""
