"""A name and a password, from the sign-in page or from docker: one door, one count of failures.

Who has proven to know the password is told what keeps them out all the same; nobody else is.
"""

from __future__ import annotations

from gitlab.accounts import failed_logins, login_waits, passwords, services
from gitlab.accounts.factors import standing
from gitlab.accounts.models import User
from gitlab.audit import denials, origin


class SignInRefused(Exception):
    """No sign-in. The message is for whoever tried.

    `reference` is the id under which it is kept: see `audit.denials`.
    """

    reference = ""


class WrongPassword(SignInRefused):
    """The same for a name that nobody has and for a wrong password."""


class AccountClosed(SignInRefused):
    """The password is right, and its owner blocked, or deactivated."""


class TokenNeeded(SignInRefused):
    """The password is right, and alone not enough: the second factor can't be asked here."""


def verify(
    login: str,
    password: str,
    *,
    address: str,
    reactivates: bool = False,
    second_factor_follows: bool = False,
) -> User:
    """The active user whose password this is. `login` is a user name or an e-mail address.

    Where it `reactivates`, one who was deactivated is active from now on. Unless a
    `second_factor_follows`, as on the sign-in page, nobody gets in who has one or has to have one.
    Raises `SignInRefused`, `failed_logins.TooManyFailedLogins`.
    """
    user = passwords.find(login)
    withheld = False
    try:
        attempt = _begin(user, login, password, address)
        withheld = attempt.is_withheld
        return _look(
            user,
            password,
            attempt,
            reactivates=reactivates,
            second_factor_follows=second_factor_follows,
        )
    except (SignInRefused, failed_logins.TooManyFailedLogins) as error:
        error.reference = _keep(login, user, _why(error, user, withheld=withheld))
        raise


def _look(
    user: User | None,
    password: str,
    attempt: failed_logins.Attempt,
    *,
    reactivates: bool,
    second_factor_follows: bool,
) -> User:
    asked = None if attempt.is_withheld else user
    if not passwords.check(asked, password) or user is None:
        raise WrongPassword(
            "The name or the password is wrong. After many failures even the right one is refused"
            " for some minutes."
        )
    attempt.succeeded()
    if user.is_blocked:
        raise AccountClosed("Your account is blocked. Ask an administrator.")
    if not second_factor_follows and standing.of(user).needs_token:
        raise TokenNeeded("Your account has two factors: use an access token in place of it.")
    # Who is still to be asked for a factor becomes active again after it.
    if user.is_active or (reactivates and user.has_factor):
        return user
    if not reactivates:
        raise AccountClosed("Your account is deactivated. Sign in to the pages once to come back.")
    return services.reactivate(user)


def _begin(user: User | None, login: str, password: str, address: str) -> failed_logins.Attempt:
    try:
        return failed_logins.begin(login, password, user=user, address=address)
    except failed_logins.TooManyFailedLogins as error:
        if user is not None:
            login_waits.note(user, address, error.retry_after)
        raise


def _keep(login: str, user: User | None, reason: str) -> str:
    """Keep a refused login; its id. What nobody is called by is not kept: people type passwords."""
    return denials.login(
        reason,
        who=failed_logins.digest_of(login),
        name=user.username if user else "",
        credential=origin.PASSWORD,
        person_pk=user.pk if user else None,
    )


def _why(error: Exception, user: User | None, *, withheld: bool) -> str:
    """For whom it concerns, and nobody else."""
    if isinstance(error, TokenNeeded):
        return "the account has two factors, and a password alone was given"
    if isinstance(error, AccountClosed):
        closed = user is not None and user.is_blocked
        return "the account is blocked" if closed else "the account is deactivated"
    if withheld or not isinstance(error, WrongPassword):
        return "too many failed logins"
    return "the password is wrong" if user is not None else "nobody has this name"
