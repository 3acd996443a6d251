"""Failed logins slow down who guesses, and nobody else.

An attempt is counted before its password is looked at, and given back when the password is right:
so of guesses that come at once no more are looked at than of those that come one after the other.
What is counted, and how much of it is allowed, is the table `kinds`:

- one login name at one address: a person's own mistakes, and who guesses from there;
- one account at one address, whatever name it was called by. A user name and an e-mail address are
  one account's, and nobody may learn that from here: while only this one is full, the answer is
  that of a wrong password, after the same work, and the password is not looked at;
- one login name everywhere, and one address whatever the name: far higher, against who has many
  addresses or tries many names. Who has signed in at this address within `KNOWN_FOR` is spared
  both.

The same wrong password, sent again from the same address, counts once a day: a machine that still
has yesterday's password guesses nothing. What is kept of a password is a keyed digest. Repetitions
have a rate of their own, since each costs a hash.

A right token is never refused, since nobody guesses 192 bits; a wrong one counts for its address.
A token that is expired, or a CI job's, is a mistake and not a guess.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings

from gitlab.accounts.models import User
from tokens import addresses
from tokens.limiter import Kind, Limiter, Rate, TooManyRequests
from tokens.limiter_stores import Charge

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0

KNOWN_FOR = 30 * DAY
"""Seconds for which somebody is known at an address. Longer than a session lasts."""

REPETITIONS = 30
"""Of wrong passwords, from one address in a minute."""


class TooManyFailedLogins(TooManyRequests):
    """Refused without looking at the password. `reference` is the id under which it is kept."""

    reference = ""

    def __init__(self, wait: float) -> None:
        text = "{} seconds" if wait <= 2 * MINUTE else f"{math.ceil(wait / MINUTE)} minutes"
        super().__init__(wait, f"Too many failed logins. Try again in {text}.")


class Kinds(NamedTuple):
    """What is counted. Each failure counts for all that it concerns."""

    login: Kind
    """A name that somebody logs in with, at one address."""
    account: Kind
    """The account that it is, at one address; the same again where there is none."""
    name: Kind
    """A name that somebody logs in with, from everywhere."""
    address: Kind
    """An address, whatever the name; wrong tokens too."""
    password: Kind
    """One password, wherever the others count: once."""
    own_password: Kind
    """Somebody who is signed in and has to say their password."""
    factor: Kind
    """The codes of somebody who has said their password, at one address."""
    factors: Kind
    """The same from everywhere."""
    repetitions: Kind
    """The same wrong password again, from one address."""


@functools.cache
def kinds(limit: int, per_address: int) -> Kinds:
    """The table: `limit` failures of a name, `per_address` of an address, within ten minutes."""
    a_person = (Rate(limit, 10 * MINUTE), Rate(3 * limit, DAY))
    return Kinds(
        login=Kind("login", a_person),
        account=Kind("account", a_person),
        name=Kind("name", (Rate(10 * limit, HOUR), Rate(30 * limit, DAY))),
        address=Kind("address", (Rate(per_address, 10 * MINUTE),) if per_address else ()),
        password=Kind("password", (Rate(1, DAY),)),
        own_password=Kind("own_password", a_person),
        factor=Kind("factor", a_person),
        factors=Kind("factors", (Rate(10 * limit, HOUR), Rate(30 * limit, DAY))),
        repetitions=Kind("repetitions", (Rate(REPETITIONS, MINUTE),)),
    )


_limiter = Limiter("FAILED_LOGINS_STORES")


def _kinds() -> Kinds | None:
    """The table in force; None where failures are not counted."""
    limit: int = settings.FAILED_LOGIN_LIMIT
    return kinds(limit, settings.FAILED_LOGINS_PER_ADDRESS) if limit else None


def _digest(*parts: object) -> str:
    """What is kept of names and passwords: people type the one into the field of the other."""
    text = "\0".join(str(part) for part in parts).encode()
    return hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()[:40]


def digest_of(login: str) -> str:
    """What tells login names apart where they are not kept."""
    return _digest("name", login.strip().lower())


@dataclass(frozen=True)
class Attempt:
    """A password that may be looked at now. Without `succeeded` it is a failure.

    Where it `is_withheld`, it may not be looked at, and that must not show.
    """

    charges: tuple[Charge, ...] = ()
    known: str = ""
    is_withheld: bool = False

    def succeeded(self) -> None:
        """Give back what it cost. What failed before stays: others may sit at the same address."""
        if self.charges or self.known:
            _limiter.settle(self.charges, {self.known: KNOWN_FOR} if self.known else {})


def begin(login: str, password: str, *, user: User | None, address: str) -> Attempt:
    """Count an attempt at the password of `user`, who was called `login`, from `address`.

    `user` is None for a name that nobody has: the same is counted then. Raises
    `TooManyFailedLogins` where there is no room for it.
    """
    table = _kinds()
    if table is None:
        return Attempt()
    source = addresses.source(address)
    plain = _digest("name", login.strip().lower())
    person = _digest("account", user.pk if user else "", "" if user else plain)
    known = f"{person}@{source}" if source else ""
    name, account = _since_lifted(plain, user), _since_lifted(person, user)
    shown = _Part(
        table.password.of(_digest("login", name, source, password)),
        table.login.of(f"{name}@{source}"),
        (*table.name.of(name), *(table.address.of(source) if source else ())),
    )
    hidden = _Part(
        table.password.of(_digest("user", account, source, _state(user), password)),
        table.account.of(f"{account}@{source}"),
    )
    everything = (*shown.all, *hidden.all)
    if not _limiter.take(everything):
        return Attempt(everything, known)
    taken = _take_shown(shown, table.repetitions.of(source or name), known)
    full = _limiter.take(hidden.all)
    if not full:
        return Attempt((*taken, *hidden.all), known)
    return Attempt(taken, known, is_withheld=not full.keys() <= set(hidden.password))


def _since_lifted(who: str, user: User | None) -> str:
    """What is counted under: another key, where an administrator has let somebody begin anew."""
    return f"{who}+{user.failed_logins_lifted}" if user and user.failed_logins_lifted else who


def begin_own(user: User, password: str) -> Attempt:
    """Count an attempt at their own password by somebody who is signed in.

    Nothing that others do counts here, so nobody is kept from changing a password. Raises
    `TooManyFailedLogins`.
    """
    table = _kinds()
    if table is None:
        return Attempt()
    part = _Part(
        table.password.of(_digest("own", user.pk, _state(user), password)),
        table.own_password.of(_since_lifted(str(user.pk), user)),
    )
    return Attempt(_take_shown(part, table.repetitions.of(f"own {user.pk}"), ""))


def begin_factor(user: User, *, address: str) -> Attempt:
    """Count an attempt at the second factor of `user`, who has said their password, or is in.

    Who knows the password alone can fill this count, but not for whoever has shown the factor at
    their address before. Raises `TooManyFailedLogins`.
    """
    table = _kinds()
    if table is None:
        return Attempt()
    source = addresses.source(address)
    known = f"factor {user.pk}@{source}" if source else ""
    who = _since_lifted(str(user.pk), user)
    part = _Part((), table.factor.of(f"{who}@{source}"), table.factors.of(who))
    repetition = table.repetitions.of(f"factor {user.pk}@{source}")
    return Attempt(_take_shown(part, repetition, known), known)


_CHALLENGES = Kind("challenges", (Rate(30, MINUTE),))


def note_challenge(address: str) -> None:
    """Count that a visitor asks for what a passkey answers to, which leaves a row of a session.

    Raises `TooManyRequests` for an address that asks more than thirty times in a minute.
    """
    source = addresses.source(address)
    full = _limiter.take(_CHALLENGES.of(source)) if source else {}
    if full:
        raise TooManyRequests(max(full.values()))


_QUESTIONS = Kind("provider_questions", (Rate(120, MINUTE),))


def note_question(address: str) -> None:
    """Count that a visitor is sent to an identity provider, which is asked for its configuration
    first, and leaves a row of a session.

    Raises `TooManyRequests` for an address from which that is more than 120 times in a minute.
    """
    source = addresses.source(address)
    full = _limiter.take(_QUESTIONS.of(source)) if source else {}
    if full:
        raise TooManyRequests(max(full.values()), "Too many attempts. Try again in {} seconds.")


_LINKS = Kind("links", (Rate(3, HOUR),))
_LINKS_ASKED = Kind("links_asked", (Rate(20, HOUR),))


def may_send_link(email: str, *, address: str) -> bool:
    """Whether another link for a forgotten password may go to `email`: three an hour.

    Raises `TooManyRequests` for an address that has asked twenty times within an hour.
    """
    source = addresses.source(address)
    full = _limiter.take(_LINKS_ASKED.of(source)) if source else {}
    if full:
        raise TooManyRequests(max(full.values()), "Too many questions. Try again in {} seconds.")
    return not _limiter.take(_LINKS.of(_digest("link", email)))


def note_token(text: str, address: str) -> None:
    """Count a token that nobody has. Raises `TooManyFailedLogins` where there is no room for it."""
    table = _kinds()
    source = addresses.source(address)
    if table is None or not source:
        return
    part = _Part(table.password.of(_digest("token", source, text)), table.address.of(source))
    _refuse(_limiter.take(part.all), part)


class _Part(NamedTuple):
    """What an attempt costs: once for this password, once for whom it concerns."""

    password: tuple[Charge, ...]
    concerned: tuple[Charge, ...]
    spared: tuple[Charge, ...] = ()
    """Also for whom it concerns, but not for who is known at the address."""

    @property
    def all(self) -> tuple[Charge, ...]:
        return (*self.password, *self.concerned, *self.spared)


def _take_shown(part: _Part, repetition: Sequence[Charge], known: str) -> tuple[Charge, ...]:
    """Take what of `part` there is to take; what was taken. Raises `TooManyFailedLogins`."""
    charges = part.all
    full = _limiter.take(charges)
    if full.keys() & set(part.spared) and _limiter.is_held(known):
        charges = (*part.password, *part.concerned)
        full = _limiter.take(charges)
    _refuse(full, part)
    if not full:
        return charges
    _refuse(_limiter.take(repetition), part)
    return tuple(repetition)


def _refuse(full: Mapping[Charge, float], part: _Part) -> None:
    """Raises `TooManyFailedLogins` where more is full than what a password costs but once."""
    waits = [wait for charge, wait in full.items() if charge not in part.password]
    if waits:
        raise TooManyFailedLogins(max(waits))


def _state(user: User | None) -> str:
    """What makes a wrong password right: another hash, and being let in again."""
    return f"{user.password}\0{user.state}" if user else ""
