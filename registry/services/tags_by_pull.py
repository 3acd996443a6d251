"""Tags in the order in which what they point at was pulled last; what never was has its own place.

Ascending come first those that nobody has pulled since counting began, by name, then the others
from the longest ago to the latest; descending is the reverse. The index of last pulls gives the
order, so that a page costs what it shows, and the tags' own rows are not written at each pull.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connections

from registry.models import Tag
from registry.services import database
from registry.services.tags import NO_SIGNATURE

# CROSS JOIN, so that SQLite walks along the index of last pulls whatever it knows of the tables.
_PULLED = """
SELECT t.id FROM registry_manifestpulls p CROSS JOIN registry_tag t
WHERE p.repository_id = %s AND t.manifest_id = p.manifest_id AND t.ended_at IS NULL {more}
ORDER BY p.last_at {direction}, t.id {direction} LIMIT %s
"""
_NEVER = """
SELECT t.id FROM registry_tag t
WHERE t.repository_id = %s AND t.ended_at IS NULL
AND NOT EXISTS (SELECT 1 FROM registry_manifestpulls p WHERE p.manifest_id = t.manifest_id) {more}
ORDER BY t.name {direction} LIMIT %s
"""
_Condition = tuple[str, list[object]]


@dataclass(frozen=True)
class Wanted:
    """Which tags: up to `count` of a repository, behind the tag `marker` where one is given.

    Those whose name contains `name`, and is `name_exact`, where these are given; without
    `signatures`, none by which cosign finds what belongs to an image.
    """

    repository_id: int
    count: int
    descending: bool
    marker: str = ""
    name: str = ""
    name_exact: str = ""
    signatures: bool = True


def ids(wanted: Wanted) -> list[int]:
    """The ids of the tags, in their order.

    A marker stands where it does now: if it was pulled since the page before, it has moved.
    """
    marker = _marker(wanted)
    found: list[int] = []
    for pulled in (True, False) if wanted.descending else (False, True):
        beyond: _Condition = ("", [])
        if marker is not None:
            if _is_pulled(marker) != pulled:
                continue
            beyond, marker = _beyond(marker, wanted.descending), None
        found += _some(wanted, pulled, beyond, wanted.count - len(found))
        if len(found) == wanted.count:
            break
    return found


def _marker(wanted: Wanted) -> Tag | None:
    """The last interval of the tag of that name, with the last pull; one that has gone has none."""
    if not wanted.marker:
        return None
    found = Tag.objects.filter(repository_id=wanted.repository_id, name=wanted.marker)
    return found.select_related("manifest__pulled").defer("manifest__payload").last()


def _is_pulled(tag: Tag) -> bool:
    return hasattr(tag.manifest, "pulled")


def _beyond(marker: Tag, descending: bool) -> _Condition:
    side = "<" if descending else ">"
    if not _is_pulled(marker):
        return f"AND t.name {side} %s", [marker.name]
    at = marker.manifest.pulled.last_at  # type: ignore[union-attr]
    # The first condition says nothing new: it is what lets the index begin at the position.
    return f"AND p.last_at {side}= %s AND (p.last_at {side} %s OR t.id {side} %s)", [
        at,
        at,
        marker.pk,
    ]


def _some(wanted: Wanted, pulled: bool, beyond: _Condition, count: int) -> list[int]:
    conditions = [beyond, *_names(wanted)]
    sql = (_PULLED if pulled else _NEVER).format(
        more=" ".join(text for text, _ in conditions),
        direction="DESC" if wanted.descending else "ASC",
    )
    values: Sequence[object] = [value for _, some in conditions for value in some]
    return [row[0] for row in database.rows(sql, [wanted.repository_id, *values, count])]


def _names(wanted: Wanted) -> list[_Condition]:
    found: list[_Condition] = []
    if wanted.name_exact:
        found.append(("AND t.name = %s", [wanted.name_exact]))
    if not wanted.signatures:
        found.append((f"AND {NO_SIGNATURE}", []))
    if wanted.name:
        # Not LIKE, which SQLite matches in any case.
        postgresql = connections[database.ALIAS].vendor == "postgresql"
        found.append((f"AND {'strpos' if postgresql else 'instr'}(t.name, %s) > 0", [wanted.name]))
    return found
