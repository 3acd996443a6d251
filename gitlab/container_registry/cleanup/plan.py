"""Making a plan: what happens to each tag of a project's images, kept in batches.

A plan costs memory for one image at a time, of which `MAX_TAGS` tags are looked at in all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, Self

from django.utils import timezone

from gitlab.container_registry.cleanup import choosing
from gitlab.container_registry.cleanup.models import CleanupBatch, CleanupRun
from gitlab.container_registry.cleanup.policy import Judge, Protects, Verdict, read_rules
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import AgesPage, Freed
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs.leases import LeaseLost
from gitlab.refusals import Invalid

MAX_TAGS = 100_000
"""That one plan looks at, by image and name."""

MAX_GOING = 10_000
"""That one run deletes."""

GOING_IN_BATCH = 100
KEPT_IN_BATCH = 1000
_PAGE_OF_OURS = 4000
_PAGE = 1000
_FORECAST = MAX_GOING
_MANY = 1000
"""Tags of whose forecast the time is worth a thread."""

_FORECAST_UNTAGGED = 1000
_WRITTEN_AT_ONCE = 20


@dataclass(frozen=True)
class Entry:
    """A tag of a plan, or by its digest an image without one.

    `outcome` is "" until its turn has come, then ``deleted``, ``spared``, after an undo
    ``restored`` or ``lost``; `said` is why it was spared. `interval` is the part of the tag's
    history that the deletion has ended.
    """

    name: str
    rule: int
    reason: str
    digest: str = ""
    size_bytes: int = 0
    outcome: str = ""
    said: str = ""
    interval: int = 0

    @classmethod
    def read(cls, row: Sequence[Any]) -> Self:
        """From the list that `as_row` gives."""
        return cls(*row)

    def as_row(self) -> list[Any]:
        """A short list: what a tag that stays has no use for is left out."""
        row = [
            self.name, self.rule, self.reason, self.digest, self.size_bytes, self.outcome,
            self.said, self.interval,
        ]  # fmt: skip
        while row[-1] in ("", 0):
            row.pop()
        return row

    def ended(self, outcome: str, said: str = "", interval: int = 0) -> Entry:
        """The same after its turn."""
        return replace(self, outcome=outcome, said=said[:200], interval=interval)


def is_digest(name: str) -> bool:
    """Whether an entry is about an image without a tag, and named by its digest."""
    return ":" in name


def entries_of(batch: CleanupBatch) -> list[Entry]:
    """The tags of a batch."""
    return [Entry.read(row) for row in batch.entries]


class Planned(NamedTuple):
    """A tag of a plan, and the image that it is of; `repository_id` is None where that has gone."""

    repository_id: int | None
    path: str
    goes: bool
    entry: Entry


@dataclass(frozen=True)
class PlannedPage:
    """Some tags of a plan, and the key of those that follow, "" where there are none."""

    tags: list[Planned]
    next_after: str = ""


PARTS = ("going", "kept", "spared")
_KEY = re.compile(r"(\d{1,9})-(\d{1,4})", re.ASCII)


def page_of(run: CleanupRun, part: str = "", *, after: str = "", limit: int = 20) -> PlannedPage:
    """The tags of a plan that follow the key `after`, by image, those that go before those kept.

    `part` is one of `PARTS`, or "" for all. Raises `Invalid` for a key that is none.
    """
    number, skipped = _position(after)
    rows = CleanupBatch.objects.filter(run=run, number__gte=number).order_by("number")
    if part == "spared":
        rows = rows.filter(goes=True, spared_count__gt=0)
    elif part:
        rows = rows.filter(goes=part == "going")
    found: list[tuple[str, Planned]] = []
    for batch in rows.iterator(chunk_size=2):
        for at, entry in enumerate(entries_of(batch), 1):
            if (batch.number == number and at <= skipped) or (
                part == "spared" and entry.outcome != "spared"
            ):
                continue
            planned = Planned(batch.repository_id, batch.path, batch.goes, entry)
            found.append((f"{batch.number}-{at}", planned))
            if len(found) > limit:
                return PlannedPage([each for _, each in found[:limit]], found[limit - 1][0])
    return PlannedPage([each for _, each in found])


def _position(key: str) -> tuple[int, int]:
    if not key:
        return 0, 0
    matched = _KEY.fullmatch(key)
    if matched is None:
        raise Invalid({"cursor": "This is no key of a page of this list."})
    return int(matched[1]), int(matched[2])


@dataclass
class Made:
    """What a plan says altogether."""

    seen: int = 0
    going: int = 0
    freed_bytes: int = 0
    shared_bytes: int = 0
    is_exact: bool = True
    is_cut: bool = False
    counts_pulls: bool = False
    images_going: int = 0
    """Of how many images some tags go."""


def make(
    run: CleanupRun,
    images: Sequence[ContainerRepository],
    registry: Registry,
    *,
    protects_in: Callable[[str], Protects],
    still_ours: Callable[[], bool],
) -> Made:
    """Write the batches of a run anew, and say what they come to.

    `still_ours` is asked between pages. Raises `LeaseLost`, and what the registry's client does.
    """
    CleanupBatch.objects.filter(run=run).delete()
    made = Made()
    number = 0
    for image in images:
        judged = _chosen if run.selection and not run.rules else _judged
        going, kept = judged(run, image, registry, protects_in(image.path), made, still_ours)
        made.going += len(going)
        made.images_going += bool(going)
        if not still_ours():
            raise LeaseLost
        seen = [image.project.full_path, f"{image.project.full_path}/*"]
        forecast = partial(_forecast, going, image.path, seen, registry)
        if len(going) < _MANY:
            number = _write(run, image, going, kept, number)
            freed = forecast()
        else:
            # While the registry counts what is freed, the plan is written.
            with ThreadPoolExecutor(max_workers=1) as beside:
                coming = beside.submit(forecast)
                number = _write(run, image, going, kept, number)
            freed = coming.result()
        _add(freed, made, goes=bool(going))
    made.is_cut |= made.going >= MAX_GOING
    # Each image is counted as if the others stayed as they are.
    made.is_exact &= made.images_going <= 1 or not made.shared_bytes
    return made


def _judged(
    run: CleanupRun,
    image: ContainerRepository,
    registry: Registry,
    protects: Protects,
    made: Made,
    still_ours: Callable[[], bool],
) -> tuple[list[Verdict], list[Verdict]]:
    """What goes and what stays by the run's rules."""
    judge = Judge(
        read_rules(run.rules), timezone.now(), protects=protects, most=MAX_GOING - made.going
    )
    if not run.selection:
        _look(judge, image, registry, made, still_ours)
    if judge.asks_for_untagged:
        _look_at_untagged(judge, image, registry, made, still_ours)
    made.counts_pulls |= judge.counts_pulls
    return judge.verdicts()


def _chosen(
    run: CleanupRun,
    image: ContainerRepository,
    registry: Registry,
    protects: Protects,
    made: Made,
    still_ours: Callable[[], bool],
) -> tuple[list[Verdict], list[Verdict]]:
    """What goes of what somebody has chosen, and what a rule keeps."""
    chosen = choosing.Chosen(protects, MAX_GOING - made.going)
    selection = replace(choosing.Selection.read(run.selection or {}), path=image.path)
    made.is_cut |= not choosing.look(selection, chosen, registry, still_ours)
    made.seen += len(chosen.going) + len(chosen.kept)
    return chosen.going, chosen.kept


def _look(
    judge: Judge,
    image: ContainerRepository,
    registry: Registry,
    made: Made,
    still_ours: Callable[[], bool],
) -> None:
    """Show the judge the image's tags, as many as a plan may look at."""
    left = MAX_TAGS - made.seen
    if left <= 0:
        made.is_cut = True
        return
    for page in _pages(registry, image.path, left):
        judge.see(page.tags, page.pulls_counted_since)
        made.seen += len(page.tags)
        made.is_cut |= bool(page.next_last) and made.seen >= MAX_TAGS
        if page.next_last and not still_ours():
            raise LeaseLost


def _pages(registry: Registry, path: str, most: int) -> Iterator[AgesPage]:
    """The image's tags, at most so many. While one page is looked at, the registry answers with the
    next.
    """
    with ThreadPoolExecutor(max_workers=1) as ahead:
        page = _tags(registry, path, most, "")
        while page.next_last and most > len(page.tags):
            most -= len(page.tags)
            coming = ahead.submit(_tags, registry, path, most, page.next_last)
            yield page
            page = coming.result()
        yield page


def _look_at_untagged(
    judge: Judge,
    image: ContainerRepository,
    registry: Registry,
    made: Made,
    still_ours: Callable[[], bool],
) -> None:
    """Show the judge what no tag points at; another registry than ours does not tell."""
    own = registry.own
    after = 0
    while own is not None:
        if made.seen >= MAX_TAGS:
            made.is_cut = True
            return
        found, after = own.untagged(image.path, after=after)
        judge.see_untagged(found)
        made.seen += len(found)
        if not after:
            return
        if not still_ours():
            raise LeaseLost


def _tags(registry: Registry, path: str, left: int, last: str) -> AgesPage:
    own = registry.own
    if own is not None:
        return own.tag_ages(path, n=min(_PAGE_OF_OURS, left), last=last)
    return AgesPage.of(registry.tags(path, n=min(_PAGE, left), last=last, sort="name"))


def _write(
    run: CleanupRun,
    image: ContainerRepository,
    going: Sequence[Verdict],
    kept: Sequence[Verdict],
    number: int,
) -> int:
    """Write the batches of an image that follow on the batch `number`; the number of the last."""
    parts = _parts(going, kept)
    while some := list(islice(parts, _WRITTEN_AT_ONCE)):
        CleanupBatch.objects.bulk_create(
            CleanupBatch(
                run=run, repository=image, path=image.path, goes=goes, number=at,
                entries=[_row(each) for each in verdicts],
            )
            for at, (goes, verdicts) in enumerate(some, number + 1)
        )  # fmt: skip
        number += len(some)
    return number


def _forecast(
    going: Sequence[Verdict], path: str, seen: Sequence[str], registry: Registry
) -> list[Freed] | None:
    """What deleting these tags frees, in parts that are counted as if the others stayed: shared
    layers once, and what stays since it is shared. None where the registry does not tell.
    """
    own = registry.own
    if own is None:
        return None
    tags = [each.name for each in going if not is_digest(each.name)]
    digests = [each.name for each in going if is_digest(each.name)]
    parts: list[tuple[Callable[..., Freed], Sequence[str]]] = [
        (own.freed_by_many, some) for some in _pieces(tags, _FORECAST)
    ]
    parts += [(own.freed_by_manifests, some) for some in _pieces(digests, _FORECAST_UNTAGGED)]
    return [ask(path, names, seen=seen) for ask, names in parts]


def _add(forecast: list[Freed] | None, made: Made, *, goes: bool) -> None:
    """Count what an image frees. Of several parts the sum is the least."""
    if forecast is None:
        made.is_exact &= not goes
        return
    made.is_exact &= len(forecast) <= 1
    for freed in forecast:
        made.freed_bytes += freed.alone_bytes
        made.shared_bytes += freed.shared_bytes
        made.is_exact &= freed.is_exact


def _pieces(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def _parts(
    going: Sequence[Verdict], kept: Sequence[Verdict]
) -> Iterator[tuple[bool, Sequence[Verdict]]]:
    for goes, verdicts, size in ((True, going, GOING_IN_BATCH), (False, kept, KEPT_IN_BATCH)):
        for start in range(0, len(verdicts), size):
            yield goes, verdicts[start : start + size]


def _row(verdict: Verdict) -> list[Any]:
    name, digest, size, goes, rule, reason = verdict
    if goes:
        return [name, rule, reason, digest, size]
    return [name, rule, reason]
