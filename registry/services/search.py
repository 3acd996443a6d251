"""Tags and digests that begin as somebody types, in the repositories that the asker names.

Each repository is one step down an index, so a search costs what it names, however many tags there
are: the million that nobody named are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from registry.services import database

MAX_REPOSITORIES = 1000
"""That one search names."""

MOST = 20
"""Tags or manifests that it finds."""

MIN_DIGEST = 12
"""Hexadecimal characters that a part of a digest has at least."""

_AT_ONCE = 250
_END = "\x7f"
"""Behind every character that a tag or a digest may have."""

_IDS = "SELECT name, id FROM registry_repository WHERE closed_at IS NULL AND name IN ({})"
_TAGS = """
SELECT repository_id, name, digest FROM registry_tag
WHERE repository_id IN ({}) AND ended_at IS NULL AND name >= %s AND name < %s LIMIT %s
"""
_MANIFESTS = """
SELECT repository_id, digest FROM registry_manifest
WHERE repository_id IN ({}) AND deleted_at IS NULL AND digest >= %s AND digest < %s LIMIT %s
"""


class Found(NamedTuple):
    """A tag with what it points at; a manifest has no `tag`."""

    repository: str
    tag: str
    digest: str


def tags(repositories: Sequence[str], beginning: str, most: int = MOST) -> list[Found]:
    """Up to `most` tags that begin so; those of repositories named first come first."""
    found: list[Found] = []
    for some in _ids(repositories):
        rows = database.rows(_TAGS.format(_marks(some)), [*some, beginning, beginning + _END, most])
        found += _in_order([Found(some[pk], tag, digest) for pk, tag, digest in rows], some)
        if len(found) >= most:
            break
    return found[:most]


def manifests(repositories: Sequence[str], beginning: str, most: int = MOST) -> list[Found]:
    """Up to `most` manifests whose digest begins so (``sha256:0123…``)."""
    found: list[Found] = []
    for some in _ids(repositories):
        rows = database.rows(
            _MANIFESTS.format(_marks(some)), [*some, beginning, beginning + _END, most]
        )
        found += _in_order([Found(some[pk], "", digest) for pk, digest in rows], some)
        if len(found) >= most:
            break
    return found[:most]


def _ids(repositories: Sequence[str]) -> list[dict[int, str]]:
    """The names by id, those that are there, a part of them at a time, in the order given."""
    wanted = list(dict.fromkeys(repositories))[:MAX_REPOSITORIES]
    parts = []
    for start in range(0, len(wanted), _AT_ONCE):
        names = wanted[start : start + _AT_ONCE]
        ids = dict(database.rows(_IDS.format(_marks(names)), names))
        there = {ids[name]: name for name in names if name in ids}
        if there:
            parts.append(there)
    return parts


def _marks(values: Sequence[str] | dict[int, str]) -> str:
    return ", ".join(["%s"] * len(values))


def _in_order(found: list[Found], names: dict[int, str]) -> list[Found]:
    places = {name: place for place, name in enumerate(names.values())}
    return sorted(found, key=lambda each: (places[each.repository], each.tag, each.digest))
