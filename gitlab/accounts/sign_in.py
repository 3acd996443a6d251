"""A name and a password, from the sign-in page or from docker: one door, one count of failures."""

from __future__ import annotations

from gitlab.accounts import failed_logins, passwords
from gitlab.accounts.models import User


class WrongPassword(Exception):
    """The same for a name that nobody has, a wrong password and a blocked user."""


def verify(login: str, password: str, *, address: str) -> User:
    """The active user whose password this is. `login` is a user name or an e-mail address.

    A page then calls ``django.contrib.auth.login(request, user)``.
    Raises `WrongPassword`, `failed_logins.TooManyFailedLogins`.
    """
    failed_logins.check(address, login)
    user = passwords.check(login, password)
    if user is None:
        failed_logins.note(address, login)
        raise WrongPassword("The name or the password is wrong.")
    failed_logins.reset(address, login)
    return user
