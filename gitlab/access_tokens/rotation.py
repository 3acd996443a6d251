"""A token that is used after another one took its place: one of the two is in wrong hands.

Nobody can tell which, so the whole family ends: all that goes back to the same first token. Whose
it is learns of it on their page of tokens and by mail, and the record says so. Source: RFC 9700,
section 4.14.2, which asks this of refresh tokens; GitLab does it where a revoked token is rotated.
"""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from gitlab.access_tokens import credentials, expiry
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.accounts import bots
from gitlab.audit import origin
from gitlab.audit.services import record
from gitlab.mail import services as mail
from gitlab.revocations import services as revocations

_SAID_FOR = dt.timedelta(days=30)


@transaction.atomic
def note_reuse(pk: int) -> None:
    """Revoke the family of a token that was rotated away and is used. Twice is the same as once.

    The record names nobody: who used it is not known, only from where.
    """
    rows = PersonalAccessToken.objects.select_related("user", "project", "namespace")
    token = rows.filter(pk=pk).first()
    if token is None:
        return
    hold_family(token)
    now, client_ip = timezone.now(), origin.client_ip()
    reused = PersonalAccessToken.objects.filter(
        pk=pk, rotated_at__isnull=False, reused_at__isnull=True
    )
    if not reused.update(reused_at=now, last_used_at=now, last_used_ip=client_ip):
        return
    family = _family(token).filter(revoked_at__isnull=True)
    revoked = list(family.values_list("pk", flat=True))
    PersonalAccessToken.objects.filter(pk__in=revoked).update(revoked_at=now)
    for each in revoked:
        revocations.end_tokens(credential=credentials.of_token(each))
    if token.owner is not None and revoked:
        bots.end(token.user_id)
    record("access_token.reuse", by=None, target=token, path=token.path, revoked=revoked)
    _tell(token, client_ip, len(revoked))


def _tell(token: PersonalAccessToken, client_ip: str, revoked: int) -> None:
    """By mail, to whoever has to know; their pages say it too."""
    about = {"token": token, "client_ip": client_ip, "revoked": revoked}
    text = render_to_string(
        "access_tokens/mail/reuse.txt", {**about, "page": expiry.page_of(token)}
    )
    for person in expiry.people_of(token):
        mail.queue(person, f"The access token {token.name} was used after its rotation", text)


def hold_family(token: PersonalAccessToken) -> None:
    """Wait for whoever rotates or revokes a token of this family, until the transaction's end.

    Otherwise a rotation under way while its family is revoked would leave one that works.
    """
    first = PersonalAccessToken.objects.filter(pk=token.family_id or token.pk)
    list(first.select_for_update().values_list("pk", flat=True))


def _family(token: PersonalAccessToken) -> QuerySet[PersonalAccessToken]:
    first = token.family_id or token.pk
    return PersonalAccessToken.objects.filter(Q(pk=first) | Q(family_id=first)).order_by("pk")


def reuses(tokens: QuerySet[PersonalAccessToken], limit: int = 5) -> QuerySet[PersonalAccessToken]:
    """Those of `tokens` that were used after their rotation, within a month, the latest first."""
    since = timezone.now() - _SAID_FOR
    return tokens.filter(reused_at__gt=since).order_by("-reused_at")[:limit]
