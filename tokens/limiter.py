"""The one limiter: whatever is counted, requests or failed logins, is counted here.

The generic cell rate algorithm (ITU-T I.371; GitLab's registry and its ``throttle`` use it too): a
key is allowed `Rate.burst` at once, and then one whenever its share of `Rate.period` has passed.
All that is kept of a key is the moment at which it has been quiet again, its "theoretical arrival
time". `Limiter.take` moves it, for several keys in one atomic step: all of them or none.
`Limiter.settle` moves it back, for an attempt that turned out to be none to count.

What is counted is a table of `Kind` on each side: `tokens.rate_limits` for requests,
``gitlab.accounts.failed_logins`` for failed logins. Where it is kept: `tokens.limiter_stores`.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from django.conf import settings
from prometheus_client import Counter

from tokens.limiter_stores import Charge, DatabaseStore, RedisStore, SqliteStore, Store

log = logging.getLogger("tokens.limiter")

PAUSE = 5.0
"""Seconds in which a store that has just failed is not asked again where there is another."""

FAILURES = Counter("berth_rate_limit_failures", "Requests that no limit could be applied to.")

Answer = TypeVar("Answer")

_LONGEST = 150


class Rate(NamedTuple):
    """`burst` in `period` seconds: so many at once, then one each `period` / `burst` seconds."""

    burst: int
    period: float


class Kind(NamedTuple):
    """A kind of counting: all of its rates hold. Without a rate nothing is counted."""

    name: str
    rates: tuple[Rate, ...]

    def of(self, who: str) -> tuple[Charge, ...]:
        """What one more of this kind costs `who`, any text."""
        if len(who) > _LONGEST:
            who = hashlib.sha256(who.encode()).hexdigest()
        return tuple(
            Charge(f"{self.name}/{rate.period:g}", who, rate.period / rate.burst, rate.period)
            for rate in self.rates
        )


class TooManyRequests(Exception):
    """Refused, and nothing was counted; `retry_after` is in whole seconds, at least 1."""

    def __init__(self, wait: float, message: str = "too many requests, retry in {} s") -> None:
        self.retry_after = max(1, math.ceil(wait))
        super().__init__(message.format(self.retry_after))


class Limiter:
    """Counts in the stores that a setting names, in the first of them that works.

    `setting` is the name of a tuple of URLs: ``redis://…``, ``database://`` with Django's alias,
    ``file://`` with a path. Where none works nothing is full: a limit must not become an outage.
    """

    def __init__(self, setting: str) -> None:
        self._setting = setting

    def take(self, charges: Collection[Charge]) -> dict[Charge, float]:
        """Count all of `charges`, or none where one is full.

        Answers those that are full, with the seconds until there is room.
        """
        if not charges:
            return {}
        ordered = _ordered(charges)
        return self._ask(lambda store: store.take(ordered), {})

    def settle(self, returned: Collection[Charge], held: Mapping[str, float] | None = None) -> None:
        """Give back what was taken for nothing, and hold each key of `held` for its seconds."""
        ordered = _ordered(returned)
        self._ask(lambda store: store.settle(ordered, held or {}), None)

    def is_held(self, key: str) -> bool:
        """Whether `settle` was told to hold this key, and its time is not over."""
        return self._ask(lambda store: store.is_held(key), False)

    def quiet_in(self, charges: Collection[Charge]) -> dict[Charge, float]:
        """The seconds until each of `charges` is as if nothing had been counted."""
        ordered = _ordered(charges)
        return self._ask(lambda store: store.quiet_in(ordered), {}) if ordered else {}

    def _ask(self, question: Callable[[Store], Answer], otherwise: Answer) -> Answer:
        """What the first store that works answers."""
        urls: tuple[str, ...] = getattr(settings, self._setting)
        for url in urls:
            if time.monotonic() < _paused.get(url, 0.0):
                continue
            try:
                return question(_store(url))
            except Exception as error:  # noqa: BLE001 - whatever a store raises, requests go on
                _note_failure(url, error, is_last=url == urls[-1])
        FAILURES.inc()
        return otherwise


def _ordered(charges: Collection[Charge]) -> list[Charge]:
    """In one order for everybody, so that no two wait for each other's rows."""
    return sorted(set(charges), key=lambda charge: charge.key)


_paused: dict[str, float] = {}
_complained: dict[str, float] = {}


def _note_failure(url: str, error: Exception, *, is_last: bool) -> None:
    now = time.monotonic()
    if not is_last:
        _paused[url] = now + PAUSE
    if now < _complained.get(url, 0.0):
        return
    _complained[url] = now + PAUSE
    # Neither the URL nor a driver's message: both may hold a password.
    outcome = "do not hold at the moment" if is_last else "are counted in the next store"
    log.error("rate limits %s: %s: %s", outcome, url.partition(":")[0], type(error).__name__)


@functools.cache
def _store(url: str) -> Store:
    scheme, _, rest = url.partition("://")
    if scheme == "database":
        return DatabaseStore(rest)
    if scheme == "file":
        return SqliteStore(Path(rest))
    return RedisStore(url)
