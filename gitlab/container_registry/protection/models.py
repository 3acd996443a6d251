"""Rules that take a right away from those who would have it by their role.

    RepositoryRule ──► a project or a group      which images, from whom
    TagRule        ──► a project or a group      which tags, from whom; without a level: immutable

A rule holds in its project, and a group's in everything below it.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from gitlab.namespaces.models import MAX_PATH_LENGTH, Namespace, Project, Routable
from tokens.tag_patterns import MAX_LENGTH


class Level(models.IntegerChoices):
    """Who may, where a rule asks for a role. GitLab's words are the names in lower case."""

    MAINTAINER = 40, "Maintainers"
    OWNER = 50, "Owners"
    ADMIN = 60, "Administrators"


def _level() -> models.PositiveSmallIntegerField[int | None, int | None]:
    return models.PositiveSmallIntegerField(choices=Level, null=True, blank=True)


_LEVELS_KNOWN = Q(
    Q(minimum_access_level_for_push__isnull=True)
    | Q(minimum_access_level_for_push__in=[40, 50, 60]),
    Q(minimum_access_level_for_delete__isnull=True)
    | Q(minimum_access_level_for_delete__in=[40, 50, 60]),
)
_OF_ONE = Q(project__isnull=False, namespace__isnull=True) | Q(
    project__isnull=True, namespace__isnull=False
)


class _Rule(models.Model):
    """What rules of both kinds have in common."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    minimum_access_level_for_push = _level()
    minimum_access_level_for_delete = _level()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True

    @property
    def owner(self) -> Routable:
        """The project or group that it is a rule of."""
        owner = self.project or self.namespace
        assert owner is not None
        return owner


class RepositoryRule(_Rule):
    """Images that not everybody who may push or delete may push or delete.

    `below` is the pattern without its owner's full path, so that it follows when that changes.
    """

    below = models.CharField(max_length=MAX_PATH_LENGTH, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="repository_rule_of_one", condition=_OF_ONE),
            models.CheckConstraint(name="repository_rule_levels", condition=_LEVELS_KNOWN),
            models.CheckConstraint(
                name="repository_rule_says_something",
                condition=Q(minimum_access_level_for_push__isnull=False)
                | Q(minimum_access_level_for_delete__isnull=False),
            ),
            models.UniqueConstraint(
                fields=["project", "below"], name="repository_rule_once_a_project"
            ),
            models.UniqueConstraint(
                fields=["namespace", "below"], name="repository_rule_once_a_group"
            ),
        ]

    def __str__(self) -> str:
        return self.repository_path_pattern

    @property
    def repository_path_pattern(self) -> str:
        """The pattern as people write it, with its owner's full path."""
        return f"{self.owner.full_path}{self.below}"


class TagRule(_Rule):
    """Tags that not everybody may push or delete; without any level, nobody moves or deletes."""

    tag_name_pattern = models.CharField(max_length=MAX_LENGTH)

    class Meta:
        constraints = [
            models.CheckConstraint(name="tag_rule_of_one", condition=_OF_ONE),
            models.CheckConstraint(name="tag_rule_levels", condition=_LEVELS_KNOWN),
            models.CheckConstraint(
                name="tag_rule_has_a_pattern", condition=~Q(tag_name_pattern="")
            ),
            models.UniqueConstraint(
                fields=["project", "tag_name_pattern"], name="tag_rule_once_a_project"
            ),
            models.UniqueConstraint(
                fields=["namespace", "tag_name_pattern"], name="tag_rule_once_a_group"
            ),
        ]

    def __str__(self) -> str:
        return self.tag_name_pattern

    @property
    def is_immutable(self) -> bool:
        """Whether its tags neither move nor go, whoever asks."""
        return (
            self.minimum_access_level_for_push is None
            and self.minimum_access_level_for_delete is None
        )
