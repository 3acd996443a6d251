"""From a bearer token to what it may do, and from what was missing to the challenge.

What a request needs is computed once; whether the token covers it, and the ``scope`` of the 401,
both come from that value. Source: Docker Registry v2 authentication; RFC 6750, section 3.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import CAUSE_LENGTH
from registry.quotas import NO_QUOTAS, Quotas
from registry.services import revocations
from registry.services.protection import NO_RULES, TagRules
from registry.visible import EVERYTHING, Visible
from tokens.access import Access
from tokens.issue import SERVICE
from tokens.keys import UnusableKey
from tokens.verify import Claims, InvalidToken, trusted, verify

log = logging.getLogger("registry.auth")

ACTIONS = {
    "GET": ("pull",),
    "HEAD": ("pull",),
    "POST": ("pull", "push"),
    "PUT": ("pull", "push"),
    "PATCH": ("pull", "push"),
    "DELETE": ("delete",),
}
"""What a method needs on the repository in the path, unless its view says otherwise."""

CATALOG = Access("registry", "catalog", ("*",))
STATISTICS = Access("registry", "statistics", ("*",))
SEARCH = Access("registry", "search", ("*",))

_MAX_ACTOR = 255
"""Characters of a name that tables keep. Other token servers may have longer ones than GitLab."""

_CACHED_TOKENS = 4096
_BUNDLE_CHECK_INTERVAL = 2.0


def admit(claims: Claims) -> Claims:
    """`claims` of a token that was verified, where it may be used now. Raises `InvalidToken`.

    The one place that every verified token passes, at each request and however it was verified:
    `Caller` asks it, through which the shortcut of `v2.pulls` goes too, and so does the diagnosis.
    What can end a token before its time belongs here, and not where tokens are remembered.
    """
    if claims.expires_at + settings.TOKENS_LEEWAY <= time.time():
        raise InvalidToken("expired")
    if revocations.has_ended(claims):
        raise InvalidToken("revoked")
    return claims


class _Verified:
    """The claims of a token whose signature was checked, and what was read of its ``meta``."""

    __slots__ = ("_metas", "claims")

    def __init__(self, claims: Claims) -> None:
        self.claims = claims
        self._metas: dict[str, Meta] = {}

    def meta(self, name: str) -> Meta:
        """What the token says of the repository `name`; nothing where it has no entry for it.

        Read once for each: a push asks with each of its requests. Raises DENIED as `Meta.read`.
        """
        found = self._metas.get(name)
        if found is not None:
            return found
        for entry in self.claims.access:
            if (entry.type, entry.name) == ("repository", name):
                self._metas[name] = Meta.read(entry.meta)
                return self._metas[name]
        return _NO_META


class _VerifiedTokens:
    """Tokens that were verified, by their text, until the trusted keys change.

    Checking a signature costs more than answering most requests. An entry can't become wrong: the
    same text says the same. Whether it may still be used is for `admit` to say.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Verified] = OrderedDict()
        self._bundle: object = None
        self._checked_at = 0.0

    def find(self, text: str) -> _Verified:
        """What `text` says. Raises `InvalidToken`."""
        now = time.time()
        if now - self._checked_at > _BUNDLE_CHECK_INTERVAL:
            self._forget_when_keys_change(now)
        found = self._entries.get(text)
        if found is None:
            bundle = self._bundle
            found = _Verified(verify(text))
            with self._lock:
                # Keys that have changed meanwhile may be those that it was verified with.
                if bundle is self._bundle:
                    self._entries[text] = found
                while len(self._entries) > _CACHED_TOKENS:
                    self._entries.popitem(last=False)
        return found

    def forget(self, text: str) -> None:
        """Make room: `text` is of no use any more."""
        self._entries.pop(text, None)

    def _forget_when_keys_change(self, now: float) -> None:
        self._checked_at = now
        bundle = trusted()
        if bundle is not self._bundle:
            with self._lock:
                self._bundle = bundle
                self._entries.clear()


_verified = _VerifiedTokens()


@dataclass(frozen=True, slots=True)
class Meta:
    """What a token says of a repository besides the actions: the ``meta`` of GitLab's tokens.

    Each is empty where the token does not say it, as those of other token servers do not.
    """

    project_id: int | None = None
    project_path: str = ""
    root_namespace_id: int | None = None
    rules: TagRules = NO_RULES
    quotas: Quotas = NO_QUOTAS
    cause: str = ""

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Meta:
        """`meta` as it came; what is of another type than GitLab's is ignored.

        Not so the rules about tags and the quotas: raises DENIED where those can't be read.
        """
        path, cause = meta.get("project_path"), meta.get("cause")
        return cls(
            _id(meta.get("project_id")),
            path if isinstance(path, str) else "",
            _id(meta.get("root_namespace_id")),
            TagRules.read(meta),
            Quotas.read(meta),
            _legible(cause)[:CAUSE_LENGTH] if isinstance(cause, str) else "",
        )


_NO_META = Meta()


def _id(value: object) -> int | None:
    """A row's id. ``True`` is an int to Python, and none to a database."""
    return value if type(value) is int and 0 < value < 2**63 else None


class Caller:
    """The sender of a request, by its Authorization field."""

    __slots__ = ("_claims", "_error", "_token")

    def __init__(self, authorization: str | None) -> None:
        self._claims: Claims | None = None
        self._token: _Verified | None = None
        self._error = ""
        if not authorization:
            return
        scheme, _, text = authorization.partition(" ")
        try:
            if scheme.lower() != "bearer" or not text:
                raise InvalidToken("no bearer token")
            token = _verified.find(text.strip(" "))
            self._claims, self._token = admit(token.claims), token
        except InvalidToken as error:
            _verified.forget(text.strip(" "))
            log.info("token refused: %s", error)
            self._error = "invalid_token"
        except (OSError, UnusableKey) as error:
            log.error("the trusted certificates can't be read: %s", error)
            raise RegistryError(
                Code.UNAVAILABLE,
                "tokens can't be checked at the moment",
                headers={"Retry-After": "30"},
            ) from error

    @property
    def claims(self) -> Claims | None:
        """What the token says; None without one, and for one that is refused."""
        return self._claims

    @property
    def is_own_job(self) -> bool:
        """Whether it is GitLab itself, for nobody: its tokens alone have no subject."""
        return self._claims is not None and self._claims.subject is None

    @property
    def actor(self) -> Actor:
        """Who the registry notes as having done something."""
        if self._claims is None:
            return Actor()
        claims = self._claims
        name = _legible(claims.subject or "")[:_MAX_ACTOR]
        return Actor(name, _legible(claims.user or ""), claims.issued_at)

    def acting_in(self, name: str) -> Actor:
        """As `actor`, with the project for which the token lets the caller act on a repository,
        the rules and quotas by which, and the job that it is for.
        """
        actor, meta = self.actor, self.meta(name)
        return Actor(
            actor.name,
            actor.user,
            actor.since,
            project_id=meta.project_id,
            rules=meta.rules,
            quotas=meta.quotas,
            cause=meta.cause,
        )

    def meta(self, name: str) -> Meta:
        """What the token says of the repository `name`; nothing where it has no entry for it."""
        return self._token.meta(name) if self._token is not None else _NO_META

    def may(self, needed: Access) -> bool:
        """Whether the token covers `needed`."""
        return self._claims is not None and self._claims.grants(needed)

    @property
    def visible(self) -> Visible:
        """The repositories that the caller may hear of: those that the token lets them pull.

        All of them with GitLab's own right to statistics.
        """
        if self._claims is None:
            return Visible((), ())
        own = self.is_own_job
        if own and self._claims.grants(STATISTICS):
            return EVERYTHING
        return Visible.by(self._claims.access, wildcards=own)

    def require(self, needed: Access | None) -> None:
        """Raises UNAUTHORIZED, with the challenge that tells the client which token to get.

        None asks for a valid token alone, as ``GET /v2/`` does.
        """
        if self._claims is not None:
            if needed is None or self._claims.grants(needed):
                return
            reason = self._claims.refusals.get(needed.name, "")
            raise _challenge(needed, "insufficient_scope", reason)
        raise _challenge(needed, self._error)


def _legible(text: str) -> str:
    """`text` as a database takes it: without NUL, and with U+FFFD for half a surrogate pair."""
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\0", "")


_DESCRIBED = 500
"""Characters of a reason in a header."""


def _described(reason: str) -> str:
    """`reason` in the letters that RFC 6750, section 3, has for it."""
    return "".join(
        sign if " " <= sign <= "~" and sign not in '"\\' else "'" for sign in reason[:_DESCRIBED]
    )


def _challenge(needed: Access | None, error: str, reason: str = "") -> RegistryError:
    parts = [f'realm="{settings.REGISTRY_TOKEN_REALM}"', f'service="{SERVICE}"']
    details: dict[str, Any] = {}
    if needed is not None:
        parts.append(f'scope="{needed}"')
        details = {"type": needed.type, "name": needed.name, "actions": list(needed.actions)}
    if error:
        parts.append(f'error="{error}"')
    if error and reason:
        # What docker shows of a refused push: it has its own words where there is none.
        parts.append(f'error_description="{_described(reason)}"')
    return RegistryError(
        Code.UNAUTHORIZED,
        reason or None,
        headers={"WWW-Authenticate": "Bearer " + ",".join(parts)},
        **details,
    )
