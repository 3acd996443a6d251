"""Who somebody is for a provider, and what the provider has given them.

    User ── * Identity ── * GivenMembership ── 1 namespaces.Member

A member without a row here was given by people, and no provider touches it.
"""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from gitlab.accounts.models import User
from gitlab.namespaces.models import AccessLevel, Member


class Identity(models.Model):
    """Somebody as a provider knows them.

    The issuer counts besides the name: where a name of the settings is given to another provider,
    that one's subjects are nobody whom the first has known.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="identities")
    provider = models.CharField(max_length=32)
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)
    # Whether the provider's word has made the account: who is gone there is blocked here.
    made_user = models.BooleanField(default=False)
    # Whether the provider's word has made them an administrator: it can unmake them.
    made_admin = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    seen_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "identities"
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "issuer", "subject"], name="identity_subject_once"
            ),
            models.UniqueConstraint(
                fields=["user", "provider", "issuer"], name="identity_once_at_provider"
            ),
        ]
        indexes = [models.Index(fields=["provider", "seen_at"], name="identity_by_absence")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.provider}"


class GivenMembership(models.Model):
    """A level that a provider's groups give somebody in a group or project of ours.

    Of several providers the highest level counts.
    """

    identity = models.ForeignKey(Identity, on_delete=models.CASCADE, related_name="given")
    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="given_by")
    access_level = models.PositiveSmallIntegerField(choices=AccessLevel)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["identity", "member"], name="given_membership_once_by_identity"
            ),
            models.CheckConstraint(
                name="given_membership_level_known",
                condition=models.Q(access_level__in=[10, 20, 30, 40, 50]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.identity_id} gives {self.member_id}: {self.access_level}"
