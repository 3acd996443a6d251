"""From an issuer to its keys: OpenID Connect Discovery 1.0, section 4.

Two questions, each with an end in bytes and time, without redirects, to addresses that were looked
at (`network`). What is learnt is kept in the process: `KEYS`.
"""

from __future__ import annotations

import functools
import json
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from gitlab.exchange import TooLarge, Transport, exchange
from gitlab.trusted_issuers import keys, network
from gitlab.trusted_issuers.keys import Key
from gitlab.trusted_issuers.network import ForbiddenAddress

SECONDS = 4.0
"""For each of the two answers, from the connection to the last byte."""
MAX_CONFIGURATION, MAX_KEYS = 64 * 1024, 256 * 1024
"""Bytes."""

FRESH, KEPT, AGAIN = 600.0, 3600.0, 30.0
"""Seconds: after the first, keys are asked for anew; until the second, old ones do where the issuer
does not answer; within the third no issuer is asked twice, whatever keys tokens name."""

MOST_ISSUERS = 500
MOST_ASKING = 4
"""Threads of a process, of eight, that ask issuers or wait for that."""


class IssuerUnavailable(Exception):
    """An issuer's keys are not to be had; the message says why."""


def fetch(issuer: str) -> tuple[Key, ...]:
    """The keys that an issuer has now. Raises `IssuerUnavailable`."""
    try:
        configuration = _get(f"{issuer.rstrip('/')}/.well-known/openid-configuration",
                             MAX_CONFIGURATION)  # fmt: skip
        if not isinstance(configuration, dict) or configuration.get("issuer") != issuer:
            raise IssuerUnavailable("its configuration is another issuer's")
        return keys.read(_get(_keys_url(issuer, configuration), MAX_KEYS))
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, TooLarge) as error:
        raise IssuerUnavailable(f"it does not answer as it should ({_name(error)})") from error
    except (ForbiddenAddress, keys.UnusableKeys, OSError) as error:
        raise IssuerUnavailable(str(error)) from error


def _keys_url(issuer: str, configuration: dict[str, Any]) -> str:
    url = configuration.get("jwks_uri")
    if not isinstance(url, str) or network.url_fault(url):
        raise IssuerUnavailable("its configuration names no keys")
    if urlsplit(issuer).scheme == "https" != urlsplit(url).scheme:
        raise IssuerUnavailable("its keys are not behind https")
    return url


def _get(url: str, max_answer: int) -> Any:
    """The JSON at `url`."""
    plain = urlsplit(url).scheme == "http"
    transport = Transport(_trust(), functools.partial(network.resolve, plain=plain))
    headers = {"User-Agent": "berth", "Accept": "application/json", "Accept-Encoding": "identity"}
    # No proxy of the environment: the addresses that it would call nobody has looked at.
    with httpx.Client(
        transport=transport, timeout=SECONDS, follow_redirects=False, trust_env=False
    ) as http:
        question = http.build_request("GET", url, headers=headers)
        answer = exchange(http, question, seconds=SECONDS, max_answer=max_answer)
    if answer.status_code != 200:
        raise IssuerUnavailable(f"it answers {answer.status_code}")
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise IssuerUnavailable("its answer is no JSON") from error


def _trust() -> ssl.SSLContext:
    """The public authorities, and the operator's own."""
    context = httpx.create_ssl_context(trust_env=False)
    if settings.ISSUER_CA_BUNDLE:
        context.load_verify_locations(cafile=settings.ISSUER_CA_BUNDLE)
    return context


def _name(error: Exception) -> str:
    return type(error).__name__


@dataclass
class _Known:
    """What is known of an issuer. Times are the clock's."""

    keys: tuple[Key, ...] = ()
    fetched: float | None = None
    asked: float | None = None
    trouble: str = "it has not been asked yet"
    lock: threading.Lock = field(default_factory=threading.Lock)


class KeyCache:
    """The keys of issuers, asked for where they are needed. Safe to share between threads.

    An issuer that is slow holds few threads: one asks, some wait for it, the others are refused at
    once. `fetch` asks an issuer, `clock` is in seconds.
    """

    def __init__(
        self,
        fetch: Callable[[str], tuple[Key, ...]] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(MOST_ASKING)

    def keys_of(self, issuer: str, key_id: str | None) -> tuple[Key, ...]:
        """An issuer's keys, among which a key `key_id` is looked for. Raises `IssuerUnavailable`.

        They need not have it: an unknown id has the issuer asked once in `AGAIN` seconds at most.
        """
        known = self._of(issuer)
        if self._wants_asking(known, key_id) and self._turns.acquire(blocking=False):
            try:
                self._ask(known, issuer, key_id)
            finally:
                self._turns.release()
        if known.fetched is None or self._clock() - known.fetched > KEPT:
            raise IssuerUnavailable(known.trouble)
        return known.keys

    def forget(self) -> None:
        """Know nothing of anybody."""
        with self._lock:
            self._known.clear()

    def _of(self, issuer: str) -> _Known:
        with self._lock:
            known = self._known.setdefault(issuer, _Known())
            self._known.move_to_end(issuer)
            if len(self._known) > MOST_ISSUERS:
                self._known.popitem(last=False)
            return known

    def _wants_asking(self, known: _Known, key_id: str | None) -> bool:
        now = self._clock()
        if known.asked is not None and now - known.asked < AGAIN:
            return False
        is_fresh = known.fetched is not None and now - known.fetched < FRESH
        return not is_fresh or not _has(known.keys, key_id)

    def _ask(self, known: _Known, issuer: str, key_id: str | None) -> None:
        """Ask, or wait for who is asking; not where the keys that are there do meanwhile."""
        limit = 0.0 if known.keys and _has(known.keys, key_id) else 2 * SECONDS
        if not known.lock.acquire(timeout=limit):
            return
        try:
            if self._wants_asking(known, key_id):
                self._ask_now(known, issuer)
        finally:
            known.lock.release()

    def _ask_now(self, known: _Known, issuer: str) -> None:
        try:
            known.keys = self._fetch(issuer)
            known.fetched, known.trouble = self._clock(), ""
        except IssuerUnavailable as error:
            known.trouble = str(error)
        finally:
            known.asked = self._clock()


def _has(found: tuple[Key, ...], key_id: str | None) -> bool:
    return key_id is None or any(key.id == key_id for key in found)


KEYS = KeyCache()
"""Those of this process."""
