"""Whom a project or group trusts to say who somebody is.

    a project or a group ◄── TrustedIssuer ◄── IdTokenUse

An ID token (OpenID Connect Core 1.0, section 2) is kept nowhere: an `IdTokenUse` is its digest, so
that it is known when it comes again.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from gitlab.access_tokens.models import is_usable
from gitlab.namespaces.models import Namespace, Project, Routable


class TrustedIssuer(models.Model):
    """A trust: whoever shows an ID token of `issuer` that meets all `conditions` may do `actions`
    with the images of one project, or of all below one group.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="trusted_issuers"
    )
    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="trusted_issuers"
    )
    name = models.CharField(max_length=255)
    issuer = models.CharField(max_length=255, help_text="Exactly as its ID tokens say it.")
    audience = models.CharField(
        max_length=255, blank=True, help_text="Whom an ID token is for; empty: this installation."
    )
    conditions = models.JSONField(
        default=dict, help_text="Claim → pattern, in which * stands for any characters."
    )
    actions = models.JSONField(default=list)
    images = models.CharField(
        max_length=255,
        blank=True,
        help_text="A pattern for what follows the project's or group's path; empty: all images.",
    )
    expires_at = models.DateField(
        null=True, blank=True, help_text="The first day on which it is refused."
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_ip = models.CharField(max_length=64, blank=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                name="trusted_issuer_of_exactly_one",
                condition=Q(project__isnull=False, namespace__isnull=True)
                | Q(project__isnull=True, namespace__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def owner(self) -> Routable:
        """The project or group that it is of."""
        owner = self.project or self.namespace
        assert owner is not None
        return owner

    @property
    def username(self) -> str:
        """The name that stands beside an ID token."""
        return username_of(self.pk)

    @property
    def expected_audience(self) -> str:
        """Whom an ID token has to be for."""
        return self.audience or settings.EXTERNAL_URL

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
        """Whether it holds today."""
        return is_usable(self.revoked_at, self.expires_at)


def username_of(pk: int) -> str:
    """The name of a trust, for `docker login` and in the registry's records. Nobody else has it."""
    return f"gitlab+trusted-issuer-{pk}"


class IdTokenUse(models.Model):
    """That an ID token has been shown. The row goes once the token has ended by itself."""

    trusted_issuer = models.ForeignKey(TrustedIssuer, on_delete=models.CASCADE, related_name="uses")
    digest = models.CharField(max_length=64, unique=True)
    count = models.PositiveIntegerField(default=1)
    exchanged_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.digest[:12]} ({self.count})"
