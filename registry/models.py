"""What exists and who refers to what. The database is the truth; the store only holds bytes.

::

    Repository ◄── Tag ─────────────► Manifest ◄── ManifestChild   (lists a digest)
        ▲                               ▲  ▲
        │                               │  └────── ManifestBlob ──► RepositoryBlob ──► Blob
        ├── RepositoryBlob              └ subject_digest                  (may serve)   (bytes)
        └── UploadSession ◄── UploadPart

    Review     what may have become garbage, and when to look
    Tombstone  bytes about to be unlinked            Receipt  what was removed, and why
    Event      what happened, in order              FormerPath  what a rename has left
    GarbageLease  nothing is collected while it lasts    Revocation  what ended tokens early
    Verification  how far a verification has come   Finding  what it found wrong
    ManifestPulls, DailyPulls, Counting  how often what was pulled
    Usage ◄── UsageTotal   how many bytes lie at and below a path that a quota limits

Foreign keys are `DO_NOTHING`: services delete in their own order, and the database refuses, at the
commit, to lose a row that another one refers to. A manifest can't outlive its right to a blob, and
an open tag can't lose its manifest, whatever a service gets wrong.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.fields import ByteOrderedCharField
from registry.quotas import NO_QUOTAS, Quotas
from registry.tag_order import MAX_LENGTH as SORT_KEY_LENGTH

NAME_LENGTH = 255
TAG_LENGTH = 128
CAUSE_LENGTH = 64
DIGEST_LENGTH = 135
"""``sha512:`` with 128 hexadecimal characters."""


class Repository(models.Model):
    """A name with content. Deleting closes it; a push to the same name opens a new one.

    `project_id` is GitLab's id of the project that it belongs to: what the token said that opened
    it, or the first one since that said so. The name's next owner does not inherit it.
    """

    name = ByteOrderedCharField(max_length=NAME_LENGTH)
    project_id = models.BigIntegerField(null=True)
    collect_untagged = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=255, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(closed_at=None), name="repository_open_name"
            ),
        ]
        indexes = [
            models.Index(
                fields=["name", "closed_at"],
                condition=Q(closed_at__isnull=False),
                name="repository_closed_name",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FormerPath(models.Model):
    """A path whose repositories a rename has taken away.

    Tokens that were issued before open nothing at or below it: see `services.repositories`.
    """

    path = ByteOrderedCharField(max_length=NAME_LENGTH, db_index=True)
    left_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.path


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


class Blob(models.Model):
    """Bytes with a digest, once for all repositories."""

    digest = ByteOrderedCharField(max_length=DIGEST_LENGTH, unique=True)
    size = models.BigIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(size__gte=0), name="blob_size")]

    def __str__(self) -> str:
        return self.digest


class RepositoryBlob(models.Model):
    """This repository may serve that blob. A digest known elsewhere is unknown here.

    One that was deleted is kept aside while manifests that nothing live needs still name the blob:
    undo may bring them back, and it with them. See `services.blobs.delete`.
    """

    repository = models.ForeignKey(Repository, models.DO_NOTHING, db_index=False)
    blob = models.ForeignKey(Blob, models.DO_NOTHING)
    created_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "blob"], name="repositoryblob_once"),
        ]

    def __str__(self) -> str:
        return f"{self.repository_id} may serve {self.blob_id}"


class Manifest(models.Model):
    """A manifest or an index: its exact bytes, and what they say that is asked for often.

    `content_size` is the sum of what it refers to (for an index: of the children that are here).
    `platforms` lists ``{"os", "architecture", "variant"}``. `image_created_at` is what the image's
    configuration says. A deleted one waits for the collector, and a push revives it.
    """

    repository = models.ForeignKey(Repository, models.DO_NOTHING, db_index=False)
    digest = ByteOrderedCharField(max_length=DIGEST_LENGTH)
    media_type = models.CharField(max_length=255)
    artifact_type = models.CharField(max_length=255, default="")
    config_digest = models.CharField(max_length=DIGEST_LENGTH, default="")
    subject_digest = models.CharField(max_length=DIGEST_LENGTH, null=True)
    payload = models.BinaryField()
    size = models.IntegerField()
    content_size = models.BigIntegerField(default=0)
    platforms = models.JSONField(default=list)
    image_created_at = models.DateTimeField(null=True)
    pushed_at = models.DateTimeField(default=timezone.now)
    pushed_by = models.CharField(max_length=255, default="")
    deleted_at = models.DateTimeField(null=True)
    deleted_by = models.CharField(max_length=255, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "digest"], name="manifest_once"),
        ]
        indexes = [
            models.Index(
                fields=["repository", "subject_digest", "digest"],
                condition=Q(subject_digest__isnull=False),
                name="manifest_referrers",
            ),
            models.Index(
                fields=["repository", "subject_digest", "artifact_type", "digest"],
                condition=Q(subject_digest__isnull=False),
                name="manifest_referrers_by_type",
            ),
        ]

    def __str__(self) -> str:
        return self.digest


class ManifestBlob(models.Model):
    """A manifest refers to a blob, through its repository's right to it."""

    manifest = models.ForeignKey(Manifest, models.DO_NOTHING, db_index=False)
    link = models.ForeignKey(RepositoryBlob, models.DO_NOTHING)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["manifest", "link"], name="manifestblob_once"),
        ]

    def __str__(self) -> str:
        return f"{self.manifest_id} refers to {self.link_id}"


class ManifestChild(models.Model):
    """A manifest lists a digest, which may not be here (yet), and may come as manifest or as blob.

    All that an index lists, and the layers of an image that need not be here.
    """

    parent = models.ForeignKey(Manifest, models.DO_NOTHING, db_index=False)
    repository = models.ForeignKey(Repository, models.DO_NOTHING, db_index=False)
    # Bytewise as the digests that it is compared with: PostgreSQL uses its index for no others.
    digest = ByteOrderedCharField(max_length=DIGEST_LENGTH)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["parent", "digest"], name="manifestchild_once"),
        ]
        indexes = [models.Index(fields=["repository", "digest"], name="manifestchild_digest")]

    def __str__(self) -> str:
        return f"{self.parent_id} lists {self.digest}"


class Tag(models.Model):
    """A name points at a manifest from one moment to another; open while it still does.

    The digest stays when the manifest's row has gone, so that the history remains readable. What
    an index orders tags by is kept here: `size` is the manifest's `content_size`, `sort_key` the
    name as versions are ordered (see `tag_order`), `dated_at` when the image was made by its own
    account, else when the tag was pushed.

    Undo opens an interval too, at `restored_at` by `restored_by`: what was pushed then still was
    pushed at `started_at` by `started_by`.
    """

    repository = models.ForeignKey(Repository, models.DO_NOTHING, db_index=False)
    name = ByteOrderedCharField(max_length=TAG_LENGTH)
    manifest = models.ForeignKey(Manifest, models.DO_NOTHING, null=True)
    digest = models.CharField(max_length=DIGEST_LENGTH)
    size = models.BigIntegerField(default=0)
    # With defaults of the database, for nodes of the version before.
    sort_key = ByteOrderedCharField(max_length=SORT_KEY_LENGTH, default="", db_default="")
    dated_at = models.DateTimeField(default=timezone.now, db_default=Now())
    started_at = models.DateTimeField(default=timezone.now)
    started_by = models.CharField(max_length=255, default="")
    restored_at = models.DateTimeField(null=True)
    restored_by = models.CharField(max_length=255, null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=255, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "name"], condition=Q(ended_at=None), name="tag_open_once"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=False) | Q(manifest__isnull=False),
                name="tag_open_has_manifest",
            ),
        ]
        indexes = [
            models.Index(fields=["repository", "name", "-id"], name="tag_history"),
            models.Index(
                fields=["repository", "started_at", "id"],
                condition=Q(ended_at=None),
                name="tag_published",
            ),
            models.Index(
                fields=["repository", "size", "id"],
                condition=Q(ended_at=None),
                name="tag_size",
            ),
            models.Index(
                fields=["repository", "sort_key", "name"],
                condition=Q(ended_at=None),
                name="tag_version",
            ),
            models.Index(
                fields=["repository", "dated_at", "id"],
                condition=Q(ended_at=None),
                name="tag_dated",
            ),
            models.Index(
                fields=["repository", "-ended_at"],
                condition=Q(ended_at__isnull=False),
                name="tag_ended",
            ),
            models.Index(
                fields=["ended_at"],
                condition=Q(ended_at__isnull=False),
                name="tag_ended_first",
            ),
        ]

    def __str__(self) -> str:
        return self.name


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


class UploadSession(models.Model):
    """An upload under way, of which something has to be remembered; before that its address is all.

    Each PATCH leaves a part whose bytes are durable, and whose row says that it counts; so bytes of
    `offset` are always there. Parts are hashed by `algorithm` as they come, which the client may
    name ahead (end-4c). A committed session stays until it expires, and answers a repeated PUT as
    it answered the first; a cancelled one stays so that its address does not begin anew.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    repository = models.ForeignKey(Repository, models.DO_NOTHING)
    opened_by = models.CharField(max_length=255, default="")
    algorithm = models.CharField(max_length=16, default="sha256")
    offset = models.BigIntegerField(default=0)
    committed_digest = models.CharField(max_length=DIGEST_LENGTH, default="")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["opened_by", "expires_at"],
                condition=Q(committed_digest=""),
                name="uploadsession_under_way",
            ),
        ]

    quotas: Quotas = NO_QUOTAS
    """What limits whoever goes on with it. Filled by `services.uploads`, kept nowhere."""

    is_one_too_many: bool = False
    """Whether its person has as many under way as they may, and this has no row. Filled as well."""

    def __str__(self) -> str:
        return str(self.id)


class UploadPart(models.Model):
    """A durable piece of an upload, from `offset` on, by the name that the store has for it."""

    session = models.ForeignKey(UploadSession, models.DO_NOTHING, db_index=False)
    offset = models.BigIntegerField()
    name = models.CharField(max_length=64)
    size = models.BigIntegerField()
    digest = models.CharField(max_length=DIGEST_LENGTH)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "offset"], name="uploadpart_once"),
        ]

    def __str__(self) -> str:
        return self.name


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
