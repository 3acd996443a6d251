"""Tokens that end soon: whoever has to know is told, once, by mail; the pages mark them.

A person is told of their own; of those of a project or group, whoever may make new ones there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from gitlab.access_tokens import checks
from gitlab.access_tokens.models import DeployToken, PersonalAccessToken, Token
from gitlab.mail import services as mail
from gitlab.namespaces import members
from gitlab.namespaces.models import AccessLevel, Project, Routable
from gitlab.principals import Person

AT_ONCE = 500
"""Tokens of a kind that a run looks at. The next run finds the others."""

LISTED = 20
"""Tokens that one mail names."""

TOLD = 20
"""People who are told of a token of a project or group: those with the highest roles."""


def _last_day() -> dt.date:
    """The last of the days of warning."""
    day: dt.date = timezone.now().date() + settings.TOKEN_EXPIRY_WARNING
    return day


def ends_soon(token: Token) -> bool:
    """Whether it is usable, and will not be before the days of warning are over."""
    return token.is_usable and token.expires_at is not None and token.expires_at <= _last_day()


def ending_soon() -> Q:
    """The same of rows."""
    return checks.usable() & Q(expires_at__lte=_last_day())


def warn() -> int:
    """Tell of each token that ends soon and of which nobody has been told; how many that were.

    Nothing where mail is off: what was not told is told once it is on, if it has not ended by then.
    """
    if not mail.is_on() or not settings.TOKEN_EXPIRY_WARNING:
        return 0
    personal = _due(PersonalAccessToken, "user", "project__namespace", "namespace")
    return _tell_all(personal) + _tell_all(_due(DeployToken, "project__namespace", "namespace"))


def _due(model: Any, *related: str) -> list[Any]:
    rows = model.objects.filter(ending_soon(), warned_at__isnull=True)
    return list(rows.select_related(*related).order_by("expires_at", "pk")[:AT_ONCE])


def _tell_all(tokens: Sequence[Any]) -> int:
    by_owner = sorted(tokens, key=_of)
    return sum(_tell(list(some)) for _, some in groupby(by_owner, key=_of))


def _of(token: Any) -> tuple[str, int]:
    """Whose it is, as a key."""
    if token.owner is None:
        return "user", token.user_id
    return ("project" if isinstance(token.owner, Project) else "group"), token.owner.pk


@transaction.atomic
def _tell(tokens: Sequence[Any]) -> int:
    """One mail to each person about these, which have the same owner."""
    now = timezone.now()
    told = [
        token
        for token in tokens
        if type(token).objects.filter(pk=token.pk, warned_at__isnull=True).update(warned_at=now)
    ]
    if told:
        told.sort(key=lambda token: (token.expires_at, token.name))
        subject = _subject(told)
        for person in people_of(told[0]):
            mail.queue(person, subject, _text(told))
    return len(told)


def people_of(token: Any) -> list[Person]:
    """Who is to know what becomes of a token."""
    owner: Routable | None = token.owner
    if owner is None:
        return [token.user]
    lowest = AccessLevel.MAINTAINER if isinstance(owner, Project) else AccessLevel.OWNER
    found = members.highest_of(owner, TOLD)
    return [one.user for one in found if one.level >= lowest and not one.user.is_bot]


def page_of(token: Any) -> str:
    """The URL of the page on which a token stands."""
    if token.owner is None:
        return f"{settings.EXTERNAL_URL}{reverse('access_tokens:index')}"
    kind = "project" if isinstance(token.owner, Project) else "group"
    page = "deploy_tokens" if isinstance(token, DeployToken) else "access_tokens"
    path = reverse(f"access_tokens:{kind}_{page}", kwargs={"path": token.owner.full_path})
    return f"{settings.EXTERNAL_URL}{path}"


def _subject(tokens: Sequence[Any]) -> str:
    first = tokens[0]
    kind = "deploy token" if isinstance(first, DeployToken) else "access token"
    whose = f" of {first.owner.full_path}" if first.owner is not None else ""
    if len(tokens) == 1:
        return f"The {kind} {first.name}{whose} ends on {first.expires_at.isoformat()}"
    days = (tokens[-1].expires_at - timezone.now().date()) // dt.timedelta(days=1)
    return f"{len(tokens)} {kind}s{whose} end within {days} days"


def _text(tokens: Sequence[Any]) -> str:
    return render_to_string(
        "access_tokens/mail/expiry.txt",
        {
            "tokens": tokens[:LISTED],
            "more": len(tokens) - LISTED,
            "owner": tokens[0].owner,
            "rotates": not isinstance(tokens[0], DeployToken),
            "page": page_of(tokens[0]),
        },
    )
