"""The names of all repositories that hold something."""

from __future__ import annotations

from registry.services import database

# What a broken push has opened and left empty is no repository to anybody.
_PAGE = """
SELECT r.name FROM registry_repository r
WHERE r.closed_at IS NULL AND r.name > %s
AND EXISTS (SELECT 1 FROM registry_manifest m WHERE m.repository_id = r.id)
ORDER BY r.name LIMIT %s
"""


def page(last: str, limit: int) -> list[str]:
    """The names after `last` in byte order, one more than `limit` where there are more."""
    return database.names(_PAGE, [last, limit + 1])
