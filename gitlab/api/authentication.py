"""Who asks, and with what: a token in a header or in the query, or the session of a page.

Source: https://docs.gitlab.com/api/rest/authentication/. Whatever is sent is looked at: a wrong
token is refused, and never makes a visitor of whoever sent it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from rest_framework import authentication
from rest_framework.request import Request

from gitlab.access_tokens.services import TokenRow
from gitlab.api import errors
from gitlab.authorization import bearers
from gitlab.principals import Person
from gitlab.ui.decorators import is_confirmed
from tokens.authorizer import InvalidCredentials


@dataclass(frozen=True)
class Credential:
    """What a request was authenticated with. `token` is None for the session of a page, and for a
    CI job, whose project is `job_project`.

    `text` is the token itself, for counting its requests.
    """

    scopes: frozenset[str]
    token: TokenRow | None = None
    text: str = ""
    job_project: int | None = None

    def covers(self, *wanted: str) -> bool:
        """Whether one of the scopes `wanted` is there."""
        return not self.scopes.isdisjoint(wanted)


SESSION = Credential(frozenset(["api"]))


class TokenAuthentication(authentication.BaseAuthentication):
    """``PRIVATE-TOKEN``, ``Authorization: Bearer``, ``JOB-TOKEN``, or ``private_token`` in the
    query.
    """

    def authenticate(self, request: Request) -> tuple[Person, Credential] | None:
        """The person with their credential, None where no token was sent. Raises `ApiError`."""
        text = _sent(request)
        if text is None:
            return None
        try:
            bearer = bearers.identify(text, client_ip=request.META.get("REMOTE_ADDR", ""))
        except bearers.TokenEnded as error:
            raise errors.invalid_token(str(error)) from error
        except InvalidCredentials as error:
            raise errors.unauthorized() from error
        return bearer.person, Credential(bearer.scopes, bearer.token, text, bearer.job_project)

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return 'Bearer realm="GitLab"'


def _sent(request: Request) -> str | None:
    """The first token of a request. Other kinds of ``Authorization`` are a token that is none."""
    for header in ("PRIVATE-TOKEN", "JOB-TOKEN"):
        if header in request.headers:
            return request.headers[header]
    if "Authorization" in request.headers:
        kind, _, text = request.headers["Authorization"].partition(" ")
        return text.strip() if kind.lower() == "bearer" else ""
    for name in ("private_token", "access_token", "job_token"):
        if name in request.query_params:
            return request.query_params[name]
    return None


class SessionAuthentication(authentication.SessionAuthentication):
    """Whoever is signed in to the pages; what changes something needs the form's CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """The person, or None for a visitor. Raises DRF's `PermissionDenied` without the token."""
        found = super().authenticate(request)
        return None if found is None else (found[0], SESSION)


def person(request: Request) -> Person:
    """Who asks. An endpoint that visitors can't use has always somebody."""
    assert not isinstance(request.user, AnonymousUser)
    return request.user


def credential(request: Request) -> Credential | None:
    """What they asked with; None for a visitor."""
    return request.auth if isinstance(request.auth, Credential) else None


def require_confirmation(request: Request) -> None:
    """Before what the pages ask for a password or a factor again for: the session of a page alone
    is not enough, since somebody may have found the screen unlocked.

    A token is: it was given the scope for that, and no screen shows it. Raises `ApiError` 403.
    """
    if credential(request) is SESSION and not is_confirmed(request):
        raise errors.forbidden(
            "say again that it is you: open /users/confirm, or send an access token"
        )


def require_own_job(request: Request, project_id: int) -> None:
    """Raises `ApiError` 403 for a CI job of another project than this."""
    used = credential(request)
    if used is not None and used.job_project not in (None, project_id):
        raise errors.forbidden("a job's token is for its own project")
