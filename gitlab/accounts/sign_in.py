"""A name and a password, from the sign-in page or from docker: one door, one count of failures."""

from __future__ import annotations

from gitlab.accounts import failed_logins, passwords, services
from gitlab.accounts.models import User
from gitlab.audit import denials, origin


class WrongPassword(Exception):
    """The same for a name that nobody has, a wrong password and a blocked user.

    `reference` is the id under which it is kept: see `audit.denials`.
    """

    reference = ""


def verify(login: str, password: str, *, address: str, reactivates: bool = False) -> User:
    """The active user whose password this is. `login` is a user name or an e-mail address.

    Where it `reactivates`, one who was deactivated is active from now on. A page then calls
    ``django.contrib.auth.login(request, user)``.
    Raises `WrongPassword`, `failed_logins.TooManyFailedLogins`.
    """
    user = passwords.find(login)
    try:
        attempt = failed_logins.begin(login, password, user=user, address=address)
    except failed_logins.TooManyFailedLogins as error:
        error.reference = _keep(login, user, "too many failed logins")
        raise
    asked = None if attempt.is_withheld else user
    if not passwords.check(asked, password, deactivated_too=reactivates) or user is None:
        refused = WrongPassword(
            "The name or the password is wrong. After many failures even the right one is refused"
            " for some minutes."
        )
        refused.reference = _keep(login, user, _why(user, withheld=attempt.is_withheld))
        raise refused
    attempt.succeeded()
    return user if user.is_active else services.reactivate(user)


def _keep(login: str, user: User | None, reason: str) -> str:
    """Keep a refused login; its id. What nobody is called by is not kept: people type passwords."""
    return denials.login(
        reason,
        who=failed_logins.digest_of(login),
        name=user.username if user else "",
        credential=origin.PASSWORD,
        person_pk=user.pk if user else None,
    )


def _why(user: User | None, *, withheld: bool) -> str:
    """For whom it concerns, and nobody else."""
    if user is None:
        return "nobody has this name"
    if withheld:
        return "too many failed logins"
    if user.is_blocked:
        return "the account is blocked"
    return "the password is wrong" if user.is_active else "the account is deactivated"
