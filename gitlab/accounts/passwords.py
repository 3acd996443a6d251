"""Is this the password? Asked by the sign-in page and by the token endpoint."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.hashers import make_password

from gitlab.accounts import remembered_passwords
from gitlab.accounts.factors import standing
from gitlab.accounts.models import User


def find(login: str) -> User | None:
    """The person of a name or of an e-mail address, in any case; a bot has no password."""
    login = login.lower()
    field = "email" if "@" in login else "username"
    people = User.objects.filter(**{field: login}, user_type=User.Type.HUMAN)
    return standing.read_along(people).first()


def check(user: User | None, password: str) -> bool:
    """Whether this is the password of `user`, whatever else keeps them out.

    Nobody costs a hash as well, so that the time does not tell who exists.
    """
    if user is None:
        make_password(password)
        return False
    if remembered_passwords.knows(user, password):
        return True
    if not user.check_password(password):
        return False
    if user.is_active:
        remembered_passwords.remember(user, password)
    return True


def rules() -> str:
    """What a new password has to be, in a line."""
    return (
        f"At least {settings.PASSWORD_MIN_LENGTH} characters, none of the common ones, and not like"
        " your name or address."
    )
