"""A link by mail for who has forgotten a password: asked for by anybody, sent by a job.

The page only writes down that somebody asked. Whether anybody has the address shows neither in its
words nor in its time.
"""

from __future__ import annotations

import datetime as dt
from urllib.parse import quote

from allauth.account import app_settings
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from gitlab.accounts import directories, passwords
from gitlab.accounts.models import ResetRequest, User
from gitlab.audit.services import record
from gitlab.jobs import enqueue
from gitlab.mail import services as mail
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden

AT_ONCE = 50
"""Requests that a run looks at."""

STALE = dt.timedelta(hours=1)
"""What no job has looked at by then is forgotten: nobody waits for it any more."""


@transaction.atomic
def ask(email: str) -> None:
    """Somebody wants a link sent to `email`, whoever has it."""
    ResetRequest.objects.create(email=email)
    enqueue.on_commit(mail.TASK)


def answer() -> int:
    """Queue the mails that were asked for; how many requests were looked at. May run twice."""
    rows = list(ResetRequest.objects.order_by("pk")[:AT_ONCE])
    return sum(_answer(row) for row in rows)


@transaction.atomic
def _answer(row: ResetRequest) -> bool:
    """Whether it was ours to answer: the one who removes the row does."""
    if not ResetRequest.objects.filter(pk=row.pk).delete()[0]:
        return False
    user = passwords.find(row.email)
    if user is not None and not user.has_usable_password() and directories.label(user):
        return True  # Their password is the directory's.
    if user is not None and user.is_active and timezone.now() - row.created_at < STALE:
        _send(user)
    return True


def _send(user: User) -> None:
    text = render_to_string(
        "accounts/mail/reset.txt", {"username": user.username, "link": link_for(user)}
    )
    mail.queue(user, "Set another password", text)


@transaction.atomic
def send_to(user: User, *, by: Person | None) -> None:
    """An administrator has a link sent to somebody, who sets another password by it.

    Raises `Forbidden`; `Conflict` where no mail is sent, or where it would not let them in.
    """
    if by is not None and not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")
    if user.is_bot or not user.is_active:
        raise Conflict({"__all__": "Only somebody who is active can set a password."})
    if not mail.is_on():
        raise Conflict({"__all__": "No mail is sent here: give them a new password."})
    _send(user)
    record("user.send_reset_link", by=by, target=user)


def link_for(user: User) -> str:
    """The link that sets another password, by the installation's own address. It counts once."""
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": "0", "key": "0"})
    key = f"{user_pk_to_url_str(user)}-{app_settings.PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)}"
    return f"{settings.EXTERNAL_URL}{path.removesuffix('0-0')}{quote(key)}"
