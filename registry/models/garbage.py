"""The collector's queue and its receipts, and what verification has found."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from registry.fields import ByteOrderedCharField
from registry.models.lengths import CAUSE_LENGTH, DIGEST_LENGTH, NAME_LENGTH


class Review(models.Model):
    """Something that may have become garbage, and when to look at it.

    `target` is the id of a manifest, of a right to a blob, of a blob that lost its last right, or
    of a closed repository. `cause` is what GitLab's side calls the job that has dropped the last
    reference, "" where it says none: it goes on to what is queued because of it.
    """

    class Kind(models.TextChoices):
        """What `target` names."""

        MANIFEST = "manifest"
        LINK = "link"
        BLOB = "blob"
        REPOSITORY = "repository"

    kind = models.CharField(max_length=16, choices=Kind.choices)
    target = models.BigIntegerField()
    reason = models.CharField(max_length=64)
    queued_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    # With a default of the database, for nodes of the version before.
    cause = models.CharField(max_length=CAUSE_LENGTH, default="", db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "target"], name="review_once"),
        ]
        indexes = [
            models.Index(fields=["due_at", "id"], name="review_due"),
            models.Index(fields=["cause"], condition=Q(cause__gt=""), name="review_cause"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"


class Tombstone(models.Model):
    """The row of this digest has gone and its bytes are about to. See `services.unlinking`."""

    digest = models.CharField(max_length=DIGEST_LENGTH, unique=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.digest


class Receipt(models.Model):
    """What the collector removed, why it was sure, and whose job was the `cause`."""

    kind = models.CharField(max_length=16)
    digest = models.CharField(max_length=DIGEST_LENGTH, db_index=True)
    repository = ByteOrderedCharField(max_length=NAME_LENGTH)
    bytes = models.BigIntegerField()
    reason = models.CharField(max_length=64)
    last_referrer = models.CharField(max_length=255, default="")
    garbage_since = models.DateTimeField()
    run = models.UUIDField()
    removed_at = models.DateTimeField(default=timezone.now)
    # With a default of the database, for nodes of the version before.
    cause = models.CharField(max_length=CAUSE_LENGTH, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["cause"], condition=Q(cause__gt=""), name="receipt_cause"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest}"


class GarbageLease(models.Model):
    """While it lasts nothing is collected: what a dump of the database names stays in the store."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    reason = models.CharField(max_length=255, default="")
    created_at = models.DateTimeField(default=timezone.now)
    until = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.reason} until {self.until:%Y-%m-%d %H:%M:%S}"


class Verification(models.Model):
    """How far a verification has come. `name` says whose: the schedule's, or the command's."""

    name = models.CharField(max_length=32, unique=True)
    phase = models.CharField(max_length=32, default="")
    position = models.CharField(max_length=DIGEST_LENGTH, default="")
    checked = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    started_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.phase} {self.position}"


class Finding(models.Model):
    """What the scheduled verification found wrong. A later round that finds it right removes it."""

    kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=DIGEST_LENGTH + 32)
    detail = models.TextField(default="")
    found_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject"], name="finding_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
