"""The rules about people. `by` is who does it, None for the command line.

Refusals: `Forbidden`, `Invalid` (by argument).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from gitlab.accounts import (
    directories,
    failed_logins,
    registration,
    remembered_passwords,
    sessions,
)
from gitlab.accounts.models import User
from gitlab.audit.services import record
from gitlab.namespaces import members
from gitlab.namespaces.models import Namespace
from gitlab.namespaces.paths import check_segment
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden, Invalid
from gitlab.revocations import services as revocations

ROOT = "root"


def _only_admins(by: Person | None) -> None:
    if by is not None and not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")


def _refuse_bots(user: User) -> None:
    """What is a bot's is its token's: raises `Forbidden`."""
    if user.is_bot:
        raise Forbidden("A bot is changed by its token: rotate it, revoke it, make another.")


def _refuse_directory(user: User) -> None:
    """A password of one's own would outlive the one in the directory: raises `Forbidden`."""
    label = "" if user.has_usable_password() else directories.label(user)
    if label:
        raise Forbidden(f"Your password is the one of {label}: change it there.")


def _check_email(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise Invalid({"email": error.messages}) from error
    return email


def _check_password(password: str, user: User, field: str = "password") -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid({field: error.messages}) from error


def create_user(  # noqa: PLR0913 - one for each column
    *,
    username: str,
    email: str,
    password: str | None = None,
    name: str = "",
    is_superuser: bool = False,
    external: bool = False,
    email_claimed: bool = False,
    by: Person | None = None,
) -> User:
    """A person with their own namespace. Without a password they can't sign in yet.

    `email_claimed`: the address is their own word, and nothing has proven it.
    Raises `Invalid` for ``username``, ``email``, ``password``.
    """
    _only_admins(by)
    username = check_segment(username, at_top=True, field="username")
    if len(username) > 150:
        raise Invalid({"username": "At most 150 characters."})
    user = User(
        username=username,
        email=_check_email(email),
        name=(name.strip() or username)[:255],
        is_superuser=is_superuser,
        external=external,
        email_claimed=email_claimed,
    )
    if password is not None:
        _check_password(password, user)
    registration.insert(user, password, by=by)
    return user


def sign_up(*, username: str, email: str, password: str, name: str = "") -> User:
    """A stranger's own registration. Raises `Forbidden` where the settings don't allow it."""
    if not settings.SIGNUP_ENABLED:
        raise Forbidden("Ask an administrator for an account.")
    return create_user(
        username=username, email=email, password=password, name=name, email_claimed=True
    )


def has_administrator() -> bool:
    """Whether anybody administers this installation yet."""
    return User.objects.filter(is_superuser=True).exists()


def create_root(password: str) -> User:
    """The first administrator, ``root``. Where there is one already nothing changes."""
    existing = User.objects.filter(username=ROOT).first()
    if existing is not None:
        return existing
    user = User(
        username=ROOT, email="root@localhost.localdomain", name="Administrator", is_superuser=True
    )
    registration.insert(user, password, by=None)
    return user


def _keep_an_administrator(user: User) -> None:
    """Refuse what would leave nobody who administers. Held until the transaction's end."""
    active = User.objects.select_for_update().filter(is_superuser=True, state=User.State.ACTIVE)
    if [found.pk for found in active] == [user.pk]:
        raise Invalid({"is_superuser": f"{user.username} is the last administrator."})


@transaction.atomic
def block(user: User, *, by: Person | None) -> User:
    """Lock somebody out: no sign-in, no token works, sessions end at their next request.

    Also somebody who is deactivated, who would only have to sign in again.
    """
    _only_admins(by)
    if by is not None and by.pk == user.pk:
        raise Invalid({"user": "You can't block yourself."})
    _keep_an_administrator(user)
    others = User.objects.filter(pk=user.pk).exclude(state=User.State.BLOCKED)
    changed = others.update(state=User.State.BLOCKED, blocked_at=timezone.now())
    remembered_passwords.forget(user)
    if changed:
        record("user.block", by=by, target=user)
        sessions.end_all(user, by=by, note=False)
        revocations.end_tokens(subject=user.username)
    user.refresh_from_db()
    return user


@transaction.atomic
def unblock(user: User, *, by: Person | None) -> User:
    """Let somebody in again, with the tokens that they had."""
    _only_admins(by)
    changed = User.objects.filter(pk=user.pk, state=User.State.BLOCKED).update(
        state=User.State.ACTIVE, blocked_at=None
    )
    if changed:
        record("user.unblock", by=by, target=user)
    user.refresh_from_db()
    return user


@transaction.atomic
def deactivate(user: User, *, by: Person | None) -> User:
    """Let somebody rest who is away: until they sign in again, nothing of theirs works.

    Raises `Conflict` for a blocked one.
    """
    _only_admins(by)
    if by is not None and by.pk == user.pk:
        raise Invalid({"user": "You can't deactivate yourself."})
    if user.is_blocked:
        raise Conflict({"__all__": "A blocked user can't be deactivated."})
    _keep_an_administrator(user)
    rows = User.objects.filter(pk=user.pk, state=User.State.ACTIVE)
    if rows.update(state=User.State.DEACTIVATED):
        record("user.deactivate", by=by, target=user)
        sessions.end_all(user, by=by, note=False)
        revocations.end_tokens(subject=user.username)
    user.refresh_from_db()
    return user


@transaction.atomic
def activate(user: User, *, by: Person | None) -> User:
    """End a deactivation. Raises `Conflict` for somebody who is blocked."""
    _only_admins(by)
    if user.is_blocked:
        raise Conflict({"__all__": "A blocked user is unblocked first."})
    return _activate(user, by)


ASKED_BEFORE_RETURN: list[Callable[[User], None]] = []
"""What rooms above this one say of who comes back by themselves; each raises `Forbidden`."""


def check_return(user: User) -> None:
    """Whether somebody who is deactivated may come back by signing in. Raises `Forbidden`."""
    for ask in ASKED_BEFORE_RETURN:
        ask(user)


@transaction.atomic
def reactivate(user: User) -> User:
    """End a deactivation for the person themselves, who has just said their password.

    Raises `Forbidden` as `check_return`.
    """
    check_return(user)
    return _activate(user, user)


def _activate(user: User, by: Person | None) -> User:
    rows = User.objects.filter(pk=user.pk, state=User.State.DEACTIVATED)
    if rows.update(state=User.State.ACTIVE):
        record("user.activate", by=by, target=user)
    user.refresh_from_db()
    return user


@transaction.atomic
def delete_user(user: User, *, by: Person | None) -> None:
    """Remove a person with their tokens and memberships. What they did stays in the record.

    Raises `Conflict` while projects are in their namespace, or a group has no other owner.
    """
    _only_admins(by)
    if by is not None and by.pk == user.pk:
        raise Invalid({"user": "You can't delete yourself."})
    _keep_an_administrator(user)
    namespace = Namespace.objects.select_for_update().filter(owner=user).first()
    if namespace is not None and namespace.projects.exists():
        raise Conflict({"__all__": f"{user.username} still has projects: delete or transfer them."})
    group = members.only_owned_by(user)
    if group is not None:
        raise Conflict({"__all__": f"{user.username} is the only owner of {group.full_path}."})
    record("user.delete", by=by, target=user)
    revocations.end_tokens(subject=user.username)
    remembered_passwords.forget(user)
    if namespace is not None:
        namespace.delete()
    user.delete()


@transaction.atomic
def set_administrator(user: User, *, is_administrator: bool, by: Person | None) -> User:
    """Let somebody administer the installation, or no longer. Twice is the same as once.

    Raises `Invalid` for ``is_superuser`` where nobody would be left who can.
    """
    _refuse_bots(user)
    _only_admins(by)
    if not is_administrator:
        _keep_an_administrator(user)
    changed = User.objects.filter(pk=user.pk).exclude(is_superuser=is_administrator)
    if changed.update(is_superuser=is_administrator):
        action = "user.grant_admin" if is_administrator else "user.revoke_admin"
        record(action, by=by, target=user)
        if not is_administrator:
            revocations.end_tokens(subject=user.username)
    user.refresh_from_db()
    return user


def knows_own_password(user: User, password: str) -> bool:
    """Whether somebody who is signed in knows their password, or the one of their directory.

    Raises `failed_logins.TooManyFailedLogins`, `directories.DirectoryAway`.
    """
    attempt = failed_logins.begin_own(user, password)
    if not user.check_password(password) and not directories.is_password_of(user, password):
        return False
    attempt.succeeded()
    return True


def _check_current_password(user: User, password: str | None) -> None:
    if password is None or not knows_own_password(user, password):
        raise Invalid({"current_password": "This is not your current password."})


def change_password(
    user: User,
    new_password: str,
    *,
    by: Person | None,
    current_password: str | None = None,
    this_session: str | None = None,
) -> User:
    """Set a password; other sessions of the user end. Oneself has to know the current one.

    A page keeps `this_session`, its own, with ``update_session_auth_hash(request, user)``.
    Raises `Invalid` for ``current_password``, ``new_password``; `Forbidden`, also for oneself whose
    password a directory has; `failed_logins.TooManyFailedLogins`.
    """
    _refuse_bots(user)
    if by is not None and by.pk == user.pk:
        _refuse_directory(user)
    if by is not None and by.pk == user.pk:
        _check_current_password(user, current_password)
    else:
        _only_admins(by)
    _check_password(new_password, user, "new_password")
    return _set_password(user, make_password(new_password), by=by, keep=this_session)


def reset_password(user: User, new_password: str) -> User:
    """Set the password of somebody who has shown that they read the account's mail.

    Raises `Invalid` for ``new_password``, `Forbidden` for a blocked one, and for one whose password
    a directory has.
    """
    _refuse_bots(user)
    _refuse_directory(user)
    if user.is_blocked:
        raise Forbidden("Your account is blocked. Ask an administrator.")
    _check_password(new_password, user, "new_password")
    User.objects.filter(pk=user.pk, email=user.email).update(email_claimed=False)
    return _set_password(user, make_password(new_password), by=user)


def _set_password(user: User, hashed: str, *, by: Person | None, keep: str | None = None) -> User:
    user.password = hashed
    with transaction.atomic():
        user.save(update_fields=["password"])
        sessions.end_all(user, by=by, keep=keep, note=False)
        record("user.change_password", by=by, target=user)
        revocations.end_tokens(subject=user.username)
    remembered_passwords.forget(user)
    return user


def update_user(
    user: User, *, by: Person | None, name: str | None = None, email: str | None = None
) -> User:
    """Change what is given of one's own, or an administrator of anybody's.

    Raises `Invalid` for ``email``; `Forbidden`.
    """
    _refuse_bots(user)
    if by is None or by.pk != user.pk:
        _only_admins(by)
    before = {"name": user.name, "email": user.email}
    if name is not None:
        user.name = (name.strip() or user.username)[:255]
    if email is not None:
        user.email = _check_email(email)
    changes: dict[str, Any] = {
        field: [value, getattr(user, field)]
        for field, value in before.items()
        if value != getattr(user, field)
    }
    if not changes:
        return user
    if "email" in changes:
        user.email_claimed = by is not None and by.pk == user.pk
    try:
        with transaction.atomic():
            user.save(update_fields=["name", "email", "email_claimed"])
            record("user.update", by=by, target=user, **changes)
    except IntegrityError as error:
        raise Invalid({"email": "Somebody has this address already."}, code="taken") from error
    return user


@transaction.atomic
def set_external(user: User, *, external: bool, by: Person | None) -> User:
    """Whether somebody sees only what is public and what they are a member of."""
    _refuse_bots(user)
    _only_admins(by)
    if User.objects.filter(pk=user.pk).exclude(external=external).update(external=external):
        record("user.set_external", by=by, target=user, external=[not external, external])
        if external:
            revocations.end_tokens(subject=user.username)
    user.refresh_from_db()
    return user


def administer(
    user: User,
    *,
    by: Person,
    name: str | None = None,
    email: str | None = None,
    is_superuser: bool | None = None,
    external: bool | None = None,
    password: str | None = None,
) -> User:
    """Change of somebody what is given, all of it or nothing, each by its own rule.

    Raises `Invalid` for ``email``, ``is_superuser``, ``password``; `Forbidden`, also for the
    password of oneself.
    """
    _refuse_bots(user)
    _only_admins(by)
    hashed = ""
    if password is not None:
        if by.pk == user.pk:
            raise Forbidden("Your own password is changed where you say the present one.")
        _check_password(password, user)
        # Before the transaction: a third of a second is long to hold SQLite's only lock.
        hashed = make_password(password)
    with transaction.atomic():
        update_user(user, by=by, name=name, email=email)
        if is_superuser is not None:
            set_administrator(user, is_administrator=is_superuser, by=by)
        if external is not None:
            set_external(user, external=external, by=by)
        if hashed:
            _set_password(user, hashed, by=by)
    return user
