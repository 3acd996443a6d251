"""A person's own name, or mail address, and password."""

from __future__ import annotations

from gitlab.accounts import sign_in
from gitlab.authorization.principals import PersonPrincipal
from gitlab.principals import Person
from tokens.authorizer import LOGIN_AUTH_TYPE, Identity, InvalidCredentials

EVERYTHING = frozenset(["read", "create", "delete", "admin"])


def identify(username: str, secret: str, *, client_ip: str) -> Identity:
    """The person. Raises `InvalidCredentials`, and `TooManyRequests` after too many failures."""
    try:
        user = sign_in.verify(username, secret, address=client_ip)
    except sign_in.WrongPassword as error:
        refused = InvalidCredentials(str(error))
        refused.reference = error.reference
        raise refused from error
    return identity_of(user, LOGIN_AUTH_TYPE, EVERYTHING)


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
