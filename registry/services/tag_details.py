"""Tags with what people want to know of them, by pages in both directions."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from django.db.models import F, Q, QuerySet, Value, Window
from django.db.models.functions import Cast, RowNumber, StrIndex

from registry.errors import Code, RegistryError
from registry.models import Manifest, Tag
from registry.services import tag_filters, tags, tags_by_pull
from registry.services.pull_details import NEVER, Pulled
from registry.services.tag_filters import ANY, Filter
from registry.services.tags_by_pull import Wanted
from registry.tag_order import sort_key

_COLUMNS = {
    "name": ("name",),
    "version": ("sort_key", "name"),
    "published_at": ("started_at", "id"),
    "created_at": ("dated_at", "id"),
    "size_bytes": ("size", "id"),
}
"""What a list is sorted by, and the columns, which name one tag. An index of open tags leads in the
order of each. `tags_by_pull` has the order of last pulls."""

_BY_PULL = "last_pulled_at"
SORTS = tuple(sign + key for key in (*_COLUMNS, _BY_PULL) for sign in ("", "-"))
MAX_REFERRERS = 100
"""Of one tag in a list. All of them are in ``/v2/<name>/referrers/<digest>``."""

_BATCH = 500
_READ = 100
"""Tags that are read at once with what they say."""

_MAX_PLATFORMS = 4000
"""Platforms in one page. There are many where each tag names many, and then it is a shorter one."""

_REFERRED = 20
"""Tags whose referrers are looked up at once."""


class _Names(NamedTuple):
    """Which names: with a `part`, or an `exact` one; those of `signatures` too."""

    part: str
    exact: str
    signatures: bool


class _List(NamedTuple):
    """A repository's tags with these `names`, by `key`."""

    repository_id: int
    key: str
    descending: bool
    names: _Names


@dataclass(frozen=True)
class TagDetails:
    """`size` in bytes of what it refers to; `created_at` is what the image says of itself.

    It points there since it was published, or since it was restored where that is no None.

    `pulled` is about the manifest that it points at, by whatever reference it was asked for.
    """

    name: str
    digest: str
    config_digest: str
    media_type: str
    artifact_type: str
    size: int
    created_at: dt.datetime | None
    published_at: dt.datetime
    published_by: str
    platforms: list[dict[str, str]]
    pulled: Pulled
    restored_at: dt.datetime | None = None
    restored_by: str = ""


@dataclass(frozen=True)
class Referrer:
    """A manifest whose subject is what a tag points at."""

    digest: str
    artifact_type: str


@dataclass(frozen=True)
class TagPage:
    """A page in the order asked for, and whether there are tags before and behind it.

    It may be shorter than was asked for, where its tags say much. `is_backwards`: it is the page
    before a tag, and ends there. `walked_to` is the tag to go on from where so many did not match
    that nobody looked further, "" where that is the page's own end.
    """

    tags: list[TagDetails]
    has_previous: bool
    has_next: bool
    is_backwards: bool = False
    walked_to: str = ""

    @property
    def first(self) -> str:
        """Before which tag the page before this one ends."""
        far = self.walked_to if self.is_backwards else ""
        return far or (self.tags[0].name if self.tags else "")

    @property
    def last(self) -> str:
        """After which tag the page behind this one begins."""
        far = "" if self.is_backwards else self.walked_to
        return far or (self.tags[-1].name if self.tags else "")

    @property
    def from_marker(self) -> list[TagDetails]:
        """The tags, the nearest first to the one that the page was asked from."""
        return self.tags[::-1] if self.is_backwards else self.tags

    def cut_to(self, count: int) -> TagPage:
        """The page with so many tags, those nearest to the one that it was asked from."""
        if self.is_backwards:
            return replace(self, tags=self.tags[-count:], has_previous=True, walked_to="")
        return replace(self, tags=self.tags[:count], has_next=True, walked_to="")


def page(  # noqa: PLR0913  (each is a parameter of the list)
    repository_id: int,
    *,
    limit: int,
    last: str = "",
    before: str = "",
    name: str = "",
    name_exact: str = "",
    matching: Filter = ANY,
    sort: str = "name",
    signatures: bool = True,
) -> TagPage:
    """Up to `limit` tags after the tag `last` or before `before`, in the order `sort`.

    Those whose name contains `name`, is `name_exact` where one is given, and that are `matching`;
    without `signatures`, none by which cosign finds what belongs to an image; nor where it is asked
    who is signed, for they are about others. Raises UNSUPPORTED (400) where `sort` is unknown or
    both directions are asked for.
    """
    if sort not in SORTS or (last and before):
        raise RegistryError(
            Code.UNSUPPORTED, f"sort is one of {', '.join(SORTS)}; last or before", status=400
        )
    backwards = bool(before)
    marker = before or last
    descending = sort.startswith("-") != backwards
    key = sort.removeprefix("-")
    names = _Names(name, name_exact, signatures and matching.signed is None)
    walked_to = ""
    if not matching.is_any:
        ids, walked_to = tag_filters.ids(
            matching,
            repository_id,
            lambda marker, count: _some(
                _List(repository_id, key, descending, names), marker, count, matching.columns
            ),
            marker,
            limit + 1,
        )
        shown, more = _fitting(_in_order(ids), limit)
        if len(shown) < len(ids):
            walked_to = ""
        more = more or bool(walked_to)
    elif key == _BY_PULL:
        wanted = Wanted(repository_id, limit + 1, descending, marker, *names)
        shown, more = _fitting(_in_order(tags_by_pull.ids(wanted)), limit)
    else:
        found = _behind(repository_id, key, descending, marker, names)
        shown, more = _fitting(_read(found, limit + 1), limit)
    if backwards:
        return TagPage(shown[::-1], more, True, is_backwards=True, walked_to=walked_to)
    return TagPage(shown, bool(last), more, walked_to=walked_to)


def _behind(
    repository_id: int, key: str, descending: bool, marker: str, names: _Names
) -> QuerySet[Tag]:
    """The tags behind `marker`, or all, in an order that a column has."""
    found = _named(repository_id, names)
    columns = _COLUMNS[key]
    if marker:
        found = found.filter(_beyond(repository_id, marker, columns, descending))
    sign = "-" if descending else ""
    return found.order_by(*(sign + column for column in columns))


def _some(
    listed: _List, marker: str, count: int, columns: Sequence[str | Cast]
) -> list[tuple[Any, ...]]:
    """The next `count` tags in any order: their ids and these columns."""
    repository_id, key, descending, names = listed
    if key != _BY_PULL:
        found = _behind(repository_id, key, descending, marker, names)
        return list(found.values_list("pk", *columns)[:count])
    ids = tags_by_pull.ids(Wanted(repository_id, count, descending, marker, *names))
    rows = {row[0]: row for row in Tag.objects.filter(pk__in=ids).values_list("pk", *columns)}
    return [rows[pk] for pk in ids if pk in rows]


def _named(repository_id: int, names: _Names) -> QuerySet[Tag]:
    found = Tag.objects.filter(repository_id=repository_id, ended_at=None)
    if names.exact:
        found = found.filter(name=names.exact)
    if names.part:
        # Not LIKE, which SQLite matches in any case. Tags that differ in case are different tags.
        found = found.alias(found_at=StrIndex("name", Value(names.part))).filter(found_at__gt=0)
    return found if names.signatures else tags.without_signatures(found)


def _read(ordered: QuerySet[Tag], count: int) -> Iterator[Tag]:
    """The first `count` tags with their manifests. Of many only as many are read as are taken."""
    if count <= _READ + 1:
        yield from _with_manifests(ordered)[:count]
        return
    yield from _in_order(list(ordered.values_list("pk", flat=True)[:count]))


def _in_order(ids: Sequence[int]) -> Iterator[Tag]:
    """The tags with these ids, a part of them at a time."""
    for start in range(0, len(ids), _READ):
        some = ids[start : start + _READ]
        rows = _with_manifests(Tag.objects.all()).in_bulk(some)
        yield from (rows[pk] for pk in some if pk in rows)


def _with_manifests(tags: QuerySet[Tag]) -> QuerySet[Tag]:
    return tags.select_related("manifest__pulled").defer("manifest__payload")


def _fitting(rows: Iterable[Tag], limit: int) -> tuple[list[TagDetails], bool]:
    """The first of `rows`, at most `limit` and not too much to tell; whether there are more."""
    found: list[TagDetails] = []
    left = _MAX_PLATFORMS
    for tag in rows:
        details = _details(tag)
        left -= len(details.platforms)
        if len(found) == limit or (found and left < 0):
            return found, True
        found.append(details)
    return found, False


def find(repository_id: int, name: str) -> TagDetails:
    """One tag. Raises MANIFEST_UNKNOWN."""
    found = find_open(repository_id, name)
    if found is None:
        raise RegistryError(Code.MANIFEST_UNKNOWN, tag=name)
    return found


def find_open(repository_id: int, name: str) -> TagDetails | None:
    """One tag, None where there is no such tag now."""
    tags = Tag.objects.filter(repository_id=repository_id, name=name, ended_at=None)
    found = _with_manifests(tags).first()
    return _details(found) if found else None


def with_referrers(
    repository_id: int, tags: Iterable[TagDetails], artifact_types: Sequence[str] | None
) -> Iterator[tuple[TagDetails, list[Referrer]]]:
    """Each tag with what refers to it, as `referrers` tells; with nothing where no types are given.

    Asked for a few at a time, so that nobody waits for what is left out in the end.
    """
    waiting = list(tags)
    for start in range(0, len(waiting), _REFERRED):
        some = waiting[start : start + _REFERRED]
        found: dict[str, list[Referrer]] = {}
        if artifact_types is not None:
            found = referrers(repository_id, [tag.digest for tag in some], artifact_types)
        for tag in some:
            yield tag, found.get(tag.digest, [])


def referrers(
    repository_id: int, digests: Iterable[str], artifact_types: Sequence[str] = ()
) -> dict[str, list[Referrer]]:
    """What refers to the manifests `digests`: at most `MAX_REFERRERS` each, in order of digest.

    Of these artifact types alone where some are given. A query for all of them.
    """
    subjects = list(dict.fromkeys(digests))
    found: dict[str, list[Referrer]] = defaultdict(list)
    for start in range(0, len(subjects), _BATCH):
        rows = Manifest.objects.filter(
            repository_id=repository_id,
            subject_digest__in=subjects[start : start + _BATCH],
            deleted_at=None,
        )
        if artifact_types:
            rows = rows.filter(artifact_type__in=artifact_types)
        number = Window(RowNumber(), partition_by=F("subject_digest"), order_by="digest")
        rows = rows.alias(number=number).filter(number__lte=MAX_REFERRERS)
        for subject, digest, artifact_type in rows.order_by("subject_digest", "digest").values_list(
            "subject_digest", "digest", "artifact_type"
        ):
            found[str(subject)].append(Referrer(digest, artifact_type))
    return found


def _beyond(repository_id: int, marker: str, columns: Sequence[str], descending: bool) -> Q:
    """What lies behind the tag `marker` in the order; a marker that has gone keeps its position."""
    side = "lt" if descending else "gt"
    if columns == ("name",):
        return Q(**{f"name__{side}": marker})
    column, tie = columns
    position = _position(repository_id, marker, columns)
    if position is None:
        return Q()
    beyond: dict[str, Any] = {f"{column}__{side}": position[0]}
    ties: dict[str, Any] = {column: position[0], f"{tie}__{side}": position[1]}
    # The first condition says nothing new: it is what lets the index begin at the position.
    start: dict[str, Any] = {f"{column}__{side}e": position[0]}
    return Q(**start) & (Q(**beyond) | Q(**ties))


def _position(repository_id: int, marker: str, columns: Sequence[str]) -> tuple[Any, ...] | None:
    """Where the tag `marker` stands; None where nobody knows."""
    if columns[0] == "sort_key":
        return sort_key(marker), marker
    past = Tag.objects.filter(repository_id=repository_id, name=marker).order_by("-pk")
    return past.values_list(*columns).first()


def _details(tag: Tag) -> TagDetails:
    manifest = tag.manifest
    assert manifest is not None
    return TagDetails(
        name=tag.name,
        digest=manifest.digest,
        config_digest=manifest.config_digest,
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        size=tag.size,
        created_at=manifest.image_created_at,
        published_at=tag.started_at,
        published_by=tag.started_by,
        platforms=manifest.platforms,
        pulled=_pulled(manifest),
        restored_at=tag.restored_at,
        restored_by=tag.restored_by or "",
    )


def _pulled(manifest: Manifest) -> Pulled:
    if not hasattr(manifest, "pulled"):
        return NEVER
    return Pulled(manifest.pulled.pulls, manifest.pulled.last_at)
