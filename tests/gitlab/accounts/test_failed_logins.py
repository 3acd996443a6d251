"""Who fails too often waits, and nobody else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as configured
from django.contrib.auth import authenticate
from django.db import connections
from django.test import Client, RequestFactory
from django.urls import reverse

from gitlab.accounts import failed_logins, passwords, services, sign_in
from gitlab.accounts.failed_logins import DAY, HOUR, KNOWN_FOR, MINUTE, TooManyFailedLogins
from gitlab.accounts.models import User
from tests.people import PASSWORD
from tokens import limiter, limiter_stores

pytestmark = pytest.mark.django_db
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
NEW = "another-long-one"


class Clock:
    """The limiter's."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Clock:
    """It stands still. A name has three tries, an address twenty."""
    made = Clock()
    monkeypatch.setattr(limiter_stores, "time", SimpleNamespace(time=made.time))
    settings.FAILED_LOGIN_LIMIT, settings.FAILED_LOGINS_PER_ADDRESS = 3, 20
    return made


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that somebody's was compared with."""
    found: list[str] = []
    compare = User.check_password

    def check_password(self: User, raw_password: str) -> bool:
        found.append(raw_password)
        return compare(self, raw_password)

    monkeypatch.setattr(User, "check_password", check_password)
    return found


def signed_in(login: str = "alice", address: Any = HERE, password: Any = PASSWORD) -> bool:
    """Whether the password was right. Raises `TooManyFailedLogins`."""
    try:
        return bool(sign_in.verify(login, password, address=address))
    except sign_in.WrongPassword:
        return False


def guess(count: int, login: str = "alice", address: Any = HERE, start: int = 0) -> None:
    """So many different wrong passwords, all looked at or so it seems."""
    for number in range(start, start + count):
        assert not signed_in(login, address, f"guess {number}")


def wait_of(login: str = "alice", address: Any = HERE, password: Any = PASSWORD) -> int:
    """How long somebody is told to wait."""
    with pytest.raises(TooManyFailedLogins) as refused:
        sign_in.verify(login, password, address=address)
    return refused.value.retry_after


def test_a_name_at_an_address_waits_and_is_told_how_long(alice: Any, clock: Any) -> None:
    guess(3)
    wait = wait_of()
    assert wait == 200  # A third of ten minutes.
    clock.now += wait - 1
    assert wait_of() == 1
    clock.now += 1
    assert signed_in()


def test_waits_grow_where_it_goes_on_all_day(alice: Any, clock: Any) -> None:
    waits, number = [], 0
    for _ in range(12):
        try:
            while True:
                guess(1, start=number)
                number += 1
        except TooManyFailedLogins as error:
            waits.append(error.retry_after)
            clock.now += error.retry_after
    assert waits[:5] == [200] * 5
    assert waits[-1] == DAY / 9
    assert number == 3 + 11


def test_others_are_not_locked_out(alice: Any, bob: Any) -> None:
    """Neither the owner elsewhere, nor others behind the same address."""
    guess(3)
    assert wait_of()
    assert signed_in("alice", ELSEWHERE)
    assert signed_in("bob", HERE)


def test_an_address_has_a_far_higher_bound(alice: Any, bob: Any, clock: Any) -> None:
    for number in range(20):
        guess(1, f"nobody-{number}")
    assert wait_of("nobody-else", password="x") == 30
    assert wait_of("bob") == 30
    assert signed_in("bob", ELSEWHERE)


def test_who_is_known_at_an_address_is_spared_what_others_do_there(
    alice: Any, bob: Any, clock: Any
) -> None:
    assert signed_in("bob", HERE)
    for number in range(20):
        guess(1, f"nobody-{number}")
    assert signed_in("bob", HERE)
    assert signed_in("bob@example.com", HERE)
    assert wait_of("alice", HERE)
    clock.now += KNOWN_FOR - 10 * MINUTE
    assert signed_in("bob", HERE)  # Known again, from now on.
    clock.now += KNOWN_FOR - 10 * MINUTE
    for number in range(20):
        guess(1, f"nobody-{number}", start=1)
    assert signed_in("bob", HERE)


def test_who_was_known_long_ago_is_not(bob: Any, clock: Any) -> None:
    assert signed_in("bob", HERE)
    clock.now += KNOWN_FOR + 1
    for number in range(20):
        guess(1, f"nobody-{number}")
    assert wait_of("bob", HERE)


def test_somebody_is_known_for_longer_than_a_session_lasts() -> None:
    assert configured.SESSION_COOKIE_AGE < KNOWN_FOR


def test_many_addresses_against_one_name(alice: Any, clock: Any) -> None:
    """They are slowed down; the owner is not where they have signed in lately."""
    assert signed_in("alice", ELSEWHERE)
    for number in range(30):
        guess(1, address=f"203.0.113.{number}", start=number)
    assert wait_of(address="203.0.113.99") == HOUR / 30
    for _ in range(3):
        assert signed_in("alice", ELSEWHERE)


def test_guesses_from_where_the_owner_is_count_for_them_there_only(alice: Any) -> None:
    """To be known spares nobody the tries of their own name."""
    assert signed_in("alice", HERE)
    guess(3)
    assert wait_of("alice", HERE)


def test_the_same_wrong_password_counts_once(alice: Any, bob: Any, looked_at: Any) -> None:
    """FL-06: a machine that still has yesterday's password guesses nothing."""
    for _ in range(15):
        assert not signed_in(password="of-yesterday")
    assert signed_in("alice", HERE)
    assert signed_in("bob", HERE)
    guess(2)
    assert wait_of()
    # While no more is looked at, it makes no difference whether a password was tried before.
    assert wait_of(password="of-yesterday")


def test_the_same_wrong_password_counts_once_a_day(alice: Any, clock: Any) -> None:
    for _ in range(24 * 6):
        assert not signed_in(password="of-yesterday")
        clock.now += 10 * MINUTE
    assert signed_in("alice", HERE)


def test_a_repetition_costs_a_hash_and_has_a_rate(alice: Any, clock: Any, looked_at: Any) -> None:
    count = failed_logins.REPETITIONS
    for _ in range(1 + count):
        assert not signed_in(password="of-yesterday")
    assert wait_of(password="of-yesterday") == MINUTE / count
    assert looked_at == ["of-yesterday"] * (1 + count)
    assert signed_in("alice", HERE)


def test_a_password_that_was_wrong_can_become_right(alice: Any, root: Any, clock: Any) -> None:
    assert not signed_in(password="another-long-one")
    services.change_password(alice, "another-long-one", by=root)
    assert signed_in(password="another-long-one")
    services.block(alice, by=root)
    with pytest.raises(sign_in.AccountClosed):
        signed_in(password="another-long-one")
    services.unblock(alice, by=root)
    assert signed_in(password="another-long-one")


def test_a_right_password_costs_nothing(alice: Any) -> None:
    for _ in range(50):
        assert signed_in()
    guess(3)


def test_a_success_gives_no_guesses_back(alice: Any) -> None:
    """Who signs in behind the same address buys nobody there another try."""
    guess(2)
    assert signed_in()
    guess(1, start=2)
    assert wait_of()


def test_name_and_mail_are_one_account(alice: Any, looked_at: Any) -> None:
    """And nobody learns so: what is refused is what is refused for a name that nobody has."""
    guess(2, "alice")
    guess(2, "alice@example.com", start=2)
    assert looked_at == ["guess 0", "guess 1", "guess 2"]
    assert not signed_in("alice@example.com", HERE)  # Right, and not looked at.
    assert looked_at[3:] == []
    assert wait_of("alice@example.com")
    assert signed_in("alice", ELSEWHERE)


@pytest.mark.parametrize("guessed", ["alice@example.com", "ALICE", "nobody@example.com", "nobody"])
@pytest.mark.parametrize("before", ["alice", "nobody"])
def test_nobody_learns_who_exists(
    alice: Any, before: str, guessed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same answers, after the same work, whatever was tried before by another name."""
    hashed = []
    monkeypatch.setattr(passwords, "make_password", hashed.append)
    monkeypatch.setattr(User, "check_password", lambda _, password: hashed.append(password))
    guess(3, before)
    if guessed.lower() == before:
        assert wait_of(guessed)
        return
    del hashed[:]
    answers = []
    for number in [*range(2), *range(2), *range(3), 0]:
        try:
            answers.append(signed_in(guessed, HERE, f"other {number}"))
        except TooManyFailedLogins as error:
            answers.append(error.retry_after)
    assert answers == [False] * 7 + [200]
    assert hashed == [f"other {number}" for number in [*range(2), *range(2), *range(3)]]


def test_spellings_of_a_name_are_one(alice: Any) -> None:
    for login in ("alice", "ALICE", "Alice"):
        guess(1, login, start=hash(login))
    assert wait_of("aLICE")


@pytest.mark.parametrize(
    ("addresses", "another"),
    [
        (["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3"], "2001:db8:0:1::1"),
        (["192.0.2.9", "::ffff:192.0.2.9", "::ffff:c000:209"], "::ffff:192.0.2.8"),
    ],
)
def test_addresses_of_one_customer_are_one(alice: Any, addresses: Any, another: str) -> None:
    for number, address in enumerate(addresses):
        guess(1, address=address, start=number)
    for address in addresses:
        assert wait_of(address=address)
    assert signed_in("alice", another)


def test_without_an_address_the_name_counts(alice: Any, bob: Any) -> None:
    guess(3, address="")
    assert wait_of("alice", "")
    assert signed_in("bob", "")


def test_zero_is_no_limit(alice: Any, settings: Any) -> None:
    settings.FAILED_LOGIN_LIMIT = 0
    guess(50)
    assert signed_in()


def test_addresses_can_have_no_bound(alice: Any, settings: Any) -> None:
    settings.FAILED_LOGINS_PER_ADDRESS = 0
    for number in range(50):
        guess(1, f"nobody-{number}")
    guess(3)
    assert wait_of()


def test_nothing_typed_is_kept(alice: Any, settings: Any) -> None:
    """People type their password into the field of the name."""
    guess(1, "hunter2-in-the-wrong-field")
    store = limiter._store(settings.FAILED_LOGINS_STORES[0])
    with store._transaction() as cursor:
        cursor.execute(f"SELECT key FROM {store.table}")
        kept = str(cursor.fetchall())
    assert "password/86400:" in kept
    assert "hunter2" not in kept
    assert "guess" not in kept


def test_djangos_own_door_counts_too(alice: Any) -> None:
    request = RequestFactory().post("/admin/login/")
    for number in range(3):
        assert authenticate(request, username="alice", password=f"guess {number}") is None
    assert authenticate(request, username="alice", password=PASSWORD) is None
    assert wait_of(address="127.0.0.1")


# The current password, of who is signed in


def test_ones_own_password_counts_for_oneself_alone(alice: Any, client: Client) -> None:
    client.force_login(alice)

    def change(current: Any) -> Any:
        fields = {"current_password": current, "new_password": NEW, "repeated": NEW}
        return client.post(reverse("accounts:password"), fields)

    for number in range(30):
        guess(1, address=f"203.0.113.{number}", start=number)
    for wrong in ("wrong 0", "wrong 0", "wrong 1", "wrong 0", "wrong 2"):
        assert change(wrong).status_code == 200
    refused = change(PASSWORD)
    assert refused.status_code == 429
    assert refused["Retry-After"] == "200"
    assert "Too many failed logins" in refused.content.decode()
    alice.refresh_from_db()
    assert alice.check_password(PASSWORD)


def test_ones_own_right_password_costs_nothing(alice: Any) -> None:
    for number in range(10):
        services.change_password(
            alice,
            f"another-long-one-{number + 1}",
            by=alice,
            current_password=f"another-long-one-{number}" if number else PASSWORD,
        )


# At once


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("login", ["alice", "nobody-here"])
def test_of_guesses_at_once_no_more_are_looked_at(
    alice: Any, login: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.FAILED_LOGIN_LIMIT = 10
    looked_at, lock = [], Lock()

    def note(password: Any) -> None:
        with lock:
            looked_at.append(password)

    monkeypatch.setattr(passwords, "make_password", note)
    monkeypatch.setattr(User, "check_password", lambda _, password: note(password))
    answers = at_once(40, lambda number: signed_in(login, HERE, f"guess {number}"))
    assert len(looked_at) == len(set(looked_at)) == 10
    assert sorted(map(str, answers)) == ["60"] * 30 + ["False"] * 10


@pytest.mark.django_db(transaction=True)
def test_right_passwords_at_once_are_all_let_in(alice: Any) -> None:
    """docker asks for several tokens at once, and the first one has to be hashed."""
    assert at_once(20, lambda _: signed_in()) == [True] * 20
    guess(3)


@pytest.mark.django_db(transaction=True)
def test_the_same_wrong_password_at_once_counts_once(alice: Any) -> None:
    """A build of many jobs starts with the password of yesterday."""
    assert at_once(20, lambda _: signed_in(password="of-yesterday")) == [False] * 20
    guess(2)
    assert wait_of()


def at_once(count: Any, act: Any) -> Any:
    """What `act` answers for each number, or how long it is told to wait."""
    together = Barrier(count)

    def work(number: Any) -> Any:
        try:
            connections["default"].ensure_connection()
            together.wait(60)
            return act(number)
        except TooManyFailedLogins as error:
            return error.retry_after
        finally:
            connections["default"].close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))
