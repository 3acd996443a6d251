"""Who is behind a token that comes alone, as the API gets it: no name beside it says its kind.

Each kind of credential that the API takes is a function in `KINDS`: ``find(text, client_ip=…)``
answers a `Bearer`, None for what is not of its kind, or raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitlab.access_tokens import credentials, job_tokens
from gitlab.access_tokens import services as access_tokens
from gitlab.access_tokens.models import Runner
from gitlab.access_tokens.services import TokenRow
from gitlab.accounts import failed_logins
from gitlab.audit import origin
from gitlab.principals import Person
from tokens.authorizer import InvalidCredentials


class TokenEnded(InvalidCredentials):
    """It was a token, and is none any more; the message says why, to whoever has it."""


@dataclass(frozen=True)
class Bearer:
    """A person by a token: `scopes` are what it is for, `token` is the row of a personal one.

    `job_project` is the id of the project that a CI job is of, whose token it is: with it one may
    what the API opens to jobs, in this project alone.
    """

    person: Person
    scopes: frozenset[str]
    token: TokenRow | None = None
    job_project: int | None = None


def _personal_access_token(text: str, *, client_ip: str) -> Bearer | None:
    if not access_tokens.looks_like_one(text):
        return None
    token = access_tokens.find(text)
    if token is None:
        return None
    if not token.is_usable:
        access_tokens.note_refused(token)
    if token.revoked_at is not None:
        raise TokenEnded("Token was revoked. You have to re-authorize from the user.")
    if not token.is_usable and token.owner.is_active:
        raise TokenEnded("Token is expired. You can either do re-authorization or token refresh.")
    if not token.is_usable:
        raise InvalidCredentials("the owner is blocked")
    origin.acted_with(credentials.of_token(token.id))
    access_tokens.note_use(token, client_ip)
    return Bearer(token.owner, frozenset(token.scopes), token)


def _job_token(text: str, *, client_ip: str) -> Bearer | None:
    """As who started the job. One that is over is no guess and counts nowhere."""
    if not job_tokens.looks_like_one(text):
        return None
    job = job_tokens.find(text)
    if job is None or not job.is_usable:
        raise InvalidCredentials("no job, or one that is over")
    origin.acted_with(credentials.of_job(job.id))
    return Bearer(job.owner, frozenset(["api"]), job_project=job.project_id)


def runner_of(text: str, *, client_ip: str) -> Runner:
    """The runner whose token this is. Raises `InvalidCredentials`, as `identify` does."""
    runner = job_tokens.find_runner(text)
    if runner is None:
        failed_logins.note_token(text, client_ip)
        raise InvalidCredentials("no runner, or one that is revoked")
    origin.acted_with(credentials.of_runner(runner.pk))
    return runner


Find = Callable[..., Bearer | None]

KINDS: tuple[Find, ...] = (_personal_access_token, _job_token)


def identify(text: str, *, client_ip: str) -> Bearer:
    """Who this is. Raises `InvalidCredentials`, of which `TokenEnded` is one.

    A text that is no token of anybody counts for its address, and raises `TooManyFailedLogins`
    where there have been too many.
    """
    for find in KINDS:
        bearer = find(text, client_ip=client_ip)
        if bearer is not None:
            return bearer
    failed_logins.note_token(text, client_ip)
    raise InvalidCredentials("unknown token")
