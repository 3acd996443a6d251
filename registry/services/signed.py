"""Which manifests are signed: by something that refers to them, or by a tag of cosign's.

Whose signature it is, and whether it holds, is not asked here.
"""

from __future__ import annotations

from collections.abc import Iterable

from registry.services import database, tags
from tokens.signature_types import SIGNATURE_TYPES

# Each is looked up in an index, and one that is found is enough: anybody who may push may let
# thousands of signatures refer to one image. Not EXISTS, for which PostgreSQL reads all manifests
# and tags of the repository where it knows too little of the tables, or they are few.
_SIGNED = """
WITH asked(digest, tag) AS (VALUES {pairs})
SELECT digest FROM asked WHERE (
SELECT 1 FROM registry_manifest m WHERE m.repository_id = %s AND m.subject_digest = asked.digest
AND m.artifact_type IN ({types}) AND m.deleted_at IS NULL LIMIT 1
) IS NOT NULL OR (
SELECT 1 FROM registry_tag t WHERE t.repository_id = %s AND t.name = asked.tag
AND t.ended_at IS NULL LIMIT 1
) IS NOT NULL
"""
_AT_ONCE = 300
"""Digests in a query."""


def among(repository_id: int, digests: Iterable[str]) -> set[str]:
    """Those of the manifests `digests` that are signed."""
    asked = list(dict.fromkeys(digests))
    types = ", ".join(["%s"] * len(SIGNATURE_TYPES))
    found: set[str] = set()
    for start in range(0, len(asked), _AT_ONCE):
        some = asked[start : start + _AT_ONCE]
        sql = _SIGNED.format(pairs=", ".join(["(%s, %s)"] * len(some)), types=types)
        values = [text for digest in some for text in (digest, tags.of_signature(digest))]
        found |= set(
            database.column(sql, [*values, repository_id, *SIGNATURE_TYPES, repository_id])
        )
    return found
