"""Whose the bytes of an image are: what each tagged manifest holds alone among its tags."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from registry.models import Manifest, Tag
from registry.services import database, pull_details

MOST_MANIFESTS = 5000
"""Tagged manifests that are compared, those of the newest tags."""

MOST_ROWS = 200_000
"""References that are followed: of children, and of blobs."""

MAX_SHARES = 100
MAX_NAMES = 10
"""Tags that are named of one manifest."""

# An index holds what its children hold; what these list in turn counts for nobody.
_ALONE = """
WITH roots (id) AS (
    SELECT manifest_id FROM registry_tag WHERE repository_id = %s AND ended_at IS NULL
    GROUP BY manifest_id ORDER BY MAX(id) DESC LIMIT %s
), below (root, id) AS (
    SELECT roots.id, m.id FROM roots
    JOIN registry_manifestchild c ON c.parent_id = roots.id
    JOIN registry_manifest m ON m.repository_id = c.repository_id AND m.digest = c.digest
        AND m.deleted_at IS NULL
    LIMIT %s
), held (root, blob_id) AS (
    SELECT h.root, l.blob_id FROM (
        SELECT id AS root, id FROM roots UNION ALL SELECT root, id FROM below
    ) h
    JOIN registry_manifestblob u ON u.manifest_id = h.id
    JOIN registry_repositoryblob l ON l.id = u.link_id
    LIMIT %s
), alone (root, blob_id) AS (
    SELECT MIN(root), blob_id FROM held GROUP BY blob_id HAVING MIN(root) = MAX(root)
)
SELECT roots.id, COALESCE(SUM(b.size), 0),
    (SELECT COUNT(*) FROM roots), (SELECT COUNT(*) FROM below), (SELECT COUNT(*) FROM held)
FROM roots LEFT JOIN alone ON alone.root = roots.id LEFT JOIN registry_blob b ON b.id = alone.blob_id
GROUP BY roots.id ORDER BY 2 DESC, 1 DESC LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Share:
    """A manifest with tags: `size` is all that it refers to, `alone` what no other tagged one of
    the image does. `names` are up to `MAX_NAMES` of its `tags`, the latest first.
    """

    digest: str
    names: list[str]
    tags: int
    size: int
    alone: int
    published_at: dt.datetime
    pulled_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Shares:
    """Those who hold most alone. Where `is_exact` is false more was there than was compared."""

    shares: list[Share]
    is_exact: bool


def of(
    repository_id: int,
    limit: int,
    *,
    most_manifests: int = MOST_MANIFESTS,
    most_rows: int = MOST_ROWS,
) -> Shares:
    """The shares of up to `limit` manifests of a repository. Four queries."""
    rows = database.rows(_ALONE, [repository_id, most_manifests, most_rows, most_rows, limit])
    alone = {int(row[0]): int(row[1]) for row in rows}
    is_exact = not rows or (
        int(rows[0][2]) < most_manifests and max(int(rows[0][3]), int(rows[0][4])) < most_rows
    )
    details = Manifest.objects.filter(pk__in=alone).only("digest", "content_size").in_bulk()
    names, counts, pulled = _names(alone), _counts(alone), pull_details.of_manifests(alone)
    found = []
    for pk, size in alone.items():
        if pk not in details or not names[pk]:
            continue  # It has gone between two queries.
        found.append(
            Share(
                digest=details[pk].digest,
                names=[name for name, _ in names[pk]],
                tags=counts.get(pk, len(names[pk])),
                size=details[pk].content_size,
                alone=size,
                published_at=max(at for _, at in names[pk]),
                pulled_at=pulled[pk].last_at if pk in pulled else None,
            )
        )
    return Shares(found, is_exact)


def _names(ids: Iterable[int]) -> dict[int, list[tuple[str, dt.datetime]]]:
    """By id of a manifest its latest tags, and when each was pushed."""
    place = Window(RowNumber(), partition_by=F("manifest_id"), order_by=F("id").desc())
    rows = Tag.objects.filter(manifest_id__in=list(ids), ended_at=None).annotate(place=place)
    found: defaultdict[int, list[tuple[str, dt.datetime]]] = defaultdict(list)
    latest = rows.filter(place__lte=MAX_NAMES).order_by("-id")
    for pk, name, at in latest.values_list("manifest_id", "name", "started_at"):
        found[pk or 0].append((name, at))
    return found


def _counts(ids: Iterable[int]) -> dict[int, int]:
    rows = Tag.objects.filter(manifest_id__in=list(ids), ended_at=None).order_by()
    counted = rows.values("manifest_id").annotate(tags=Count("pk"))
    return {int(row["manifest_id"] or 0): int(row["tags"]) for row in counted}
