"""Favourites: the projects that somebody has starred."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from gitlab.namespaces.models import Project


class Star(models.Model):
    """A project that somebody wants to find at once. Nobody else is told."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="stars", db_index=False
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "project"], name="star_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} likes {self.project_id}"
