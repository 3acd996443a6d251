"""People.

    User ── 1:1 ── namespaces.Namespace (kind "user", path = username)

A user name is the first segment of image paths, so it is kept in lower case and follows the same
grammar as every other path.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


def today() -> dt.date:
    """The day in UTC."""
    return timezone.now().date()


class UserManager(BaseUserManager["User"]):
    """Finds rows. `services.create_user` checks what is typed before it makes one."""

    def get_by_natural_key(self, username: str | None) -> User:
        """The user of a name, whatever case it is typed in."""
        return self.get(username=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody who can sign in, or a bot, which nobody can sign in as.

    A blocked one can't, and their tokens are refused; nor can one who has registered and waits for
    an administrator's approval. So is what a deactivated one has, who becomes active again by
    signing in to the pages.
    """

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        BLOCKED = "blocked", "Blocked"
        DEACTIVATED = "deactivated", "Deactivated"
        PENDING = "blocked_pending_approval", "Pending approval"

    class Type(models.TextChoices):
        HUMAN = "human", "Human"
        PROJECT_BOT = "project_bot", "Bot of a project or group"

    username = models.CharField(max_length=150, unique=True)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=255)
    state = models.CharField(max_length=32, choices=State, default=State.ACTIVE)
    # With a default of the database, for nodes of the version before.
    user_type = models.CharField(
        max_length=16, choices=Type, default=Type.HUMAN, db_default=Type.HUMAN, editable=False
    )
    external = models.BooleanField(
        default=False, help_text="Sees what they are a member of and what is public, nothing else."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    blocked_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The day on which they were here last, by page, token or password; written once a day. With
    # nothing for whom a node of the version before has made.
    last_activity_on = models.DateField(null=True, default=today, editable=False)
    # Whether they have typed their address themselves, and nothing has proven that it is theirs: by
    # such a one nobody is found who comes by an identity provider.
    email_claimed = models.BooleanField(default=False, db_default=False, editable=False)
    # Sessions from before have ended: it is a part of what each session is signed with.
    sessions_ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When they were told that a second factor is required. The grace begins then.
    two_factor_told_at = models.DateTimeField(null=True, blank=True, editable=False)

    # How often an administrator has let them begin anew after failed logins: a part of what is
    # counted under.
    failed_logins_lifted = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    has_factor: bool | None = None
    """Whether they have a second factor; None where nobody has read it along. Filled, as the next
    one, by `factors.standing`, and kept nowhere."""
    group_grace: int | None = None
    """The hours that the strictest of their groups gives them for it; None where none wants it."""

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email", "name"]

    objects = UserManager()

    class Meta:
        ordering = ["username"]
        constraints = [
            models.CheckConstraint(
                name="user_username_lower", condition=models.Q(username=Lower("username"))
            ),
            models.CheckConstraint(
                name="user_email_lower", condition=models.Q(email=Lower("email"))
            ),
            models.CheckConstraint(
                name="user_state_known",
                condition=models.Q(
                    state__in=["active", "blocked", "deactivated", "blocked_pending_approval"]
                ),
            ),
            models.CheckConstraint(
                name="user_type_known", condition=models.Q(user_type__in=["human", "project_bot"])
            ),
        ]
        indexes = [
            models.Index(fields=["state", "username"], name="user_by_state"),
            models.Index(fields=["name", "id"], name="user_by_name"),
            models.Index(fields=["created_at", "id"], name="user_by_creation"),
            models.Index(fields=["state", "last_activity_on"], name="user_by_activity"),
        ]

    @property
    def is_active(self) -> bool:  # type: ignore[override]
        """Django's word for "may sign in"."""
        return self.state == self.State.ACTIVE

    @property
    def person_id(self) -> int | None:
        """Their own id: see `principals.Actor`."""
        return self.pk

    @property
    def label(self) -> str:
        """How the record names them: see `principals.Actor`."""
        return self.name if self.is_bot else self.username

    @property
    def is_bot(self) -> bool:
        """Whether nobody can sign in as it, and a token acts as it: see `bots`."""
        return self.user_type != self.Type.HUMAN

    @property
    def is_blocked(self) -> bool:
        """Whether an administrator has locked them out, or has not let them in yet."""
        return self.state in (self.State.BLOCKED, self.State.PENDING)

    @property
    def is_pending(self) -> bool:
        """Whether they have registered, and no administrator has approved that yet."""
        return self.state == self.State.PENDING

    @property
    def is_admin(self) -> bool:
        """Whether they administer the whole installation."""
        return self.is_superuser

    @property
    def is_staff(self) -> bool:
        """Django's word for "may see the console"."""
        return self.is_superuser

    def get_session_auth_hash(self) -> str:
        """What a session has to be signed with to go on: the password, and the last end of all."""
        return self._signed_with(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """The same, by keys from before."""
        return (self._signed_with(each) for each in super().get_session_auth_fallback_hash())

    def _signed_with(self, of_password: str) -> str:
        if self.sessions_ended_at is None:
            return of_password
        text = f"{of_password} {self.sessions_ended_at.isoformat()}"
        return hashlib.sha256(text.encode()).hexdigest()

    def get_full_name(self) -> str:
        """The name that people read."""
        return self.name

    def get_short_name(self) -> str:
        """The name that people type."""
        return self.username

    def __str__(self) -> str:
        return self.username


class LoginWait(models.Model):
    """Where somebody has to wait after failed logins, and until when: for administrators to see."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="login_waits")
    address = models.CharField(max_length=64, blank=True)
    until = models.DateTimeField()

    class Meta:
        ordering = ["-until"]
        constraints = [
            models.UniqueConstraint(fields=["user", "address"], name="login_wait_once_at_address"),
        ]
        indexes = [models.Index(fields=["until"], name="login_wait_by_end")]

    def __str__(self) -> str:
        return f"{self.user} at {self.address}"


class ResetRequest(models.Model):
    """Somebody has asked for a link that sets another password; gone once a job has looked at it.

    Written for an address that nobody has as well: the page takes as long for either.
    """

    email = models.EmailField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.email
