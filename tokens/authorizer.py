"""The one thing that the token server does not know: who may do what.

`settings.TOKENS_AUTHORIZER` names a class with the methods of `Authorizer`, as Django's
authentication backends are named. The token server knows nothing else of users and projects.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from tokens.access import Access

LOGIN_AUTH_TYPE = "gitlab_or_ldap"
"""GitLab's word for somebody who gave a password and no token."""


@dataclass(frozen=True)
class Identity:
    """Somebody who has proven who they are.

    `subject` goes into the token and the registry's records. `auth_type` is GitLab's word for the
    kind of credential (``gitlab_or_ldap``, ``personal_access_token``, ``deploy_token``, ``build``).
    `user_info` goes into the claim ``user``. `principal` is the authorizer's own. `credential`
    names what was shown, and goes into the claim of that name. `ends_at` is when that ends by
    itself, in seconds since the epoch; None for what does not.
    """

    subject: str
    auth_type: str
    user_info: Mapping[str, Any] = field(default_factory=dict)
    principal: Any = None
    credential: str = ""
    ends_at: float | None = None


class LoginRefused(Exception):
    """No identity: what was given is wrong, expired, revoked, or not meant for a registry.

    `concerned` is the authorizer's own. `reference` is the id under which the refusal is kept, ""
    where it is not: the client shows it.
    """

    def __init__(self, reason: str = "", *, concerned: Any = None) -> None:
        super().__init__(reason)
        self.concerned = concerned
        self.reference = ""


class InvalidCredentials(LoginRefused):
    """Answered with 401, the same for an unknown name as for a wrong password."""


class ExplainedRefusal(LoginRefused):
    """What was given is right, and does not let in. The message is for the person: a 401."""


class InsufficientCredentials(LoginRefused):
    """The credential is right and of no use here (no registry scope). Answered with 403."""


class AccessForbidden(Exception):
    """A request that is refused as a whole. The message is for the person: answered with 403.

    `name` is that of the image that it is about, "" where it is about none.
    """

    def __init__(self, message: str = "", name: str = "") -> None:
        super().__init__(message)
        self.name = name


class RegistryDisabled(Exception):
    """GitLab's side has the registry switched off. Answered with 404 and UNAVAILABLE."""


class Authorizer(Protocol):
    """What GitLab's side provides. Each method is called at most once for a request, in order."""

    def expecting(self, asked: Sequence[Access]) -> AbstractContextManager[None]:
        """A block in which somebody will be authenticated, and `asked` be decided: what both need
        to know may be read together.
        """

    def authenticate(self, username: str, password: str, *, address: str) -> Identity:
        """Who this is. `address` is the client's.

        Raises `LoginRefused`, and `limiter.TooManyRequests` where somebody failed too often.
        """

    def authorize(self, identity: Identity | None, asked: Sequence[Access]) -> list[Access]:
        """What of `asked` is granted, in order, without what is not. Changes nothing.

        `identity` is None for an anonymous caller. Raises `AccessForbidden`, `RegistryDisabled`.
        """

    def ends_at(self, identity: Identity | None, granted: Sequence[Access]) -> float | None:
        """When the right to what `authorize` has granted ends, as far as that is known already.

        In seconds since the epoch, None where there is no end: no token lives longer.
        """

    def explain(self, identity: Identity, refused: Sequence[Access]) -> Mapping[str, str]:
        """Why these were not granted, where that may be told: by name, in words."""

    def keep_denied(
        self, identity: Identity | None, denied: Sequence[Access], reasons: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Keep what was asked for and is not granted; by name what the client is told.

        That is the reason, where there is one, with the id under which it is kept.
        """

    def record(self, identity: Identity | None, granted: Sequence[Access]) -> list[Access]:
        """Record what the grant brings about (a project that a first push creates).

        Answers what to sign: `granted`, with what the registry should know in `Access.meta`.
        """


@functools.cache
def _load(dotted_path: str) -> Authorizer:
    authorizer: Authorizer = import_string(dotted_path)()
    return authorizer


def current() -> Authorizer:
    """The authorizer that the settings name."""
    return _load(settings.TOKENS_AUTHORIZER)
