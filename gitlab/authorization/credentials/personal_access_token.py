"""A personal access token, with any name beside it."""

from __future__ import annotations

from gitlab.access_tokens import checks, credentials
from gitlab.access_tokens import services as access_tokens
from gitlab.access_tokens.checks import registry_abilities
from gitlab.accounts import failed_logins
from gitlab.authorization.credentials.password import identity_of
from gitlab.authorization.refusals import Concerned
from tokens.authorizer import Identity, InsufficientCredentials, InvalidCredentials


def identify(username: str, secret: str, *, client_ip: str) -> Identity | None:
    """The token's owner, with what its scopes carry.

    A right token is let through whatever else failed: nobody guesses 192 bits.
    """
    if not access_tokens.looks_like_one(secret):
        return None
    token = access_tokens.find(secret)
    if token is None:
        failed_logins.note_token(secret, client_ip)
        raise InvalidCredentials("unknown token")
    if not token.is_usable:
        access_tokens.note_refused(token)
        raise InvalidCredentials(_why(token), concerned=_concerned(token))
    abilities = registry_abilities(token.scopes)
    if not abilities:
        text = "the token has no scope for images"
        raise InsufficientCredentials(text, concerned=_concerned(token))
    access_tokens.note_use(token, client_ip)
    credential = credentials.of_token(token.id)
    ends_at = checks.end_of(token.expires_at)
    return identity_of(token.owner, "personal_access_token", abilities, credential, ends_at)


def _concerned(token: access_tokens.TokenRow) -> Concerned:
    """Its owner; of a bot's, who maintains its project or owns its group."""
    owner = token.owner
    project_pk, namespace_pk = access_tokens.place_of(token) if owner.is_bot else (None, None)
    return Concerned(
        credentials.of_token(token.id),
        owner.pk,
        project_pk=project_pk,
        namespace_pk=namespace_pk,
        name=owner.label,
    )


def _why(token: access_tokens.TokenRow) -> str:
    """For whom it concerns."""
    if token.revoked_at is not None:
        return "the token was revoked"
    if not token.owner.is_active:
        return "the token's owner may not sign in"
    return "the token has expired"
