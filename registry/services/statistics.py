"""How much is stored below a path, and how much of it nothing else needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.services import database
from registry.services.garbage.holding import LIVE_BLOB
from registry.visible import EVERYTHING, Visible

MAX_BLOBS = 200_000
"""More blobs of one path are not counted: the answer then says that it is the least."""

# Range and equality are two lookups in the index of open names. The right of another repository
# is looked for through the index of blobs, and the first one ends the search.
_HERE = """
SELECT id FROM registry_repository WHERE closed_at IS NULL AND name = %s
UNION ALL
SELECT id FROM registry_repository WHERE closed_at IS NULL AND name > %s AND name < %s
"""
_ONE = "SELECT id FROM registry_repository WHERE id = %s"
_BLOBS = f"""
WITH here AS ({{here}}), held AS (
    SELECT DISTINCT l.blob_id FROM here
    JOIN registry_repositoryblob l ON l.repository_id = here.id
    JOIN registry_blob b ON b.id = l.blob_id
    WHERE {LIVE_BLOB} LIMIT %s
)
SELECT COUNT(*), COALESCE(SUM(size), 0), COALESCE(SUM(CASE WHEN elsewhere THEN size END), 0) FROM (
    SELECT b.size AS size, EXISTS (
        SELECT 1 FROM registry_repositoryblob o
        JOIN registry_repository r ON r.id = o.repository_id AND r.closed_at IS NULL
        WHERE o.blob_id = b.id AND o.repository_id NOT IN (SELECT id FROM here) AND {{visible}}
    ) AS elsewhere
    FROM held JOIN registry_blob b ON b.id = held.blob_id
) counted
"""
_COUNTS = f"""
WITH here AS ({_HERE})
SELECT
    (SELECT COUNT(*) FROM here WHERE EXISTS (
        SELECT 1 FROM registry_manifest m WHERE m.repository_id = here.id)),
    (SELECT COUNT(*) FROM here JOIN registry_tag t
        ON t.repository_id = here.id AND t.ended_at IS NULL),
    (SELECT COUNT(*) FROM here JOIN registry_manifest m
        ON m.repository_id = here.id AND m.deleted_at IS NULL),
    (SELECT COUNT(*) FROM here JOIN registry_tag t
        ON t.repository_id = here.id AND t.ended_at IS NULL
        WHERE NOT EXISTS (
            SELECT 1 FROM registry_manifestpulls p WHERE p.manifest_id = t.manifest_id))
"""


@dataclass(frozen=True)
class Statistics:
    """What is at and below a path. Each blob counts once.

    `alone` bytes are of blobs that no repository elsewhere may serve, `shared` ones of the others.
    Where there are more than `MAX_BLOBS`, `is_exact` is false and the bytes are the least.
    `never_pulled` tags point at what nobody has pulled since counting began.
    """

    path: str
    repositories: int
    tags: int
    never_pulled: int
    manifests: int
    blobs: int
    alone: int
    shared: int
    is_exact: bool

    @property
    def size(self) -> int:
        """All bytes."""
        return self.alone + self.shared


@dataclass(frozen=True)
class Held:
    """How many blobs manifests hold, the bytes of all of them, and those that are elsewhere too."""

    blobs: int
    size: int
    shared: int
    is_exact: bool


def of(path: str, visible: Visible = EVERYTHING, *, max_blobs: int = MAX_BLOBS) -> Statistics:
    """The statistics of `path`, in two queries; zeros where nothing is there.

    What is elsewhere counts as far as it is `visible`.
    """
    where = [path, f"{path}/", f"{path}0"]
    repositories, tags, manifests, never = database.one(_COUNTS, where) or (0, 0, 0, 0)
    held = _held(_HERE, where, visible, max_blobs)
    return Statistics(
        path=path,
        repositories=repositories,
        tags=tags,
        never_pulled=never,
        manifests=manifests,
        blobs=held.blobs,
        alone=held.size - held.shared,
        shared=held.shared,
        is_exact=held.is_exact,
    )


def held_by(repository_id: int, visible: Visible) -> Held:
    """What the manifests of one repository hold. What is elsewhere counts as far as `visible`."""
    return _held(_ONE, [repository_id], visible, MAX_BLOBS)


def _held(here: str, where: Sequence[object], visible: Visible, most: int) -> Held:
    condition, names = visible.condition("r.name")
    sql = _BLOBS.format(here=here, visible=condition)
    blobs, size, shared = database.one(sql, [*where, most + 1, *names]) or (0, 0, 0)
    return Held(min(blobs, most), int(size), int(shared), blobs <= most)
