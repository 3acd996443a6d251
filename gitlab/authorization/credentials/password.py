"""A person's own name, or mail address, and password."""

from __future__ import annotations

from gitlab.accounts import sign_in
from gitlab.authorization.principals import PersonPrincipal
from gitlab.principals import Person
from gitlab.ui import client_commands
from tokens.authorizer import (
    LOGIN_AUTH_TYPE,
    ExplainedRefusal,
    Identity,
    InvalidCredentials,
    LoginRefused,
)

EVERYTHING = frozenset(["read", "create", "delete", "admin"])


def identify(username: str, secret: str, *, client_ip: str) -> Identity:
    """The person. Raises `LoginRefused`, and `TooManyRequests` after too many failures.

    Who has two factors is told to use an access token, since docker asks for no second one.
    """
    try:
        user = sign_in.verify(username, secret, address=client_ip)
    except sign_in.WrongPassword as error:
        raise _kept(InvalidCredentials(str(error)), error) from error
    except sign_in.TokenNeeded as error:
        refused = ExplainedRefusal(
            "two-factor authentication is on for this account: log in with an access token in"
            f" place of the password, and make one at {client_commands.tokens_url()}"
        )
        raise _kept(refused, error) from error
    except sign_in.SignInRefused as error:
        raise _kept(ExplainedRefusal(str(error)), error) from error
    return identity_of(user, LOGIN_AUTH_TYPE, EVERYTHING)


def _kept(refused: LoginRefused, error: sign_in.SignInRefused) -> LoginRefused:
    """`refused` with the id under which the refusal is kept."""
    refused.reference = error.reference
    return refused


def identity_of(
    person: Person,
    auth_type: str,
    abilities: frozenset[str],
    credential: str = "",
    ends_at: float | None = None,
) -> Identity:
    """A person's identity: `auth_type` is GitLab's word for the kind of credential."""
    return Identity(
        subject=person.username,
        auth_type=auth_type,
        user_info={"token_type": auth_type, "username": person.username, "user_id": person.pk},
        principal=PersonPrincipal(person, abilities),
        credential=credential,
        ends_at=ends_at,
    )
