"""A name and a password, from the sign-in page or from docker: one door, one count of failures."""

from __future__ import annotations

from gitlab.accounts import failed_logins, passwords, services
from gitlab.accounts.models import User


class WrongPassword(Exception):
    """The same for a name that nobody has, a wrong password and a blocked user."""


def verify(login: str, password: str, *, address: str, reactivates: bool = False) -> User:
    """The active user whose password this is. `login` is a user name or an e-mail address.

    Where it `reactivates`, one who was deactivated is active from now on. A page then calls
    ``django.contrib.auth.login(request, user)``.
    Raises `WrongPassword`, `failed_logins.TooManyFailedLogins`.
    """
    user = passwords.find(login)
    attempt = failed_logins.begin(login, password, user=user, address=address)
    asked = None if attempt.is_withheld else user
    if not passwords.check(asked, password, deactivated_too=reactivates) or user is None:
        raise WrongPassword(
            "The name or the password is wrong. After many failures even the right one is refused"
            " for some minutes."
        )
    attempt.succeeded()
    return user if user.is_active else services.reactivate(user)
