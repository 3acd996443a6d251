"""What exists: repositories, blobs and the rights to them, manifests, tags."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from registry.fields import ByteOrderedCharField
from registry.models.lengths import DIGEST_LENGTH, NAME_LENGTH, TAG_LENGTH
from registry.tag_order import MAX_LENGTH as SORT_KEY_LENGTH


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
