"""Pulls are counted: in memory as they happen, in the database a few seconds later.

A pull is a GET of a manifest that was answered, by tag or by digest, with a condition or without.
A HEAD is none, nor is what GitLab's pages and jobs ask with tokens of their own. The path of a pull
adds one to a number in memory: no query, no write, and a lock that is held for a microsecond. A
thread of the process writes the numbers down every `INTERVAL`, and the process does when it ends;
what a crash loses is what came since.
"""

from __future__ import annotations

import atexit
import datetime as dt
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from django.db import DatabaseError, InterfaceError, connections
from prometheus_client import Counter

from registry.models import ManifestPulls
from registry.services import database
from tokens.verify import Claims

log = logging.getLogger("registry.pulls")

INTERVAL = 5.0
"""Seconds in which what was gathered is written down."""

MAX_KEYS = 10_000
"""Numbers in memory, about 5 MB. From half of it on they are written down at once; beyond, as while
the database is away, only what has a number already is counted.
"""

ANONYMOUS, OTHER = "anonymous", "other"
_KINDS = {
    "gitlab_or_ldap": "password",
    "personal_access_token": "access_token",
    "deploy_token": "deploy_token",
    "build": "job",
    "id_token": "id_token",
    "none": ANONYMOUS,
}
KINDS = (*_KINDS.values(), OTHER)
"""Whom pulls are by. An access token is a person's, a project's or a group's; `OTHER` is what
another token server's tokens say, or do not say.
"""

_ROWS = 300
"""Numbers that one transaction writes: milliseconds, so that nobody waits for the writer's lock."""

_ADD_TO_MANIFEST = """
INSERT INTO registry_manifestpulls AS known (manifest_id, repository_id, pulls, last_at)
VALUES {rows} ON CONFLICT (manifest_id) DO UPDATE SET pulls = known.pulls + excluded.pulls,
last_at = CASE WHEN excluded.last_at > known.last_at THEN excluded.last_at ELSE known.last_at END
"""
_ADD_TO_DAY = """
INSERT INTO registry_dailypulls AS known (repository_id, digest, tag, day, kind, pulls, last_at)
VALUES {rows} ON CONFLICT (repository_id, digest, tag, day, kind)
DO UPDATE SET pulls = known.pulls + excluded.pulls,
last_at = CASE WHEN excluded.last_at > known.last_at THEN excluded.last_at ELSE known.last_at END
"""
_STILL_THERE = "SELECT id FROM registry_manifest WHERE id IN ({holes})"
_LISTED = """
SELECT DISTINCT repository_id, digest FROM registry_manifestchild
WHERE (repository_id, digest) IN (VALUES {rows})
"""

PULLS = Counter("berth_pulls", "Manifests that were pulled.", ["credential"])
NOT_COUNTED = Counter("berth_pulls_not_counted", "Pulls for which there was no room in memory.")


class Found(Protocol):
    """The manifest that was pulled."""

    @property
    def id(self) -> int:
        """The id of its row."""

    @property
    def repository_id(self) -> int:
        """The id of its repository's row."""

    @property
    def digest(self) -> str:
        """By which it is kept."""


class Key(NamedTuple):
    """What one number counts.

    `tag` is "" for what was asked for by digest; `day` is in days since the epoch (UTC).
    """

    repository_id: int
    manifest_id: int
    tag: str
    day: int
    kind: str


class Count:
    """How many there were of a digest, and when the last one was, in seconds since the epoch."""

    __slots__ = ("digest", "last_at", "pulls")

    def __init__(self, pulls: int, last_at: float, digest: str) -> None:
        self.pulls, self.last_at, self.digest = pulls, last_at, digest


Counts = dict[Key, Count]
T = TypeVar("T")


class Gathered:
    """The numbers of this process that are not written down yet: never more than `MAX_KEYS`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[int, int, str, int, str], Count] = {}
        self._not_counted = 0

    def add(
        self, key: tuple[int, int, str, int, str], pulls: int, last_at: float, digest: str
    ) -> bool:
        """Count `pulls`; where there is no room, count that they were not counted.

        `key` is a `Key`, or a tuple like one, which takes a third of the time to make. Whether so
        many numbers wait that they are to be written down at once.
        """
        with self._lock:
            known = self._counts.get(key)
            if known is not None:
                known.pulls += pulls
                if last_at > known.last_at:
                    known.last_at = last_at
                return False
            if len(self._counts) < MAX_KEYS:
                self._counts[key] = Count(pulls, last_at, digest)
            else:
                self._not_counted += pulls
            return len(self._counts) > MAX_KEYS // 2

    def take(self) -> tuple[Counts, int]:
        """All numbers, which are no longer here then; and how many pulls were not counted."""
        with self._lock:
            counts, not_counted = self._counts, self._not_counted
            self._counts, self._not_counted = {}, 0
        return {Key(*key): count for key, count in counts.items()}, not_counted


class Writer:
    """The thread that writes numbers down: begun by the first pull, asleep while there is none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._woken, self._hurried = threading.Event(), threading.Event()
        self.is_woken = self._woken.is_set

    def wake(self, *, hurry: bool = False) -> None:
        """Have what is gathered written down in `INTERVAL`, or at once."""
        if hurry:
            self._hurried.set()
        if self._woken.is_set():
            return
        self._woken.set()
        self.start()

    def start(self) -> None:
        """Begin the thread where there is none, and have the process write at its end."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self.run, name="pulls", daemon=True)
                self._thread.start()
                atexit.register(flush)

    def run(self) -> None:
        """Write down what is gathered, each time that somebody has woken it."""
        while True:
            self._woken.wait()
            self._hurried.wait(INTERVAL)
            # Before they are taken: a pull that comes now sets them again.
            self._woken.clear()
            self._hurried.clear()
            try:
                went_well = flush()
            except Exception:
                # Or nothing would be counted any more, and nobody would know.
                log.exception("pulls could not be written down")
                went_well = True
            if not went_well:
                self._woken.set()
                time.sleep(INTERVAL)


_gathered = Gathered()
_writer = Writer()
_flushing = threading.Lock()
_seconds = time.time
"""Now, in seconds since the epoch: a third of the cost of a moment with its date."""

_DAY = 24 * 3600


def note(claims: Claims | None, found: Found, reference: str) -> None:
    """Count the pull of a manifest by `reference`, a tag or a digest, with a token's `claims`.

    GitLab's own tokens, which name nobody, are not counted.
    """
    if claims is None or claims.subject is None:
        return
    now = _seconds()
    tag = "" if ":" in reference else reference
    kind = _KINDS.get(claims.auth_type, OTHER)
    key = (found.repository_id, found.id, tag, int(now // _DAY), kind)
    hurry = _gathered.add(key, 1, now, found.digest)
    if hurry or not _writer.is_woken():
        _writer.wake(hurry=hurry)


def flush() -> bool:
    """Write down what is gathered; whether that went well. What did not is kept for the next time.

    Safe to call at any time and from several threads: each number is written once.
    """
    with _flushing:
        counts, not_counted = _gathered.take()
        if not_counted:
            NOT_COUNTED.inc(not_counted)
            log.warning("%s pulls were not counted: too much waits to be written", not_counted)
        waiting = list(_batches(sorted(counts.items(), key=lambda entry: entry[0])))
        try:
            while waiting:
                _write(waiting[0])
                _tell(waiting.pop(0))
        except (DatabaseError, InterfaceError) as error:
            log.warning("pulls are written down later: %s", type(error).__name__)
            for key, count in (entry for some in waiting for entry in some):
                _gathered.add(key, count.pulls, count.last_at, count.digest)
            return False
        finally:
            database.close_kept()
    return True


Entry = tuple[Key, Count]


def _tell(entries: Iterable[Entry]) -> None:
    for key, count in entries:
        PULLS.labels(key.kind).inc(count.pulls)


def _write(entries: Sequence[Entry]) -> None:
    """Add numbers to the rows, in one transaction and in the order of the rows' keys.

    So those who do it at once never wait for each other in a ring. Nobody waits for the disk: a
    power cut may take the last moments, as a crash does.
    """
    with database.atomic_until_the_next_sync():
        there = _still_there({key.manifest_id for key, _ in entries})
        counted = [entry for entry in entries if entry[0].manifest_id in there]
        if counted:
            _add_to_manifests(counted)
            _add_to_days(counted)


def _still_there(ids: Iterable[int]) -> set[int]:
    wanted = sorted(ids)
    holes = ", ".join(["%s"] * len(wanted))
    return {row[0] for row in database.rows(_STILL_THERE.format(holes=holes), wanted)}


def _add_to_manifests(entries: Iterable[Entry]) -> None:
    sums: dict[tuple[int, int], Count] = {}
    for key, count in entries:
        _sum(sums, (key.manifest_id, key.repository_id), count)
    _insert(_ADD_TO_MANIFEST, _rows(sums))


_Day = tuple[int, str, str, dt.date, str]


def _add_to_days(entries: Sequence[Entry]) -> None:
    """To the rows of the day: of the manifest, of the tag, and of the repository."""
    listed = _listed({(key.repository_id, c.digest) for key, c in entries if not key.tag})
    sums: dict[_Day, Count] = {}
    for key, count in entries:
        about = key.repository_id, count.digest
        when = dt.date(1970, 1, 1) + dt.timedelta(days=key.day), key.kind
        if key.tag or about not in listed:
            _sum(sums, (key.repository_id, "", "", *when), count)
        _sum(sums, (*about, "", *when), count)
        if key.tag:
            _sum(sums, (*about, key.tag, *when), count)
    for some in _batches(_rows(sums)):
        _insert(_ADD_TO_DAY, some)


def _batches(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), _ROWS):
        yield rows[start : start + _ROWS]


def _sum(sums: dict[T, Count], key: T, count: Count) -> None:
    if key in sums:
        sums[key].pulls += count.pulls
        sums[key].last_at = max(sums[key].last_at, count.last_at)
    else:
        sums[key] = Count(count.pulls, count.last_at, count.digest)


def _rows(sums: Mapping[Any, Count]) -> list[tuple[Any, ...]]:
    """The values of rows in the order of their keys, which is the same in every process."""
    return [
        (*key, count.pulls, dt.datetime.fromtimestamp(count.last_at, dt.UTC))
        for key, count in sorted(sums.items(), key=lambda entry: entry[0])
    ]


def _listed(pairs: Iterable[tuple[int, str]]) -> set[tuple[int, str]]:
    """Those of pairs of a repository's id and a digest that an index lists there."""
    wanted = sorted(pairs)
    if not wanted:
        return set()
    sql = _LISTED.format(rows=", ".join(["(%s, %s)"] * len(wanted)))
    found = database.rows(sql, [value for pair in wanted for value in pair])
    return {(repository_id, digest) for repository_id, digest in found}


def _insert(sql: str, rows: Sequence[Sequence[object]]) -> None:
    row = f"({', '.join(['%s'] * len(rows[0]))})"
    values = [value for each in rows for value in each]
    database.change(sql.format(rows=", ".join([row] * len(rows))), values)


def forget(manifest_ids: Iterable[int]) -> None:
    """Remove the numbers of manifests that go, in the transaction in which they do.

    In the order in which they are written, so that the two never wait for each other in a ring.
    Those of the days stay until they are swept.
    """
    some = ManifestPulls.objects.filter(manifest_id__in=list(manifest_ids))
    if connections[database.ALIAS].vendor == "postgresql":
        held = some.order_by("manifest_id").select_for_update().values_list("pk", flat=True)
        some = ManifestPulls.objects.filter(pk__in=list(held))
    some.delete()
