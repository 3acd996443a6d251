"""How many bytes and images there may be at and below the path of a project or namespace.

    Quota ──► a project, or a namespace        at most one each

A push has to fit into each quota on the way up. One without limits is kept: its path was counted,
and is counted further, so that a limit that is set again finds the truth.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from gitlab.namespaces.models import Namespace, Project, Routable


class Quota(models.Model):
    """The limits of one project or namespace, None for what is not limited.

    What an administrator has set only administrators change. `used_percent` is how much of it was
    used at `looked_at`, and `warned_percent` what its owners have been told of: see `notices`.
    """

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    namespace = models.OneToOneField(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    max_bytes = models.BigIntegerField(null=True, blank=True)
    max_images = models.IntegerField(null=True, blank=True)
    set_by_admin = models.BooleanField(default=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    # With a default of the database, for nodes of the version before.
    used_percent = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    warned_percent = models.PositiveSmallIntegerField(default=0, editable=False)
    looked_at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="quota_of_one",
                condition=Q(project__isnull=False, namespace__isnull=True)
                | Q(project__isnull=True, namespace__isnull=False),
            ),
            models.CheckConstraint(
                name="quota_not_negative",
                condition=Q(Q(max_bytes__isnull=True) | Q(max_bytes__gte=0))
                & Q(Q(max_images__isnull=True) | Q(max_images__gte=0)),
            ),
        ]

    def __str__(self) -> str:
        return f"quota of {self.project_id or self.namespace_id}"

    @property
    def owner(self) -> Routable:
        """The project or namespace that it limits."""
        owner = self.project or self.namespace
        assert owner is not None
        return owner
