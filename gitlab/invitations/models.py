"""Who is asked by mail to belong to a group or project, and has not answered yet."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from gitlab.namespaces.models import AccessLevel, Namespace, Project, Routable


class Invitation(models.Model):
    """A membership that waits for whoever has the link, which stands in the mail alone.

    Gone once it was accepted, declined, withdrawn, or its time is over.
    """

    email = models.EmailField()
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="invitations"
    )
    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="invitations"
    )
    access_level = models.PositiveSmallIntegerField(choices=AccessLevel)
    # Of the membership: the first day on which it no longer holds.
    expires_at = models.DateField(null=True, blank=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sent_at = models.DateTimeField(default=timezone.now, editable=False)
    ends_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.CheckConstraint(
                name="invitation_to_exactly_one",
                condition=Q(namespace__isnull=False, project__isnull=True)
                | Q(namespace__isnull=True, project__isnull=False),
            ),
            models.CheckConstraint(
                name="invitation_email_lower", condition=Q(email=Lower("email"))
            ),
            models.CheckConstraint(
                name="invitation_level_known", condition=Q(access_level__in=[10, 20, 30, 40, 50])
            ),
            models.UniqueConstraint(
                fields=["namespace", "email"],
                condition=Q(namespace__isnull=False),
                name="invitation_once_to_namespace",
            ),
            models.UniqueConstraint(
                fields=["project", "email"],
                condition=Q(project__isnull=False),
                name="invitation_once_to_project",
            ),
        ]
        indexes = [models.Index(fields=["ends_at"], name="invitation_by_end")]

    def __str__(self) -> str:
        return f"{self.email} to {self.routable}"

    @property
    def routable(self) -> Routable:
        """The project or group."""
        found = self.project or self.namespace
        assert found is not None
        return found
