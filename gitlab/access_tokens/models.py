"""What signs in instead of a password.

    Token (abstract: what every kind has) ◄── PersonalAccessToken ──► accounts.User

Deploy, project and group tokens join as further tables of `Token`, told apart by their prefix. Only
the SHA-256 of a token is kept: its 160 random bits need no slow hash.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.utils import timezone


def is_usable(revoked_at: dt.datetime | None, expires_at: dt.date | None) -> bool:
    """Whether a token may sign in today (UTC): not taken back, and before its last day's end."""
    today = dt.datetime.now(dt.UTC).date()
    return revoked_at is None and (expires_at is None or expires_at > today)


class Token(models.Model):
    """The columns of every kind of token."""

    name = models.CharField(max_length=255)
    # With a default of the database, for nodes of the version before.
    description = models.CharField(max_length=255, blank=True, default="", db_default="")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    expires_at = models.DateField(
        null=True, blank=True, help_text="The first day on which it is refused."
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def is_revoked(self) -> bool:
        """Whether somebody has taken it back."""
        return self.revoked_at is not None

    @property
    def is_expired(self) -> bool:
        """Whether its last day has passed."""
        return not is_usable(None, self.expires_at)

    @property
    def is_usable(self) -> bool:
        """Whether it may sign in today, as far as the token itself goes."""
        return is_usable(self.revoked_at, self.expires_at)


class PersonalAccessToken(Token):
    """Signs in as its user, limited to its scopes."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_tokens"
    )

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="pat_by_user"),
            models.Index(fields=["name", "id"], name="pat_by_name"),
        ]
