"""What is counted: bytes at and below paths, and pulls."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from registry.fields import ByteOrderedCharField
from registry.models.content import Manifest, Repository
from registry.models.lengths import DIGEST_LENGTH, NAME_LENGTH, TAG_LENGTH


class Usage(models.Model):
    """A path of which is counted how many bytes lie at and below it: see `services.usage`.

    `counted_to` is the id of the blob up to which a count has come that is under way. `is_doubted`
    says that the totals are known to be wrong, and no drift.
    """

    path = ByteOrderedCharField(max_length=NAME_LENGTH, unique=True)
    counted_to = models.BigIntegerField(null=True)
    counted_at = models.DateTimeField(null=True)
    is_doubted = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], condition=Q(counted_to__isnull=False), name="usage_under_way"
            ),
        ]

    def __str__(self) -> str:
        return self.path


class UsageTotal(models.Model):
    """A part of what is used at and below a path; their sum counts, and one alone may be negative.

    `new_bytes` and `new_blobs` are of the count that is under way.
    """

    usage = models.ForeignKey(Usage, models.DO_NOTHING, db_index=False)
    slot = models.SmallIntegerField()
    bytes = models.BigIntegerField(default=0)
    blobs = models.BigIntegerField(default=0)
    new_bytes = models.BigIntegerField(default=0)
    new_blobs = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["usage", "slot"], name="usagetotal_once"),
        ]

    def __str__(self) -> str:
        return f"{self.bytes} bytes of {self.usage_id}"


class ManifestPulls(models.Model):
    """How often a manifest was pulled since counting began, and when the last time was.

    A narrow row of its own, since it changes every few seconds: neither the manifest's nor the
    tags' rows and indexes are touched, and nobody who changes them waits. Nor does a constraint tie
    it to them, so that counting never waits for a deletion: it is removed along with its manifest,
    and one that is left behind counts for nobody.
    """

    manifest = models.OneToOneField(
        Manifest, models.DO_NOTHING, db_constraint=False, related_name="pulled"
    )
    repository = models.ForeignKey(
        Repository, models.DO_NOTHING, db_constraint=False, db_index=False
    )
    pulls = models.BigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["repository", "last_at", "manifest"], name="manifestpulls_last")
        ]

    def __str__(self) -> str:
        return f"{self.manifest_id}: {self.pulls}"


class DailyPulls(models.Model):
    """Pulls of one day (UTC) by one kind of credential.

    A repository's row has neither digest nor tag, a manifest's has its digest, and a row with both
    counts what was asked for by that tag. So each of the three is read by as many rows as there are
    days and kinds. What an index lists and was asked for by digest is a part of another pull: it
    counts for its digest alone.
    """

    repository = models.ForeignKey(
        Repository, models.DO_NOTHING, db_constraint=False, db_index=False
    )
    digest = ByteOrderedCharField(max_length=DIGEST_LENGTH, default="")
    tag = ByteOrderedCharField(max_length=TAG_LENGTH, default="")
    day = models.DateField(db_index=True)
    kind = models.CharField(max_length=16)
    pulls = models.BigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "digest", "tag", "day", "kind"], name="dailypulls_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["repository", "tag", "day"],
                condition=Q(tag__gt=""),
                name="dailypulls_tag",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.pulls}"


class Counting(models.Model):
    """Since when something is counted: before that nobody knows, and it is not nothing."""

    name = models.CharField(max_length=32, unique=True)
    since = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.name} since {self.since}"
