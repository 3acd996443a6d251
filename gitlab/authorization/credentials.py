"""Who is logging in to the registry: a password or a token becomes an `Identity`."""

from __future__ import annotations

from dataclasses import dataclass

from gitlab.access_tokens import services as access_tokens
from gitlab.accounts import failed_logins, sign_in
from gitlab.principals import Person
from tokens.authorizer import (
    LOGIN_AUTH_TYPE,
    Identity,
    InsufficientCredentials,
    InvalidCredentials,
)

CI_USERNAME = "gitlab-ci-token"
"""What CI jobs call themselves. Their token is wrong whenever the job is over: no guess."""

EVERYTHING = frozenset(["read", "create", "admin"])


@dataclass(frozen=True)
class Principal:
    """The person behind an identity, and what of read, create and admin the credential carries."""

    user: Person
    abilities: frozenset[str]


def identify(username: str, password: str, *, address: str) -> Identity:
    """Who this is. Raises `LoginRefused`, `TooManyRequests`, as the protocol of authorizers says."""
    if access_tokens.looks_like_one(password):
        return _by_token(password, address)
    if username == CI_USERNAME:
        raise InvalidCredentials("job tokens are not known here")
    try:
        user = sign_in.verify(username, password, address=address)
    except sign_in.WrongPassword as error:
        raise InvalidCredentials(str(error)) from error
    return _identity(user, LOGIN_AUTH_TYPE, EVERYTHING)


def _by_token(text: str, address: str) -> Identity:
    """A right token is let through whatever else failed: nobody guesses 192 bits."""
    token = access_tokens.find(text)
    if token is None:
        failed_logins.note_token(text, address)
        raise InvalidCredentials("unknown token")
    if not token.is_usable:
        raise InvalidCredentials("expired, revoked, or of a blocked user")
    abilities = access_tokens.registry_abilities(token.scopes)
    if not abilities:
        raise InsufficientCredentials("the token has no scope for images")
    access_tokens.note_use(token)
    return _identity(token.owner, "personal_access_token", abilities)


def _identity(user: Person, auth_type: str, abilities: frozenset[str]) -> Identity:
    return Identity(
        subject=user.username,
        auth_type=auth_type,
        user_info={"token_type": auth_type, "username": user.username, "user_id": user.pk},
        principal=Principal(user, abilities),
    )
