"""The rules of invitations by mail.

    invite() ──► a row, and a mail with a link ──► accept()    a membership
                                               ├──► decline()
                                               ├──► withdraw()
                                               └──► its time is over: sweep()

The link lets in whoever has it, once; what is stored of it is a digest. Who may not add members any
more when it is followed has invited nobody. `by` is who does it; refusals as in `members`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import secrets
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from gitlab.accounts import registration
from gitlab.accounts import services as accounts
from gitlab.accounts.models import User
from gitlab.accounts.sign_ups import services as sign_ups
from gitlab.audit.services import record
from gitlab.invitations.models import Invitation
from gitlab.mail import services as mail
from gitlab.namespaces import members
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import AccessLevel, Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Forbidden, Invalid, NotFound, TooMany
from tokens.limiter import Kind, Limiter, Rate

MOST = 200
"""Invitations that wait at one group or project."""

_DAY = 86400.0
_limiter = Limiter("FAILED_LOGINS_STORES")
_BY_ONE = Kind("invitations_by", (Rate(100, _DAY),))
"""Mails that one person has sent."""

_TO_ONE = Kind("invitations_to", (Rate(10, _DAY),))
"""Mails that one address gets, whoever invites."""


def are_on() -> bool:
    """Whether anybody is invited by mail here."""
    return mail.is_on() and bool(settings.INVITATION_EXPIRY)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _of(routable: Routable) -> Q:
    return Q(project=routable) if isinstance(routable, Project) else Q(namespace=routable)


def _live() -> QuerySet[Invitation]:
    """What has not ended, and whose membership would not have."""
    return Invitation.objects.filter(~_over()).select_related(
        "project__namespace", "namespace", "created_by"
    )


def _over() -> Q:
    now = timezone.now()
    return Q(ends_at__lte=now) | Q(expires_at__isnull=False, expires_at__lte=now.date())


def invitations_of(by: Person, routable: Routable, *, search: str = "") -> QuerySet[Invitation]:
    """Those that wait at a group or project, for who may add members."""
    if isinstance(routable, Project):
        require_in_project(by, routable, Ability.ADMIN_MEMBERS)
    else:
        require_in_namespace(by, routable, Ability.ADMIN_MEMBERS)
    return _live().filter(_of(routable), email__contains=search.strip().lower())


def _check_email(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise Invalid({"email": error.messages}) from error
    return email


def _count(by: Person, email: str) -> None:
    """Count a mail. Raises `TooMany`."""
    key = settings.SECRET_KEY.encode()
    who = hmac.new(key, f"invitation\0{email}".encode(), hashlib.sha256).hexdigest()
    if _limiter.take([*_BY_ONE.of(str(by.pk)), *_TO_ONE.of(who)]):
        raise TooMany({"email": "Too many invitations within a day: try again tomorrow."})


@transaction.atomic
def invite(
    by: Person,
    routable: Routable,
    email: str,
    access_level: int,
    expires_at: dt.date | None = None,
) -> Invitation:
    """Ask whoever reads the mail of an address to be a member.

    Whether somebody has an account with it is neither looked at nor told. Raises `Invalid` for
    ``email``, also where one waits already; `TooMany`.
    """
    level = members.check_level(members.require_administered(by, routable), access_level)
    if not are_on():
        raise Invalid({"email": "Nobody is invited by mail here: add people by user name."})
    email = _check_email(email)
    if not by.is_superuser:
        sign_ups.check_domain(email)
    here = Invitation.objects.filter(_of(routable))
    # What is over makes room at once, and not only when it is swept.
    for row in here.filter(_over(), email=email):
        _end(row)
    if here.filter(email=email).exists():
        raise Invalid({"email": "This address is invited already."}, code="taken")
    if here.count() >= MOST:
        raise TooMany({"email": f"At most {MOST} invitations wait at once: withdraw some first."})
    invitation = Invitation(
        email=email,
        project=routable if isinstance(routable, Project) else None,
        namespace=None if isinstance(routable, Project) else routable,
        access_level=level,
        expires_at=members.check_expiry(expires_at),
        created_by_id=by.pk,
    )
    _count(by, email)
    _send(invitation, by)
    _record("create", invitation, by, level=int(level))
    return invitation


def _record(verb: str, invitation: Invitation, by: Person | None, **details: Any) -> None:
    record(
        f"invitation.{verb}", by=by, target=invitation.routable, email=invitation.email, **details
    )


def _send(invitation: Invitation, by: Person) -> None:
    """Write the row with a new link, and the mail with it. Links from before are over."""
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    invitation.digest = _digest(token)
    invitation.sent_at, invitation.ends_at = now, now + settings.INVITATION_EXPIRY
    invitation.save()
    routable = invitation.routable
    text = render_to_string(
        "invitations/mail/invite.txt",
        {
            "by": by,
            "full_path": routable.full_path,
            "noun": "project" if isinstance(routable, Project) else "group",
            "role": AccessLevel(invitation.access_level).label,
            "link": f"{settings.EXTERNAL_URL}{reverse('invitations:show', args=[token])}",
            "ends_at": invitation.ends_at,
        },
    )
    mail.queue_to(invitation.email, f"You are invited to {routable.full_path}", text)


def get_for(by: Person, routable: Routable, email: str) -> Invitation:
    """The invitation of an address, for who may add members. Raises `NotFound`."""
    found = invitations_of(by, routable).filter(email=email.strip().lower()).first()
    if found is None:
        raise NotFound("no such invitation")
    return found


def _held(by: Person, invitation: Invitation) -> Invitation:
    """The row, held, for who may give what it gives."""
    access = members.require_administered(by, invitation.routable)
    row = _live().select_for_update(of=("self",)).filter(pk=invitation.pk).first()
    if row is None:
        raise NotFound("no such invitation")
    if not access.admin and row.access_level > access.level:
        raise Forbidden("You can't change what somebody above you has given.")
    return row


@transaction.atomic
def change(
    by: Person, invitation: Invitation, access_level: int, expires_at: dt.date | None = None
) -> Invitation:
    """Let it give another level, or end on another day. Its link goes on."""
    row = _held(by, invitation)
    level = members.check_level(members.require_administered(by, row.routable), access_level)
    moved: dict[str, list[Any]] = {
        "level": [row.access_level, int(level)],
        "expires_at": [str(day) if day else None for day in (row.expires_at, expires_at)],
    }
    row.access_level, row.expires_at = level, members.check_expiry(expires_at)
    # Who gives it answers for it: what the one before may give does not hold it any more.
    row.created_by_id = by.pk
    row.save(update_fields=["access_level", "expires_at", "created_by"])
    _record("update", row, by, **{name: pair for name, pair in moved.items() if pair[0] != pair[1]})
    return row


@transaction.atomic
def send_again(by: Person, invitation: Invitation) -> Invitation:
    """Another mail with another link, whose time begins anew. Raises `Invalid`, `TooMany`."""
    row = _held(by, invitation)
    if not are_on():
        raise Invalid({"email": "Nobody is invited by mail here."})
    _count(by, row.email)
    row.created_by_id = by.pk
    _send(row, by)
    _record("send", row, by)
    return row


@transaction.atomic
def withdraw(by: Person, invitation: Invitation) -> None:
    """Take it back: its link is over."""
    row = _held(by, invitation)
    _record("withdraw", row, by)
    row.delete()


def find(token: str) -> Invitation:
    """The invitation of a link. Raises `NotFound` for one that is over, or never was."""
    found = _live().filter(digest=_digest(token)).first()
    if found is None or not found.created_by.is_active or _is_going(found.routable):
        raise NotFound("this invitation is over")
    return found


def _is_going(routable: Routable) -> bool:
    return routable.pending_delete_at is not None


@transaction.atomic
def accept(token: str, user: Person) -> Invitation:
    """Make `user`, who has the link, a member. Raises `NotFound`, and `Invalid` for a member."""
    return _accept(_taken(token), user)


def _taken(token: str) -> Invitation:
    """The row of a link, held: the project or group first, as everybody does who changes it."""
    row = find(token)
    members.hold(row.routable)
    held = Invitation.objects.select_for_update().filter(pk=row.pk, digest=row.digest).first()
    if held is None:
        raise NotFound("this invitation is over")
    return find(token)


def _accept(row: Invitation, user: Person) -> Invitation:
    try:
        members.add_member(
            row.created_by, row.routable, user, row.access_level, row.expires_at, accepted=True
        )
    except (Forbidden, NotFound) as error:
        raise NotFound("who has invited you may not do so any more") from error
    _record("accept", row, user, invited_by=row.created_by.username)
    Invitation.objects.filter(pk=row.pk).delete()
    return row


@transaction.atomic
def decline(token: str, user: Person | None) -> Invitation:
    """Somebody who has the link does not want it; `user` is None for a visitor."""
    row = _taken(token)
    _record("decline", row, user)
    Invitation.objects.filter(pk=row.pk).delete()
    return row


def makes_account(invitation: Invitation) -> bool:
    """Whether who has the link may make an account to accept it with."""
    opened = settings.SIGNUP_ENABLED or settings.INVITATIONS_MAKE_ACCOUNTS
    return bool(opened or invitation.created_by.is_superuser)


def sign_up(token: str, *, username: str, password: str, name: str = "") -> User:
    """A new person with the address that was invited, who has accepted.

    Raises `Forbidden` where invitations make no accounts; `NotFound`; `Invalid`.
    """
    invitation = find(token)
    if not makes_account(invitation):
        raise Forbidden("Ask an administrator for an account.")
    waits = settings.SIGNUP_REQUIRES_APPROVAL and not invitation.created_by.is_superuser
    user = accounts.prepared(
        username=username,
        email=invitation.email,
        password=password,
        name=name,
        state=User.State.PENDING if waits else User.State.ACTIVE,
    )
    with transaction.atomic():
        row = _taken(token)
        registration.write(user, by=None)
        _accept(row, user)
        sign_ups.tell_administrators(user)
    return user


@transaction.atomic
def _end(row: Invitation) -> None:
    if Invitation.objects.filter(pk=row.pk).delete()[0]:
        _record("expire", row, None)


def sweep(most: int = 1000) -> int:
    """Remove invitations whose time is over; how many were looked at. May run twice."""
    over = Invitation.objects.select_related("project__namespace", "namespace")
    rows = list(over.filter(ends_at__lte=timezone.now()).order_by("ends_at")[:most])
    for row in rows:
        _end(row)
    return len(rows)
