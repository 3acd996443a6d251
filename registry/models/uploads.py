"""Uploads under way."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone

from registry.models.content import Repository
from registry.models.lengths import DIGEST_LENGTH
from registry.quotas import NO_QUOTAS, Quotas


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
