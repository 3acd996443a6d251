"""What guessing brings in, and what it costs everybody else: the table of the threat model."""

from __future__ import annotations

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
        signs_in("alice", HOME),
        signs_in("alice", HOTEL),
        signs_in("alice", source),
        signs_in("bob", source),
        signs_in("carol", source),
    ]


HEAD = [
    "guesses at", "looked at: at once", "in an hour", "in a day",
    "meanwhile the owner: where they are known", "at a new address", "at the guesser's",
    "others at the guesser's address: known there", "new there",
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.title)
def test_the_table_of_the_threat_model(attack: Attack, clock: SimpleNamespace) -> None:
    found = row(attack, clock)
    assert found[4] == "yes", "whoever signed in there lately is spared"
    assert found[7] == "yes"
    line = f"| {' | '.join(found)} |"
    text = THREAT_MODEL.read_text()
    assert f"| {' | '.join(HEAD)} |" in text
    assert line in text, f"docs/threat-model.md should say:\n{line}"
