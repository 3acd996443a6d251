"""The public keys and the identities that projects and groups hold.

PublicKey, SigningIdentity ──► a project or a group      a group's hold in everything below it
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from gitlab.namespaces.models import Namespace, Project, Routable

MAX_NAME = 100
MAX_IDENTITY = 500
"""Characters of the name in a certificate, and of who vouches for it."""


class PublicKey(models.Model):
    """A key whose owner's signatures count here. `fingerprint` as in `keys.fingerprint`."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=MAX_NAME)
    pem = models.TextField()
    fingerprint = models.CharField(max_length=64)
    algorithm = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="public_key_of_one",
                condition=Q(project__isnull=False, namespace__isnull=True)
                | Q(project__isnull=True, namespace__isnull=False),
            ),
            models.UniqueConstraint(fields=["project", "name"], name="public_key_name_in_project"),
            models.UniqueConstraint(fields=["namespace", "name"], name="public_key_name_in_group"),
            models.UniqueConstraint(
                fields=["project", "fingerprint"], name="public_key_once_a_project"
            ),
            models.UniqueConstraint(
                fields=["namespace", "fingerprint"], name="public_key_once_a_group"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def owner(self) -> Routable:
        """The project or group that holds it."""
        owner = self.project or self.namespace
        assert owner is not None
        return owner


class SigningIdentity(models.Model):
    """A name in a certificate whose owner's signatures count here, where `issuer` vouched for it.

    One that ends in ``*`` means all names that begin so.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=MAX_NAME)
    identity = models.CharField(max_length=MAX_IDENTITY)
    issuer = models.CharField(max_length=MAX_IDENTITY)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="signing_identity_of_one",
                condition=Q(project__isnull=False, namespace__isnull=True)
                | Q(project__isnull=True, namespace__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["project", "name"], name="signing_identity_name_in_project"
            ),
            models.UniqueConstraint(
                fields=["namespace", "name"], name="signing_identity_name_in_group"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def owner(self) -> Routable:
        """The project or group that holds it."""
        owner = self.project or self.namespace
        assert owner is not None
        return owner
