"""What the tests of the console's lists have in common: what is done, measures, a page's cost."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Namespace, Project
from gitlab.storage.models import Measure


def do(client: Client, address: str, key: str, *names: str) -> str:
    """Have something done to the rows of a list, which is confirmed; the page that says so."""
    given = {"selected": names, "confirmed": "yes"}
    answer = client.post(f"{address}-/{key}", given, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def queries(client: Client, address: str) -> list[str]:
    """What is asked of the database for a page."""
    with CaptureQueriesContext(connection) as captured:
        assert client.get(address).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


def steps(client: Client, address: str) -> list[str]:
    """How SQLite finds the rows of a page."""
    pages = [sql for sql in queries(client, address) if "LIMIT 51" in sql]
    assert len(pages) == 1, pages
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {pages[0]}")
        return [row[3] for row in cursor.fetchall()]


def measure(of: Any, size: int, **columns: Any) -> Measure:
    """What was measured of a group, a project or an image."""
    columns_of = {ContainerRepository: "repository", Project: "project", Namespace: "namespace"}
    column = columns_of[type(of)]
    given = {"measured_at": timezone.now(), column: of, "size_bytes": size}
    return Measure.objects.create(**given | columns)
