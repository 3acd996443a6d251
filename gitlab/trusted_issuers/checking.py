"""Whether an ID token meets a trust: who it is from, for whom, when, and what it says.

What costs nothing is looked at first. The issuer is asked for its keys only where a token says that
it is from the very issuer that the trust names: nobody else's address is ever called.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.conf import settings

from gitlab.access_tokens.models import is_usable
from gitlab.server.databases import rows
from gitlab.trusted_issuers import conditions, discovery, id_tokens
from gitlab.trusted_issuers.discovery import IssuerUnavailable
from gitlab.trusted_issuers.id_tokens import IdToken, RefusedToken
from gitlab.trusted_issuers.models import TrustedIssuer, username_of

_USERNAME = re.compile(r"gitlab\+trusted-issuer-(\d{1,18})")


class TrustRow(NamedTuple):
    """A trust as every request for a registry token reads it. Implements `Actor`."""

    id: int
    name: str
    issuer: str
    audience: str
    conditions: dict[str, str]
    actions: list[str]
    images: str
    expires_at: dt.date | None
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None
    last_used_ip: str
    project_id: int | None
    namespace_id: int | None
    full_path: str

    @property
    def person_id(self) -> int | None:
        """None: it is no person."""
        return None

    @property
    def username(self) -> str:
        """The name that stands beside an ID token."""
        return username_of(self.id)

    @property
    def label(self) -> str:
        """How the record names it."""
        return f"trust {self.name} of {self.full_path}"


class Checked(NamedTuple):
    """What an ID token that counts says, its digest, and when it ends (seconds, the epoch's)."""

    claims: Mapping[str, Any]
    digest: str
    ends_at: float


_FIND = """
SELECT t.id, t.name, t.issuer, t.audience, t.conditions, t.actions, t.images, t.expires_at,
t.revoked_at, t.last_used_at, t.last_used_ip, t.project_id, t.namespace_id,
COALESCE(p.full_path, n.full_path)
FROM trusted_issuers_trustedissuer t
LEFT JOIN namespaces_project p ON p.id = t.project_id
LEFT JOIN namespaces_namespace n ON n.id = t.namespace_id
WHERE t.id = %s
"""


def named(username: str) -> int | None:
    """The id in a user name that only trusts have; None for every other."""
    found = _USERNAME.fullmatch(username)
    return int(found[1]) if found else None


def find(pk: int) -> TrustRow | None:
    """The trust, usable or not, in one query."""
    found = rows.read(TrustRow, _FIND, [pk])
    return found[0] if found else None


def row_of(trust: TrustedIssuer) -> TrustRow:
    """The same of a trust that has been loaded."""
    fields = {name: getattr(trust, name) for name in TrustRow._fields if name != "full_path"}
    return TrustRow(**fields, full_path=trust.owner.full_path)


def check(trust: TrustRow, text: str) -> Checked:
    """What an ID token says, where it meets the trust. Raises `RefusedToken`."""
    if not is_usable(trust.revoked_at, trust.expires_at):
        raise RefusedToken("the trust is revoked or has expired", is_proven=True)
    token = id_tokens.read(text)
    if token.issuer != trust.issuer:
        raise RefusedToken("it is of another issuer")
    _verify(token, trust.issuer)
    try:
        _check_claims(trust, token)
    except RefusedToken as error:
        raise RefusedToken(str(error), is_proven=True) from error
    return Checked(token.claims, token.digest, id_tokens.ends_at(token.claims))


def _verify(token: IdToken, issuer: str) -> None:
    try:
        keys = discovery.KEYS.keys_of(issuer, token.key_id)
    except IssuerUnavailable as error:
        # No fault of the token's that anybody could know of.
        reason = f"the keys of its issuer are not to be had: {error}"
        raise RefusedToken(reason, is_proven=True) from error
    id_tokens.verify(token, keys)


def _check_claims(trust: TrustRow, token: IdToken) -> None:
    audience = trust.audience or settings.EXTERNAL_URL
    id_tokens.check(token.claims, issuer=trust.issuer, audience=audience, now=time.time())
    unmet = conditions.unmet(trust.conditions, token.claims)
    if unmet:
        raise RefusedToken(f"it does not meet the condition on {', '.join(unmet)}")
