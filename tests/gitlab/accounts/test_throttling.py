"""What guessing brings in, and what it costs everybody else: the table of the threat model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gitlab.accounts import failed_logins
from gitlab.accounts.failed_logins import DAY, HOUR, TooManyFailedLogins
from gitlab.accounts.models import User
from tokens import limiter_stores

pytestmark = pytest.mark.engineless

THREAT_MODEL = Path(__file__).parents[3] / "docs" / "threat-model.md"
LIKELY = 1000
"""Passwords that a guesser would try first."""

CODES = 10**6 / 3
"""Codes that are tried for one that counts: three half minutes count at a time."""

ATTACKERS, HOME, HOTEL = "192.0.2.1", "198.51.100.7", "203.0.113.77"
PEOPLE = {
    "alice": User(pk=1, username="alice", password="hashed"),
    "alice@example.com": User(pk=1, username="alice", password="hashed"),
    "bob": User(pk=2, username="bob", password="hashed"),
    "carol": User(pk=3, username="carol", password="hashed"),
}


@dataclass(frozen=True)
class Attack:
    """Names and addresses in turn, at the next moment at which the limiter lets one through."""

    title: str
    logins: tuple[str, ...] = ("alice",)
    addresses: tuple[str, ...] = (ATTACKERS,)
    password: str = ""
    """The one that is always sent; each time another where there is none."""
    lasts: float = DAY

    def sources(self) -> Iterator[tuple[str, str]]:
        """Who is tried from where."""
        return cycle((login, address) for address in self.addresses for login in self.logins)


def _addresses(count: int) -> tuple[str, ...]:
    return tuple(f"10.{n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(count))


ATTACKS = [
    Attack("one name, one address"),
    Attack("one name and its mail address, one address", ("alice", "alice@example.com")),
    Attack(
        "one name, 1,000 addresses of one IPv6 customer",
        addresses=tuple(f"2001:db8::{number:x}" for number in range(1000)),
    ),
    Attack("one name, 100 addresses", addresses=_addresses(100)),
    Attack("one name, 10,000 addresses", addresses=_addresses(10_000)),
    Attack(
        "1,000 names, one address",
        tuple(f"name-{number}" for number in range(1000)),
        lasts=HOUR,
    ),
    Attack("the same wrong password, one address", password="of-yesterday", lasts=HOUR),
]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> SimpleNamespace:
    """The limiter's, with a store of this test's own and the default settings."""
    made = SimpleNamespace(now=1_800_000_000.0)
    monkeypatch.setattr(limiter_stores, "time", SimpleNamespace(time=lambda: made.now))
    settings.FAILED_LOGINS_STORES = (f"file://{tmp_path}/limiter.sqlite3",)
    return made


def attempt(login: str, address: str, password: str) -> failed_logins.Attempt:
    return failed_logins.begin(login, password, user=PEOPLE.get(login), address=address)


def guess(attack: Attack, number: int, login: str, address: str) -> int | None:
    """The wait where it is refused; -1 where the password is not looked at and nobody is told."""
    try:
        made = attempt(login, address, attack.password or f"guess {number}")
    except TooManyFailedLogins as error:
        return error.retry_after
    return -1 if made.is_withheld else None


def looked_at_after(attack: Attack, clock: SimpleNamespace) -> dict[float, int]:
    """How many different passwords were looked at: at once, within an hour, within a day.

    It ends at the moment at which there is least room for others.
    """
    began, passwords, counts = clock.now, set(), {0.0: 0, HOUR: 0, DAY: 0}
    waits: list[int] = []
    for number, (login, address) in enumerate(attack.sources()):
        wait = guess(attack, number, login, address)
        waits = [*waits, wait] if wait and wait > 0 else []
        if wait is None:
            passwords.add((login, attack.password or number))
        counts |= dict.fromkeys(
            (until for until in counts if clock.now - began <= until), len(passwords)
        )
        if clock.now - began > attack.lasts:
            if len(waits) > 2:
                return counts
        elif len(waits) > 2:
            clock.now += min(waits)
            waits = []
        elif attack.password:
            clock.now += 1
    raise AssertionError


def signs_in(login: str, address: str) -> str:
    """Whether the right password is looked at; if not, how long its owner is told to wait."""
    try:
        made = attempt(login, address, "right")
    except TooManyFailedLogins as error:
        return f"in {error.retry_after} s"
    if made.is_withheld:
        return "no"
    made.succeeded()
    return "yes"


def row(attack: Attack, clock: SimpleNamespace) -> list[str]:
    source = attack.addresses[0]
    for login, address in (("alice", HOME), ("bob", source)):
        assert signs_in(login, address) == "yes"
    counts = looked_at_after(attack, clock)
    at_once, hour, day = (f"{counts[until]:,}" for until in (0.0, HOUR, DAY))
    return [
        attack.title,
        at_once if not attack.password else "1",
        hour,
        day if attack.lasts >= DAY else "",
        f"{math.ceil(LIKELY / counts[DAY])} days" if attack.lasts >= DAY else "",
        signs_in("alice", HOME),
        signs_in("alice", HOTEL),
        signs_in("alice", source),
        signs_in("bob", source),
        signs_in("carol", source),
    ]


HEAD = [
    "guesses at", "looked at: at once", "in an hour", "in a day",
    "the right one of 1,000 likely ones found within",
    "meanwhile the owner: where they are known", "at a new address", "at the guesser's",
    "others at the guesser's address: known there", "new there",
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.title)
def test_the_table_of_the_threat_model(attack: Attack, clock: SimpleNamespace) -> None:
    found = row(attack, clock)
    assert found[5] == "yes", "whoever signed in there lately is spared"
    assert found[8] == "yes"
    line = f"| {' | '.join(found)} |"
    text = THREAT_MODEL.read_text()
    assert f"| {' | '.join(HEAD)} |" in text
    assert line in text, f"docs/threat-model.md should say:\n{line}"


FACTOR_HEAD = [
    "codes guessed by who knows the password", "looked at: at once", "in an hour", "in a day",
    "an even chance of a right one after", "meanwhile the owner: where they are known",
    "at a new address", "at the guesser's",
]  # fmt: skip


def code(address: str) -> failed_logins.Attempt:
    return failed_logins.begin_factor(PEOPLE["alice"], address=address)


def owner(address: str) -> str:
    """Whether the right code is looked at; if not, how long its owner is told to wait."""
    try:
        code(address).succeeded()
    except TooManyFailedLogins as error:
        return f"in {error.retry_after} s"
    return "yes"


def codes_after(addresses: tuple[str, ...], clock: SimpleNamespace) -> dict[float, int]:
    """How many codes were looked at: at once, within an hour, within a day. Ends when all wait."""
    began, looked, counts = clock.now, 0, {0.0: 0, HOUR: 0, DAY: 0}
    sources = cycle(addresses)
    while clock.now - began <= DAY:
        waits: list[int] = []
        while len(waits) < 3:
            wait = wait_for_code(next(sources))
            looked += wait == 0
            waits += [wait] if wait else []
        counts |= {until: looked for until in counts if clock.now - began <= until}
        clock.now += min(waits)
    while any(wait_for_code(address) == 0 for address in addresses[:3]):
        pass
    return counts


def wait_for_code(address: str) -> int:
    """0 where a code is looked at, else the seconds that one is told to wait."""
    try:
        code(address)
    except TooManyFailedLogins as error:
        return error.retry_after
    return 0


@pytest.mark.parametrize(
    ("title", "addresses"),
    [("one address", (ATTACKERS,)), ("100 addresses", _addresses(100))],
)
def test_the_table_of_codes(title: str, addresses: tuple[str, ...], clock: SimpleNamespace) -> None:
    assert owner(HOME) == "yes"
    counts = codes_after(addresses, clock)
    years = math.log(2) * CODES / counts[DAY] / 365
    found = [
        title,
        *(f"{counts[until]:,}" for until in (0.0, HOUR, DAY)),
        f"{years:.1f} years",
        owner(HOME),
        owner(HOTEL),
        owner(addresses[0]),
    ]
    assert found[5] == "yes", "whoever has shown the factor there lately is spared"
    line = f"| {' | '.join(found)} |"
    text = THREAT_MODEL.read_text()
    assert f"| {' | '.join(FACTOR_HEAD)} |" in text
    assert line in text, f"docs/threat-model.md should say:\n{line}"
