"""What the registry has to be told: that tokens end which were decided before."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Revocation(models.Model):
    """Tokens made of a credential, a person's, or about a path end. The row is the queue.

    Each of the three is "" where it does not matter. Told rows stay for a day, for whoever asks.
    """

    credential = models.CharField(max_length=64, default="")
    subject = models.CharField(max_length=255, default="")
    path = models.CharField(max_length=255, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    told_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(credential="", subject="", path=""), name="revocation_is_of_something"
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(told_at=None), name="revocation_untold"),
            models.Index(fields=["told_at"], name="revocation_told_at"),
        ]

    def __str__(self) -> str:
        return self.credential or " in ".join(filter(None, (self.subject, self.path)))
