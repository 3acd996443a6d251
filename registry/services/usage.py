"""How many bytes lie at and below a path, as running totals: what quotas are held against.

A blob counts once below a path, from the first right to it there until the collector takes the
last one: as it lies on the disk. What is deleted counts until then. So a total changes in the
transaction that adds or removes a right, and asks only whether there is another right below.

A path is counted from the first push on whose token names it. Its total is the sum of `SLOTS` rows,
by the repository's id, so that pushes to different images mostly want different rows. A count anew
goes through the blobs in the order of their ids, in short steps, while pushes go on: what they
change behind it they change in the new count too.

Who locks: pushes and the collector share a lock, and a step of the count takes it alone. It comes
after the repository and before any blob, and the totals come last, the highest path first.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import F, Q
from django.utils import timezone

from registry.errors import RegistryError
from registry.models import Usage, UsageTotal
from registry.quotas import NO_QUOTAS, Quota, Quotas
from registry.services import database

log = logging.getLogger("registry.usage")

SLOTS = 16
AT_ONCE = 2000
"""Blobs of one step of a count, and rights below a path that is counted at its first push."""

_BELOW = """
EXISTS (SELECT 1 FROM registry_repositoryblob l JOIN registry_repository r ON r.id = l.repository_id
WHERE l.blob_id = b.id AND (r.name = %s OR (r.name > %s AND r.name < %s)))
"""
_ADD = f"""
UPDATE registry_usagetotal SET bytes = bytes + b.size, blobs = blobs + 1,
new_bytes = new_bytes + CASE WHEN b.id <= u.counted_to THEN b.size ELSE 0 END,
new_blobs = new_blobs + CASE WHEN b.id <= u.counted_to THEN 1 ELSE 0 END
FROM registry_usage u, registry_blob b
WHERE usage_id = u.id AND slot = %s AND u.path = %s AND b.digest = %s AND NOT {_BELOW}
"""
_USED = """
SELECT u.path, SUM(t.bytes), SUM(t.blobs), u.counted_at
FROM registry_usage u JOIN registry_usagetotal t ON t.usage_id = u.id
WHERE u.path IN ({}) GROUP BY u.path, u.counted_at
"""
_GONE = f"""
SELECT COUNT(*), COALESCE(SUM(b.size), 0),
COALESCE(SUM(CASE WHEN b.id <= u.counted_to THEN 1 ELSE 0 END), 0),
COALESCE(SUM(CASE WHEN b.id <= u.counted_to THEN b.size ELSE 0 END), 0)
FROM registry_blob b, registry_usage u WHERE u.id = %s AND b.id IN ({{}}) AND NOT {_BELOW}
"""
_STEP = f"""
SELECT COUNT(*), COALESCE(SUM(b.size), 0) FROM registry_blob b
WHERE b.id > %s AND b.id <= %s AND {_BELOW}
"""
_RIGHTS = """
SELECT COUNT(*) FROM (
    SELECT 1 FROM registry_repository r JOIN registry_repositoryblob l ON l.repository_id = r.id
    WHERE r.name = %s OR (r.name > %s AND r.name < %s) LIMIT %s
) few
"""
_SUM = """
SELECT COUNT(*), COALESCE(SUM(size), 0) FROM registry_blob WHERE id IN (
    SELECT l.blob_id FROM registry_repository r
    JOIN registry_repositoryblob l ON l.repository_id = r.id
    WHERE r.name = %s OR (r.name > %s AND r.name < %s)
)
"""


@dataclass(frozen=True, slots=True)
class Used:
    """What lies at and below a path. `is_counted` is false until it was counted first: the numbers
    then are of what came since.
    """

    path: str
    bytes: int
    blobs: int
    is_counted: bool


@dataclass(frozen=True, slots=True)
class Count:
    """A finished count: what the running totals said in bytes, and what is there. `is_first` where
    it was known that they are wrong.
    """

    path: str
    said: int
    found: int
    is_first: bool

    @property
    def has_drifted(self) -> bool:
        """Whether the running totals had become wrong."""
        return self.said != self.found and not self.is_first


def _range(path: str) -> list[str]:
    # "0" is the character after "/": see `repositories.at_or_below`.
    return [path, f"{path}/", f"{path}0"]


# What is used


def of(paths: Sequence[str]) -> dict[str, Used]:
    """By path what is used there, as far as it is counted. One query."""
    if not paths:
        return {}
    marks = ", ".join(["%s"] * len(paths))
    return _as_used(database.rows(_USED.format(marks), paths))


def _as_used(found: Iterable[tuple[object, ...]]) -> dict[str, Used]:
    return {
        str(path): Used(str(path), int(size), int(blobs), counted_at is not None)  # type: ignore[call-overload]
        for path, size, blobs, counted_at in found
    }


def looked_up(path: str) -> Used:
    """What is used at a path, also where nothing is counted yet and little is there."""
    found = of([path]).get(path)
    if found is not None:
        return found
    if not _is_small(path):
        return Used(path, 0, 0, is_counted=False)
    blobs, size = database.one(_SUM, _range(path)) or (0, 0)
    return Used(path, int(size), int(blobs), is_counted=True)


class Lately:
    """What was used of some paths within the last second, by their quotas, as this process saw it.

    An upload of many blobs asks before each whether there is room. That is only so that what can't
    fit is not sent: the commit asks again, in its transaction.
    """

    _SECONDS = 1.0
    _MOST = 4096

    def __init__(self) -> None:
        self._rooms: dict[Quotas, tuple[float, Room]] = {}

    def get(self, quotas: Quotas) -> Room | None:
        """What was seen, where that is not too long ago."""
        found = self._rooms.get(quotas)
        if found is None or time.monotonic() - found[0] > self._SECONDS:
            return None
        return found[1]

    def put(self, quotas: Quotas, room: Room) -> None:
        """Note what was seen now."""
        if len(self._rooms) >= self._MOST:
            self._rooms.clear()
        self._rooms[quotas] = (time.monotonic(), room)


_lately = Lately()


def room(quotas: Quotas) -> Room:
    """What is used of each quota, or was within the last second. One query, mostly none, and none
    without quotas.

    A path that is named for the first time begins to be counted. Outside of a transaction.
    """
    if not quotas:
        return NO_LIMIT
    return _lately.get(quotas) or _room_now(quotas)


def _room_now(quotas: Quotas) -> Room:
    paths = [quota.path for quota in quotas.entries]
    found = of(paths)
    if len(found) < len(paths):
        for path in paths:
            if path not in found:
                _begin(path)
        found = of(paths)
    return _noted(quotas, found)


def _noted(quotas: Quotas, found: Mapping[str, Used]) -> Room:
    """The room that is left by what was `found` now, for those who ask within the next second."""
    seen = Room(
        quotas,
        tuple(
            (quota, found[quota.path].bytes)
            for quota in quotas.entries
            if quota.path in found and found[quota.path].is_counted
        ),
    )
    _lately.put(quotas, seen)
    return seen


@dataclass(frozen=True, slots=True)
class Room:
    """How much of each quota is used, of those whose paths were counted."""

    quotas: Quotas
    used: tuple[tuple[Quota, int], ...] = ()

    def refuse(self, size: int, digest: str = "") -> None:
        """Raises DENIED where `size` bytes more don't fit, nor by what is used now.

        A blob whose `digest` is known takes no room below a path where it lies already; it is asked
        for where it would not fit.
        """
        try:
            self._refuse(size, "")
        except RegistryError:
            _room_now(self.quotas)._refuse(size, digest)  # noqa: SLF001

    def _refuse(self, size: int, digest: str) -> None:
        for quota, used in self.used:
            try:
                quota.refuse_bytes(used, size)
            except RegistryError:
                if not digest or not _has(quota.path, digest):
                    raise


NO_LIMIT = Room(NO_QUOTAS)


def _has(path: str, digest: str) -> bool:
    sql = f"SELECT 1 FROM registry_blob b WHERE b.digest = %s AND {_BELOW}"
    return database.one(sql, [digest, *_range(path)]) is not None


# What changes it


def announce(quotas: Quotas, send: database.Together) -> None:
    """Keep counts away until the transaction ends, which adds a right: before its blob's row is
    held. Nothing without quotas.
    """
    if quotas:
        database.share_usage(send)


class Addition:
    """A right to a blob that is about to be added, in a transaction that holds the repository.

    `count` comes when the blob's row is held and before the right is there, `refuse` when both are
    sent. It does nothing without quotas.
    """

    def __init__(self, quotas: Quotas, repository_id: int, digest: str) -> None:
        self._quotas, self._slot, self._digest = quotas, repository_id % SLOTS, digest
        self._sent: list[tuple[Quota, database.Sent]] = []
        self._used: database.Sent | None = None

    def count(self, send: database.Together) -> None:
        """Add the blob to the totals of each path where it is new."""
        for quota in self._quotas.entries:
            values = [self._slot, quota.path, self._digest, *_range(quota.path)]
            self._sent.append((quota, send(_ADD, values)))
        if any(quota.bytes is not None for quota in self._quotas.entries):
            paths = [quota.path for quota in self._quotas.entries]
            marks = ", ".join(["%s"] * len(paths))
            self._used = send(_USED.format(marks), paths)

    def refuse(self, size: int) -> None:
        """Raises DENIED where the blob, of `size` bytes, is new below a path and too much there."""
        if self._used is None:
            return
        found = _as_used(self._used.rows)
        _noted(self._quotas, found)
        for quota, sent in self._sent:
            used = found.get(quota.path)
            if sent.count and used is not None and used.is_counted:
                quota.refuse_bytes(used.bytes - size, size)


def removed(links: Iterable[tuple[int, str, int]]) -> None:
    """Rights were removed, in a transaction that holds their repositories: for each its
    repository's id and name, and the blob's id. To be called while the blobs' rows stand.

    It costs a query where no path above is counted.
    """
    by_repository = list(links)
    paths = {path for _, name, _ in by_repository for path in _above(name)}
    usages = list(Usage.objects.filter(path__in=paths).order_by("path")) if paths else []
    if not usages:
        return
    database.share_usage(database.send_alone)
    ids = sorted({blob_id for _, _, blob_id in by_repository})
    marks = ", ".join(["%s"] * len(ids))
    # Of two who remove the last two rights to a blob, the second has to see what the first did.
    database.column(
        f"SELECT id FROM registry_blob WHERE id IN ({marks}) ORDER BY id" + database.row_lock(), ids
    )
    slot = by_repository[0][0] % SLOTS
    for usage in sorted(usages, key=lambda each: (each.path.count("/"), each.path)):
        here = sorted({pk for _, name, pk in by_repository if usage.path in _above(name)})
        _subtract(usage, slot, here)


def _above(name: str) -> list[str]:
    segments = name.split("/")
    return ["/".join(segments[: count + 1]) for count in range(len(segments))]


def _subtract(usage: Usage, slot: int, blob_ids: Sequence[int]) -> None:
    marks = ", ".join(["%s"] * len(blob_ids))
    row = database.one(_GONE.format(marks), [usage.pk, *blob_ids, *_range(usage.path)])
    if row is None or not row[0]:
        return
    blobs, size, new_blobs, new_size = map(int, row)
    UsageTotal.objects.filter(usage=usage, slot=slot).update(
        bytes=F("bytes") - size,
        blobs=F("blobs") - blobs,
        new_bytes=F("new_bytes") - new_size,
        new_blobs=F("new_blobs") - new_blobs,
    )


def doubt(*names: str) -> None:
    """Have each path counted anew that is at, above or below one of `names`: what lies there has
    changed by other means than pushes and the collector. Its totals hold until then.

    In a transaction, which counts then wait for.
    """
    where = Q()
    for name in names:
        where |= Q(path__in=_above(name)) | Q(path__gt=f"{name}/", path__lt=f"{name}0")
    ids = list(Usage.objects.filter(where).values_list("pk", flat=True))
    if ids:
        database.take_usage()
        _start_over(ids, is_doubted=True)


def _start_over(ids: Sequence[int], *, is_doubted: bool) -> None:
    more = {"is_doubted": True} if is_doubted else {}
    Usage.objects.filter(pk__in=ids).update(counted_to=0, **more)
    UsageTotal.objects.filter(usage__in=ids).update(new_bytes=0, new_blobs=0)


# Counts


def _begin(path: str) -> None:
    """Count a path from now on: at once where little is there, else `count_some` does it."""
    is_small = _is_small(path)
    with database.atomic():
        database.take_usage()
        usage, is_new = Usage.objects.get_or_create(path=path, defaults={"counted_to": 0})
        if not is_new:
            return
        UsageTotal.objects.bulk_create([UsageTotal(usage=usage, slot=n) for n in range(SLOTS)])
        if is_small:
            blobs, size = database.one(_SUM, _range(path)) or (0, 0)
            UsageTotal.objects.filter(usage=usage, slot=0).update(bytes=size, blobs=blobs)
            Usage.objects.filter(pk=usage.pk).update(counted_to=None, counted_at=timezone.now())


def _is_small(path: str) -> bool:
    """Whether there are few enough rights at and below a path to add them up at once."""
    few = database.one(_RIGHTS, [*_range(path), AT_ONCE + 1])
    return few is not None and int(few[0]) <= AT_ONCE


def count_some(steps: int) -> list[Count]:
    """Go on with the counts that are under way, at most `steps` steps; those that are finished.

    May run in several processes at once, be killed at any moment, and goes on where it was.
    """
    finished: list[Count] = []
    for _ in range(steps):
        usage = Usage.objects.filter(counted_to__isnull=False).order_by("pk").first()
        if usage is None:
            break
        count = count_on(usage.pk)
        if count is not None:
            finished.append(count)
    return finished


def next_after(usage_id: int) -> int | None:
    """The id of the counted path that comes after another one's; None after the last."""
    return Usage.objects.filter(pk__gt=usage_id).order_by("pk").values_list("pk", flat=True).first()


def is_being_counted(usage_id: int) -> bool:
    """Whether a count of a path is under way."""
    return Usage.objects.filter(pk=usage_id, counted_to__isnull=False).exists()


def count_again(usage_id: int) -> None:
    """Begin to count a path anew, where that is not under way."""
    with database.atomic():
        database.take_usage()
        if Usage.objects.filter(pk=usage_id, counted_to=None).exists():
            _start_over([usage_id], is_doubted=False)


def count_on(usage_id: int) -> Count | None:
    """One step of a count; the result at its end, when the totals are what it has found."""
    with database.atomic():
        started = time.monotonic()
        database.take_usage()
        usage = Usage.objects.filter(pk=usage_id, counted_to__isnull=False).first()
        count = _count_on(usage) if usage is not None else None
    database.let_others_write(time.monotonic() - started)
    return count


def _count_on(usage: Usage) -> Count | None:
    counted_to = usage.counted_to or 0
    ids = database.column(
        "SELECT id FROM registry_blob WHERE id > %s ORDER BY id LIMIT %s", [counted_to, AT_ONCE]
    )
    last = ids[-1] if ids else counted_to
    blobs, size = database.one(_STEP, [counted_to, last, *_range(usage.path)]) or (0, 0)
    UsageTotal.objects.filter(usage=usage, slot=0).update(
        new_bytes=F("new_bytes") + int(size), new_blobs=F("new_blobs") + int(blobs)
    )
    if len(ids) == AT_ONCE:
        Usage.objects.filter(pk=usage.pk).update(counted_to=last)
        return None
    return _finish(usage)


def _finish(usage: Usage) -> Count:
    totals = list(UsageTotal.objects.filter(usage=usage))
    said, found = sum(t.bytes for t in totals), sum(t.new_bytes for t in totals)
    UsageTotal.objects.filter(usage=usage).update(
        bytes=F("new_bytes"), blobs=F("new_blobs"), new_bytes=0, new_blobs=0
    )
    is_first = usage.counted_at is None or usage.is_doubted
    count = Count(usage.path, said, found, is_first)
    Usage.objects.filter(pk=usage.pk).update(
        counted_to=None, counted_at=timezone.now(), is_doubted=False
    )
    if count.has_drifted:
        log.error("the usage of %s was %s bytes where %s are", usage.path, said, found)
    return count
