"""Why somebody was denied: kept in memory as it happens, in the database some seconds later.

A denial has an id at once, which the client shows. The same again (who, from where, what, why)
within an hour counts, and has the same id. The path of a refusal adds to a number in memory; a
thread of the process writes down what came, so that a flood of refusals is as many numbers. What
one address or one name can make it remember within an hour is bounded, and so is the whole: beyond,
there is no id. A crash loses what came since.
"""

from __future__ import annotations

import atexit
import datetime as dt
import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.db.models import F
from django.utils import timezone

from gitlab.audit import origin
from gitlab.audit.models import Denial
from gitlab.audit.services import record
from gitlab.server import request_id
from tokens import addresses

log = logging.getLogger(__name__)

INTERVAL = 2.0
"""Seconds in which what was gathered is written down."""

REMEMBERED = 3600.0
"""Seconds for which the same again has the same id."""

MAX_KEYS = 5000
"""Different denials in memory, about 4 MB."""

MOST_OF_ONE = 50
"""Different denials of one address, and of one name, that are kept within `REMEMBERED`."""

MOST_KEPT = 100_000
"""Rows; the sweep removes the oldest beyond."""

_ROWS = 300
"""Rows that one transaction writes."""

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_LENGTH = 10


class Denied(NamedTuple):
    """What happened: the columns of `Denial` that make two denials the same.

    `who` tells people apart whose name is not kept: a digest of it, or the name.
    """

    kind: str
    who: str
    reason: str
    name: str = ""
    credential: str = ""
    address: str = ""
    path: str = ""
    actions: str = ""
    person_pk: int | None = None
    project_pk: int | None = None
    namespace_pk: int | None = None


@dataclass
class _Entry:
    reference: str
    request_id: str
    began: float
    first_at: dt.datetime
    last_at: dt.datetime
    waiting: int = 0
    written: int = 0


class Gathered:
    """What this process remembers of the last hour, and what of it is to be written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Denied, _Entry] = {}
        self._of_one: Counter[str] = Counter()
        self._waiting: dict[Denied, None] = {}

    def add(self, denied: Denied) -> str:
        """Its id; "" where there is no room for another."""
        now, clock = timezone.now(), time.monotonic()
        with self._lock:
            entry = self._entries.get(denied)
            if entry is not None and clock - entry.began > REMEMBERED and not entry.waiting:
                self._forget(denied)
                entry = None
            if entry is None:
                if len(self._entries) >= MAX_KEYS:
                    self._forget_old(clock)
                ones = _ones(denied)
                full = any(self._of_one[one] >= MOST_OF_ONE for one in ones)
                if full or len(self._entries) >= MAX_KEYS:
                    return ""
                self._of_one.update(ones)
                entry = _Entry(_reference(), request_id.current(), clock, now, now)
                self._entries[denied] = entry
            entry.last_at = now
            entry.waiting += 1
            self._waiting[denied] = None
            return entry.reference

    def take(self) -> list[tuple[Denied, _Entry, int]]:
        """What is to be written, each with how often it came; it waits no longer then."""
        with self._lock:
            found = [
                (denied, entry, entry.waiting)
                for denied in self._waiting
                if (entry := self._entries.get(denied)) is not None
            ]
            for _, entry, _ in found:
                entry.waiting = 0
            self._waiting.clear()
            self._forget_old(time.monotonic())
        return found

    def give_back(self, taken: Sequence[tuple[Denied, _Entry, int]]) -> None:
        """What could not be written waits again."""
        with self._lock:
            for denied, entry, count in taken:
                if self._entries.get(denied) is entry:
                    entry.waiting += count
                    self._waiting[denied] = None

    def clear(self) -> None:
        """Forget everything: between tests."""
        with self._lock:
            self._entries.clear()
            self._of_one.clear()
            self._waiting.clear()

    def _forget_old(self, clock: float) -> None:
        for denied, entry in list(self._entries.items()):
            if clock - entry.began > REMEMBERED and not entry.waiting:
                self._forget(denied)

    def _forget(self, denied: Denied) -> None:
        del self._entries[denied]
        self._of_one.subtract(_ones(denied))
        self._of_one += Counter()


def _ones(denied: Denied) -> tuple[str, str]:
    """Whom a denial counts for. Of IPv6 it is a whole /64: each has more addresses than rooms."""
    return f"address {addresses.source(denied.address)}", f"name {denied.who}"


_gathered = Gathered()


class Writer:
    """The thread that writes them down: begun by the first denial, asleep while there is none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._woken = threading.Event()

    def wake(self) -> None:
        """Have what is gathered written down in `INTERVAL`."""
        if not self._woken.is_set():
            self._woken.set()
            self.start()

    def start(self) -> None:
        """Begin the thread where there is none, and have the process write at its end."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self.run, name="denials", daemon=True)
                self._thread.start()
                atexit.register(flush)

    def run(self) -> None:
        """Write down what is gathered, each time that somebody has woken it."""
        while True:
            self._woken.wait()
            time.sleep(INTERVAL)
            self._woken.clear()
            try:
                went_well = flush()
            except Exception:
                log.exception("denials could not be written down")
                went_well = True
            if not went_well:
                self._woken.set()


_writer = Writer()


def note(denied: Denied) -> str:
    """Keep a denial; its id, or "" where none are kept or there is no room."""
    if not settings.DENIALS_KEPT:
        return ""
    reference = _gathered.add(denied)
    if reference:
        _writer.wake()
    return reference


def told(text: str, reference: str) -> str:
    """`text` with the id, as a client shows it."""
    return f"{text} (denial {reference})" if reference else text


def flush() -> bool:
    """Write down what is gathered; whether that went well."""
    left = _gathered.take()
    try:
        while left:
            _write(left[:_ROWS])
            left = left[_ROWS:]
    except DatabaseError as error:
        log.warning("denials could not be written down, and will be: %s", type(error).__name__)
        _gathered.give_back(left)
        return False
    finally:
        if threading.current_thread() is _writer._thread:  # noqa: SLF001 - ours
            connections.close_all()
    return True


def _write(taken: Sequence[tuple[Denied, _Entry, int]]) -> None:
    """New rows and higher counts; of logins the record tells when there were 1, 10, 100, …"""
    with transaction.atomic():
        new = [(denied, entry, count) for denied, entry, count in taken if not entry.written]
        Denial.objects.bulk_create(
            [_row(denied, entry, count) for denied, entry, count in new], ignore_conflicts=True
        )
        for _, entry, count in taken:
            if entry.written:
                Denial.objects.filter(reference=entry.reference).update(
                    count=F("count") + count, last_at=entry.last_at
                )
        for denied, entry, count in taken:
            total = entry.written + count
            if denied.kind == Denial.Kind.LOGIN and _digits(total) > _digits(entry.written):
                _record_failure(denied, entry, total)
    for _, entry, count in taken:
        entry.written += count


def _digits(count: int) -> int:
    return len(str(count)) if count else 0


def _row(denied: Denied, entry: _Entry, count: int) -> Denial:
    columns = denied._asdict()
    del columns["who"]
    return Denial(
        reference=entry.reference,
        request_id=entry.request_id,
        count=count,
        first_at=entry.first_at,
        last_at=entry.last_at,
        **columns,
    )


def _record_failure(denied: Denied, entry: _Entry, total: int) -> None:
    record(
        "user.fail_sign_in",
        by=None,
        path=denied.name,
        address=denied.address,
        credential=denied.credential,
        failures=total,
        reason=denied.reason,
        denial=entry.reference,
        about_pk=denied.person_pk,
    )


def _reference() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def login(
    reason: str,
    *,
    who: str,
    name: str = "",
    credential: str = "",
    person_pk: int | None = None,
    project_pk: int | None = None,
    namespace_pk: int | None = None,
) -> str:
    """Keep a login that was refused; its id.

    `who` tells names apart and is not kept; `name` is, and is "" where nobody is called so.
    """
    return note(
        Denied(
            Denial.Kind.LOGIN,
            who[:255],
            reason[:255],
            name=name[:255],
            credential=credential,
            address=origin.client_ip(),
            person_pk=person_pk,
            project_pk=project_pk,
            namespace_pk=namespace_pk,
        )
    )


def sweep(batches: int = 100) -> int:
    """Remove the denials whose time is over, and the oldest beyond `MOST_KEPT`; how many went."""
    kept: dt.timedelta = settings.DENIALS_KEPT
    before = timezone.now() - kept
    rows = Denial.objects.order_by("-last_at", "-id")
    surplus = rows[MOST_KEPT : MOST_KEPT + 1].values_list("last_at", flat=True).first()
    if surplus is not None:
        before = max(before, surplus)
    gone = 0
    for _ in range(batches):
        old = Denial.objects.filter(last_at__lte=before).order_by("last_at")
        found = list(old.values_list("pk", flat=True)[:1000])
        gone += Denial.objects.filter(pk__in=found).delete()[0]
        if len(found) < 1000:
            break
    return gone
