"""A name and a password, from the sign-in page or from docker: one door, one count of failures.

A password that is none of ours may be one of a directory, which is asked next.

Who has proven to know the password is told what keeps them out all the same; nobody else is.
"""

from __future__ import annotations

from gitlab.accounts import directories, failed_logins, login_waits, passwords, services
from gitlab.accounts.factors import standing
from gitlab.accounts.models import User
from gitlab.audit import denials, origin
from gitlab.refusals import Forbidden


class SignInRefused(Exception):
    """No sign-in. The message is for whoever tried.

    `reference` is the id under which it is kept: see `audit.denials`. `person` is who has proven to
    be meant, where a directory has said so.
    """

    reference = ""
    person: User | None = None


class WrongPassword(SignInRefused):
    """The same for a name that nobody has and for a wrong password."""


class DirectoryAway(WrongPassword):
    """No password of ours, and a directory that may know it does not answer."""


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
            login,
            password,
            attempt,
            reactivates=reactivates,
            second_factor_follows=second_factor_follows,
        )
    except (SignInRefused, failed_logins.TooManyFailedLogins) as error:
        concerned = getattr(error, "person", None) or user
        error.reference = _keep(login, concerned, _why(error, concerned, withheld=withheld))
        raise


def _look(
    user: User | None,
    login: str,
    password: str,
    attempt: failed_logins.Attempt,
    *,
    reactivates: bool,
    second_factor_follows: bool,
) -> User:
    # On the page a directory is asked anew each time: groups may give something else by now.
    found = _whose(user, login, password, attempt, anew=second_factor_follows)
    attempt.succeeded()
    if found.is_blocked:
        raise _of(found, AccountClosed("Your account is blocked. Ask an administrator."))
    if standing.of(found).needs_token and not second_factor_follows:
        text = "Your account has two factors: use an access token in place of it."
        raise _of(found, TokenNeeded(text))
    # Who is still to be asked for a factor becomes active again after it.
    if found.is_active or (reactivates and found.has_factor):
        return found
    if not reactivates:
        text = "Your account is deactivated. Sign in to the pages once to come back."
        raise _of(found, AccountClosed(text))
    try:
        return services.reactivate(found)
    except Forbidden as error:
        raise _of(found, AccountClosed(str(error))) from error


def _whose(
    user: User | None, login: str, password: str, attempt: failed_logins.Attempt, *, anew: bool
) -> User:
    """Whose password this is, by ours or by a directory's. Raises `WrongPassword`."""
    asked = None if attempt.is_withheld else user
    if asked and not anew and directories.remember(asked, password):
        return asked
    if passwords.check(asked, password) and user is not None:
        return user
    answer = directories.verify(login, password, user=user, looks=not attempt.is_withheld)
    if answer.user is not None:
        return answer.user
    if answer.away:
        raise DirectoryAway(
            "The name or the password is wrong, or the directory that knows them does not answer:"
            " then try again in a moment."
        )
    raise WrongPassword(
        "The name or the password is wrong. After many failures even the right one is refused"
        " for some minutes."
    )


def _of(person: User, refused: SignInRefused) -> SignInRefused:
    """`refused`, which concerns whoever has proven to be meant."""
    refused.person = person
    return refused


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
    if isinstance(error, DirectoryAway):
        return "the password is none of ours, and a directory does not answer"
    return "the password is wrong" if user is not None else "nobody has this name"
