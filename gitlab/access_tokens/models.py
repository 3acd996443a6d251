"""What signs in instead of a password.

    Token (abstract: what every kind has) ◄─┬─ PersonalAccessToken ──► accounts.User
                                            │        └──► a project or a group, whose bot it is
                                            ├─ DeployToken ──► a project or a group
                                            └─ Runner ──► a project
                                                  ▲
                                                  └── Job ──► the person who started it
    JobTokenAllowance: jobs of one project may pull from another

The kinds are told apart by the prefix of their text, of which only a digest is kept: see
`token_text`.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from gitlab.namespaces.models import AccessLevel, Namespace, Project, Routable


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
    # With a default of the database, for nodes of the version before.
    last_used_ip = models.CharField(
        max_length=64, blank=True, default="", db_default="", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    warned_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When its end was announced by mail."
    )

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


_TO_WARN_OF = Q(warned_at__isnull=True, revoked_at__isnull=True, expires_at__isnull=False)


class PersonalAccessToken(Token):
    """Signs in as its user, limited to its scopes.

    That of a project or group has a bot for its user, and `access_level` is the bot's level there.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_tokens"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="access_tokens"
    )
    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="access_tokens"
    )
    access_level = models.PositiveSmallIntegerField(choices=AccessLevel, null=True, blank=True)
    family_id = models.BigIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="The id of the token that this one goes back to, by rotations; none for the first.",
    )
    rotated_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When another one took its place."
    )
    reused_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it was used after that."
    )

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["expires_at", "id"], name="pat_to_warn_of", condition=_TO_WARN_OF),
            models.Index(fields=["user", "-created_at"], name="pat_by_user"),
            models.Index(fields=["name", "id"], name="pat_by_name"),
            models.Index(
                fields=["family_id"],
                name="pat_by_family",
                condition=Q(family_id__isnull=False),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="pat_of_one_at_most",
                condition=Q(project__isnull=True, namespace__isnull=True, access_level__isnull=True)
                | Q(project__isnull=False, namespace__isnull=True, access_level__isnull=False)
                | Q(project__isnull=True, namespace__isnull=False, access_level__isnull=False),
            ),
        ]

    @property
    def owner(self) -> Routable | None:
        """The project or group that it is of; None for a person's own."""
        return self.project or self.namespace

    @property
    def path(self) -> str:
        """Where it is of, for the record: its project or group, or its person."""
        return self.owner.full_path if self.owner is not None else self.user.get_username()


class DeployToken(Token):
    """Pulls and pushes images of one project, or of all below one group, as nobody's account."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, null=True, blank=True, related_name="deploy_tokens"
    )
    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, null=True, blank=True, related_name="deploy_tokens"
    )
    chosen_username = models.CharField(max_length=255, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["expires_at", "id"],
                name="deploy_token_to_warn_of",
                condition=_TO_WARN_OF,
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="deploy_token_of_exactly_one",
                condition=Q(project__isnull=False, namespace__isnull=True)
                | Q(project__isnull=True, namespace__isnull=False),
            ),
        ]

    @property
    def username(self) -> str:
        """The name that it signs in with."""
        return self.chosen_username or default_username(self.pk)

    @property
    def path(self) -> str:
        """Where it is of, for the record."""
        return self.owner.full_path

    @property
    def owner(self) -> Routable:
        """The project or group that it is of."""
        owner = self.project or self.namespace
        assert owner is not None
        return owner


def default_username(pk: int) -> str:
    """GitLab's name for a deploy token. No person can be called so."""
    return f"gitlab+deploy-token-{pk}"


class Runner(Token):
    """A machine that runs a project's CI jobs: it obtains a token for each."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runners")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )

    class Meta:
        ordering = ["-created_at"]


class Job(models.Model):
    """One run of a CI job. Its token works while it is running and its time is not over."""

    class Status(models.TextChoices):
        RUNNING = "running", "Running"
        SUCCESS = "success", "Passed"
        FAILED = "failed", "Failed"
        CANCELED = "canceled", "Canceled"

    runner = models.ForeignKey(Runner, on_delete=models.CASCADE, related_name="jobs")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="jobs")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=255)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    status = models.CharField(max_length=16, choices=Status, default=Status.RUNNING)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    ends_at = models.DateTimeField(help_text="When its token ends, whatever becomes of the job.")
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.CheckConstraint(
                name="job_status_known",
                condition=Q(status__in=["running", "success", "failed", "canceled"]),
            ),
            models.CheckConstraint(
                name="job_finished_or_running",
                condition=Q(status="running", finished_at__isnull=True)
                | (~Q(status="running") & Q(finished_at__isnull=False)),
            ),
        ]
        indexes = [
            models.Index(fields=["runner", "status"], name="job_by_runner"),
            models.Index(fields=["project", "-id"], name="job_by_project"),
            models.Index(fields=["ends_at"], name="job_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"


class JobTokenAllowance(models.Model):
    """Jobs of `source` may pull from `project` what those who started them may."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="allowed_jobs")
    source = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "source"], name="job_allowance_once"),
        ]

    def __str__(self) -> str:
        return f"{self.source_id} → {self.project_id}"
