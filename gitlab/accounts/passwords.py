"""Is this the password? Asked by the sign-in page and by the token endpoint."""

from __future__ import annotations

from django.contrib.auth.hashers import make_password

from gitlab.accounts import remembered_passwords
from gitlab.accounts.models import User


def find(login: str) -> User | None:
    """The person of a name or of an e-mail address, in any case; a bot has no password."""
    login = login.lower()
    field = "email" if "@" in login else "username"
    return User.objects.filter(**{field: login}, user_type=User.Type.HUMAN).first()


def check(user: User | None, password: str, *, deactivated_too: bool = False) -> bool:
    """Whether this is the password of an active user; of a deactivated one where that is asked.

    Nobody costs a hash as well, so that the time does not tell who exists; a blocked user is only
    found out after the hash, for the same reason.
    """
    if user is None:
        make_password(password)
        return False
    may_enter = user.is_active or (deactivated_too and user.state == User.State.DEACTIVATED)
    if remembered_passwords.knows(user, password):
        return may_enter
    if not user.check_password(password) or not may_enter:
        return False
    remembered_passwords.remember(user, password)
    return True
