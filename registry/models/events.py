"""What happened, and what ended tokens early."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from registry.fields import ByteOrderedCharField
from registry.models.lengths import DIGEST_LENGTH, NAME_LENGTH, TAG_LENGTH


class Revocation(models.Model):
    """What was signed before a moment ends: for a credential, a person, a path, or both of these.

    Each of the three is "" where it does not matter. A newer one replaces an older one with another
    id, so that the greatest id says whether there is anything new: see `services.revocations`.
    """

    credential = models.CharField(max_length=64, default="")
    subject = models.CharField(max_length=255, default="")
    path = ByteOrderedCharField(max_length=NAME_LENGTH, default="")
    before = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["credential", "subject", "path"], name="revocation_once"
            ),
            models.CheckConstraint(
                condition=~Q(credential="", subject="", path=""), name="revocation_of_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.credential or self.subject or self.path} before {self.before}"


class Event(models.Model):
    """What happened, written in the transaction in which it happened; read in order of id.

    Of a rename `repository` is the new name and `renamed_from` the old one.
    """

    class Action(models.TextChoices):
        """What was done."""

        PUSH = "push"
        MOUNT = "mount"
        DELETE = "delete"
        RESTORE = "restore"
        RENAME = "rename"

    at = models.DateTimeField(default=timezone.now)
    action = models.CharField(max_length=16, choices=Action.choices)
    repository = ByteOrderedCharField(max_length=NAME_LENGTH)
    renamed_from = models.CharField(max_length=NAME_LENGTH, default="")
    tag = models.CharField(max_length=TAG_LENGTH, default="")
    digest = models.CharField(max_length=DIGEST_LENGTH, default="")
    media_type = models.CharField(max_length=255, default="")
    size = models.BigIntegerField(default=0)
    # Of a push that moved a tag: where it pointed before. With a default of the database, for nodes
    # of the version before.
    replaced = models.CharField(max_length=DIGEST_LENGTH, default="", db_default="")
    actor = models.CharField(max_length=255, default="")
    user = models.TextField(default="")

    class Meta:
        indexes = [models.Index(fields=["repository", "id"], name="event_repository")]

    def __str__(self) -> str:
        return f"{self.action} {self.repository}"
