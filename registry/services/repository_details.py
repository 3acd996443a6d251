"""What a repository holds, in numbers: for GitLab's pages, never on the path of a pull."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Max, QuerySet

from registry.models import Repository, Tag
from registry.services import database, pull_details, repositories, tags
from registry.services.garbage.holding import LIVE_BLOB
from registry.services.pull_details import Pulled

MAX_BLOBS = 500_000
"""More blobs are not added up: they have no size."""

_HELD_BLOBS = f"""
SELECT COUNT(*), COALESCE(SUM(held.size), 0) FROM (
    SELECT DISTINCT b.id, b.size FROM registry_repository r
    JOIN registry_repositoryblob l ON l.repository_id = r.id
    JOIN registry_blob b ON b.id = l.blob_id
    WHERE {{condition}} AND r.closed_at IS NULL AND {LIVE_BLOB} LIMIT %s
) held
"""

_BELOW = """
SELECT r.* FROM registry_repository r
WHERE r.closed_at IS NULL AND r.name {after} %s AND r.name < %s AND (r.name = %s OR r.name > %s)
AND EXISTS (SELECT 1 FROM registry_tag t WHERE t.repository_id = r.id AND t.ended_at IS NULL)
ORDER BY r.name LIMIT %s
"""


_ANY_BELOW = """
SELECT 1 FROM registry_repository r
WHERE r.closed_at IS NULL AND r.name > %s AND r.name < %s LIMIT 1
"""


@dataclass(frozen=True)
class RepositoryDetails:
    """`size` in bytes, each blob counted once; None where it was not asked for, or where there are
    more than `MAX_BLOBS`. `pulled` has the pulls of the last 30 days, `pull_tag` is a tag that is
    there, "" where there is none. `signatures` of the tags are those by which cosign finds what
    belongs to an image.
    """

    id: int
    name: str
    created_at: dt.datetime
    updated_at: dt.datetime
    published_at: dt.datetime | None
    tags: int
    collect_untagged: bool
    size: int | None
    pulled: Pulled
    pull_tag: str = ""
    signatures: int = 0


def size_below(name: str) -> int | None:
    """Bytes of the blobs of what is below `name`, where there is no repository of that name itself.

    None where there is one, or nothing below it, or more than `MAX_BLOBS`. A project without an
    image of its own has a size all the same.
    """
    if repositories.find_id(name) is not None:
        return None
    if database.one(_ANY_BELOW, [f"{name}/", f"{name}0"]) is None:
        return None
    return held_bytes(name, descendants=True)


def find(name: str, *, size: str | None) -> RepositoryDetails:
    """The details of `name`; `size` is None, ``self`` or ``self_with_descendants``.

    Raises NAME_UNKNOWN.
    """
    repository = repositories.get(name)
    open_tags = Tag.objects.filter(repository_id=repository.pk, ended_at=None)
    published = open_tags.aggregate(Max("started_at"))["started_at__max"]
    total = None if size is None else held_bytes(name, descendants=size != "self")
    return RepositoryDetails(
        id=repository.pk,
        name=repository.name,
        created_at=repository.created_at,
        updated_at=published or repository.updated_at,
        published_at=published,
        pull_tag=_tag_to_pull(tags.without_signatures(open_tags)),
        signatures=tags.only_signatures(open_tags).count(),
        tags=open_tags.count(),
        collect_untagged=repository.collect_untagged,
        size=total,
        pulled=pull_details.of_repository(repository.pk),
    )


def _tag_to_pull(open_tags: QuerySet[Tag]) -> str:
    """``latest``, where there is one, else the tag that was pushed last; "" without any."""
    if open_tags.filter(name="latest").exists():
        return "latest"
    newest = open_tags.order_by("-started_at", "-pk").values_list("name", flat=True)
    return newest.first() or ""


def held_bytes(name: str, *, descendants: bool) -> int | None:
    """Bytes of the blobs that manifests of `name` refer to, each counted once.

    None where there are more than `MAX_BLOBS`.
    """
    condition, names = "r.name = %s", [name]
    if descendants:
        # "0" is the character after "/": a range of the index holds all names below.
        condition, names = (
            "(r.name = %s OR (r.name > %s AND r.name < %s))",
            [name, f"{name}/", f"{name}0"],
        )
    sql = _HELD_BLOBS.format(condition=condition)
    blobs, size = database.one(sql, [*names, MAX_BLOBS + 1]) or (0, 0)
    return int(size) if blobs <= MAX_BLOBS else None


def below(path: str, last: str, limit: int) -> list[Repository]:
    """The repositories at and below `path` that have a tag, in order of name, after `last`.

    One more than `limit` where there are more.
    """
    # One range of the index holds the path and all below it; what else lies in it (``path-x``) is
    # left out by the second condition.
    start = max(path, last)
    sql = _BELOW.format(after=">" if last >= path else ">=")
    rows = Repository.objects.raw(sql, [start, f"{path}0", path, f"{path}/", limit + 1])
    return list(rows)
