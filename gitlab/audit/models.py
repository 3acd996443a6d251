"""What happened, by whom, from where. Rows are added and never changed."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils import timezone


class AuditQuerySet(models.QuerySet["AuditEvent"]):
    """Reads and adds; refuses the rest. `chain` seals rows, and removes the oldest."""

    def update(self, **kwargs: Any) -> NoReturn:
        """Refused. Raises `TypeError`."""
        raise TypeError("audit events are never changed")

    def delete(self) -> NoReturn:
        """Refused. Raises `TypeError`."""
        raise TypeError("audit events are never deleted")


class AuditEvent(models.Model):
    """One thing that happened. Names are copied, so that they outlive what they name.

    Nothing else in the database may change a row, so that none refers to another by a foreign key:
    what is gone leaves its id here. `project_pk`, `namespace_pk` and `person_pk` say at whose page
    the event is shown: the project that it is in, the group or namespace, the person that it is
    about.

    Triggers of the database refuse to change a row, and to remove one (see `triggers`). A migration
    that remakes the table on SQLite has to make them again.
    """

    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        null=True,
        blank=True,
        related_name="+",
    )
    actor_name = models.CharField(max_length=255, blank=True)
    action = models.CharField(max_length=64)
    target_type = models.CharField(max_length=64, blank=True)
    target_id = models.BigIntegerField(null=True, blank=True)
    target_path = models.CharField(max_length=255, blank=True)
    details = models.JSONField(default=dict, blank=True)
    address = models.CharField(max_length=64, blank=True)
    # With defaults of the database, for nodes of the version before.
    credential = models.CharField(max_length=80, blank=True, default="", db_default="")
    request_id = models.CharField(max_length=64, blank=True, default="", db_default="")
    project_pk = models.BigIntegerField(null=True, blank=True)
    namespace_pk = models.BigIntegerField(null=True, blank=True)
    person_pk = models.BigIntegerField(null=True, blank=True)
    at = models.DateTimeField(default=timezone.now, editable=False)
    # Written once, a little later: see `chain`.
    chain_position = models.BigIntegerField(null=True, editable=False, unique=True)
    digest = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_by_moment"),
            models.Index(fields=["target_type", "target_id", "-at"], name="audit_by_target"),
            models.Index(fields=["target_path", "-at"], name="audit_by_path"),
            models.Index(fields=["actor", "-at"], name="audit_by_actor"),
            models.Index(fields=["actor_name", "-at"], name="audit_by_actor_name"),
            models.Index(fields=["action", "-at"], name="audit_by_action"),
            models.Index(
                fields=["id"],
                name="audit_unsealed",
                condition=models.Q(chain_position__isnull=True),
            ),
            *(
                models.Index(fields=[column, "-at"], name=name, condition=~models.Q(**{column: ""}))
                for column, name in (
                    ("address", "audit_by_address"),
                    ("credential", "audit_by_credential"),
                    ("request_id", "audit_by_request"),
                )
            ),
            *(
                models.Index(
                    fields=[column, "-at"],
                    name=name,
                    condition=models.Q(**{f"{column}__isnull": False}),
                )
                for column, name in (
                    ("project_pk", "audit_in_project"),
                    ("namespace_pk", "audit_in_namespace"),
                    ("person_pk", "audit_about_person"),
                )
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name or 'nobody'}: {self.action} {self.target_path}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the row. Raises `TypeError` for one that exists."""
        if not self._state.adding:
            raise TypeError("audit events are never changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused. Raises `TypeError`."""
        raise TypeError("audit events are never deleted")


class AuditChain(models.Model):
    """How far the events are sealed, and how far the oldest are gone: one row, with the id 1.

    `position` and `digest` are those of the last event that is sealed; `swept` and `swept_digest`
    of the last that is gone, which the first that is there goes on from.
    """

    THE_ONE = 1

    position = models.BigIntegerField(default=0)
    digest = models.CharField(max_length=64, blank=True, default="")
    swept = models.BigIntegerField(default=0)
    swept_digest = models.CharField(max_length=64, blank=True, default="")
    streamed = models.BigIntegerField(default=0)
    sealed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(name="audit_chain_is_one", condition=models.Q(id=1)),
        ]

    def __str__(self) -> str:
        return f"sealed up to {self.position}, swept up to {self.swept}"


class Denial(models.Model):
    """A login that was refused, or a scope that was not granted, and why; the same again counts.

    `reference` is what the client showed. Whom it concerns are `person_pk`, and who looks after
    `project_pk` or `namespace_pk`. `name` is what somebody logged in as: left out where nobody is
    called that, since people type passwords there.
    """

    class Kind(models.TextChoices):
        LOGIN = "login", "Login"
        SCOPE = "scope", "Scope"

    reference = models.CharField(max_length=16, unique=True)
    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(max_length=255, blank=True)
    credential = models.CharField(max_length=80, blank=True)
    address = models.CharField(max_length=64, blank=True)
    path = models.CharField(max_length=255, blank=True)
    actions = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=255)
    person_pk = models.BigIntegerField(null=True)
    project_pk = models.BigIntegerField(null=True)
    namespace_pk = models.BigIntegerField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-last_at", "-id"]
        indexes = [
            models.Index(fields=["-last_at", "-id"], name="denial_by_time"),
            *(
                models.Index(
                    fields=[column, "-last_at"],
                    name=name,
                    condition=models.Q(**{f"{column}__isnull": False}),
                )
                for column, name in (
                    ("person_pk", "denial_of_person"),
                    ("project_pk", "denial_in_project"),
                    ("namespace_pk", "denial_in_namespace"),
                )
            ),
        ]

    def __str__(self) -> str:
        return self.reference
