"""Lists come in the order of an index: nothing is sorted, and a page costs what it shows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.gitlab.api.conftest import Api, ApiClient

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

# The images of a group are sorted: those of its projects alone, and not a walk over all.
LISTS = [
    *(
        f"projects?order_by={order}"
        for order in ("id", "name", "path", "created_at", "updated_at", "last_activity_at")
    ),
    "projects",
    *(f"groups?all_available=true&order_by={order}" for order in ("id", "name", "path")),
    "groups/acme/subgroups",
    "groups/acme/descendant_groups",
    "groups/acme/projects",
    "groups/acme/projects?include_subgroups=true",
    "namespaces",
    *(f"users?order_by={order}" for order in ("id", "name", "username", "created_at")),
    "personal_access_tokens",
    "personal_access_tokens?sort=name_asc",
    "audit_events",
    "broadcast_messages",
    "audit_events?entity_type=Project&entity_id=1",
    "projects/acme%2Fapp/audit_events",
    "projects/acme%2Fapp/registry/repositories",
    "runners",
    "projects/acme%2Fapp/runners",
    "projects/acme%2Fapp/jobs",
    "projects/acme%2Fapp/job_token_scope/allowlist",
    "projects/acme%2Fapp/transfer_locations",
    "projects/acme%2Fapp/users",
    "projects/acme%2Fapp/groups",
    "groups/acme/transfer_locations",
    "users/root/memberships",
    "projects/acme%2Fapp/members",
    "projects/acme%2Fapp/members/all",
]


def plans(client: ApiClient, path: str) -> list[str]:
    """How SQLite finds the rows of the page."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200, answer.content
    pages = [
        query["sql"]
        for query in queries.captured_queries
        if "ORDER BY" in query["sql"] and "LIMIT 21" in query["sql"]
    ]
    assert len(pages) == 1, pages
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {pages[0]}")
        return [row[3] for row in cursor.fetchall()]


@pytest.mark.parametrize("keyset", [False, True])
@pytest.mark.parametrize("path", LISTS)
def test_nothing_is_sorted(
    api: Api, root: Any, app: Any, web: Any, path: str, keyset: bool
) -> None:
    question = f"{path}{'&' if '?' in path else '?'}pagination=keyset" if keyset else path
    found = plans(api(root), question)
    assert not [step for step in found if "TEMP B-TREE FOR ORDER BY" in step], found
