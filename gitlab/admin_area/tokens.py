"""What signs in instead of a password, everywhere: found by whose it is and by how it stands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q, QuerySet
from django.utils import timezone

from gitlab.access_tokens import checks, expiry
from gitlab.access_tokens.models import DeployToken, PersonalAccessToken, Runner, Token
from gitlab.accounts.models import User

UNUSED = dt.timedelta(days=90)
"""What works and was not used for so long stands in a filter of its own."""

_STATES = [
    ("works", "Works"),
    ("soon", "Ends soon"),
    ("unused", f"Unused for {UNUSED.days} days"),
    ("ended", "Has ended"),
    ("revoked", "Revoked"),
]
_OF_PERSON, _OF_PROJECT, _OF_GROUP = (
    ("person", "People"),
    ("project", "Projects"),
    ("group", "Groups"),
)


@dataclass(frozen=True)
class Kind:
    """One list of tokens. `owners` are whose there may be, `related` what a row shows, `searched`
    where a text is looked for; `inventory` is the list that has what works of it, to be exported.
    """

    title: str
    nouns: tuple[str, str]
    model: type[Token]
    owners: Sequence[tuple[str, str]]
    related: Sequence[str]
    searched: Sequence[str]
    inventory: str
    ends: bool = True

    @property
    def states(self) -> list[tuple[str, str]]:
        """How one may stand."""
        return [each for each in _STATES if self.ends or each[0] not in ("soon", "ended")]


KINDS: dict[str, Kind] = {
    "access": Kind(
        "Access tokens",
        ("access token", "access tokens"),
        PersonalAccessToken,
        (_OF_PERSON, _OF_PROJECT, _OF_GROUP),
        ("user", "project", "namespace"),
        ("user__username", "project__full_path", "namespace__full_path"),
        "access_tokens",
    ),
    "deploy": Kind(
        "Deploy tokens",
        ("deploy token", "deploy tokens"),
        DeployToken,
        (_OF_PROJECT, _OF_GROUP),
        ("project__namespace", "namespace"),
        ("chosen_username", "project__full_path", "namespace__full_path"),
        "deploy_tokens",
    ),
    "runners": Kind(
        "Runners",
        ("runner", "runners"),
        Runner,
        (),
        ("project__namespace", "created_by"),
        ("project__full_path",),
        "runners",
        ends=False,
    ),
}
"""By the last part of each list's address."""


def tokens(kind: Kind, *, search: str = "", state: str = "", owner: str = "") -> QuerySet[Token]:
    """The tokens of a kind; unknown words count not."""
    rows: QuerySet[Token] = kind.model._default_manager.select_related(*kind.related)  # noqa: SLF001
    if state in dict(kind.states):
        rows = rows.filter(_standing(kind, state))
    if owner in dict(kind.owners):
        column = {"project": "project", "group": "namespace"}.get(owner)
        where = {f"{column}__isnull": False} if column else {"project": None, "namespace": None}
        rows = rows.filter(**where)
    text = search.strip().removeprefix("@")
    if text:
        # Paths and user names are in lower case, what a token is called is not.
        found = Q(name__icontains=text)
        for column in kind.searched:
            found |= Q(**{f"{column}__contains": text.lower()})
        rows = rows.filter(found)
    return rows


def _standing(kind: Kind, state: str) -> Q:
    if state == "revoked":
        return Q(revoked_at__isnull=False)
    if state == "ended":
        return Q(revoked_at__isnull=True, expires_at__lte=timezone.now().date())
    works = expiry.ending_soon() if state == "soon" else checks.usable()
    if kind.model is PersonalAccessToken:
        works &= Q(user__state=User.State.ACTIVE)
    return works & _unused() if state == "unused" else works


def _unused() -> Q:
    since = timezone.now() - UNUSED
    never = Q(last_used_at__isnull=True, created_at__lt=since)
    return Q(last_used_at__lt=since) | never


def state_of(token: Token) -> str:
    """``revoked``, ``ended``, ``blocked`` (nothing of its person's works), ``soon``, ``unused`` or
    ``works``.
    """
    if token.is_revoked or token.is_expired:
        return "revoked" if token.is_revoked else "ended"
    if isinstance(token, PersonalAccessToken) and not token.user.is_active:
        return "blocked"
    if expiry.ends_soon(token):
        return "soon"
    used = token.last_used_at or token.created_at
    return "unused" if used < timezone.now() - UNUSED else "works"
