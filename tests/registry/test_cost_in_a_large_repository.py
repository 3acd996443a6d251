"""What a request reads in a repository that holds far more than an average one.

PostgreSQL plans for the average, and keeps its plan. A plan that finds a repository's rows first
and then looks for the one that was meant reads all of them here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connections

from registry import media_types
from registry.models import (
    Blob,
    Manifest,
    Repository,
    RepositoryBlob,
    Review,
    Tag,
    UploadSession,
)
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import digests
from tokens.access import Access

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(databases=["registry"])]

OTHER = "acme/other"
MANY = 2000
MOST = 100
"""Rows of a table that one request may read; the figure is far from both sides."""

_READ = """
SELECT relname, seq_tup_read, coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
"""


def fill(repositories: Sequence[Repository], many: int) -> None:
    """Let each of some repositories have `many` of everything that belongs to one."""
    each = [(repository, number) for repository in repositories for number in range(many)]
    names = [digests.of(f"{repository.name} {number}".encode()) for repository, number in each]
    blobs = Blob.objects.bulk_create(Blob(digest=name, size=1) for name in names)
    rights = RepositoryBlob.objects.bulk_create(
        RepositoryBlob(repository=repository, blob=blob)
        for (repository, _), blob in zip(each, blobs, strict=True)
    )
    Review.objects.bulk_create(
        Review(kind=Review.Kind.LINK, target=right.pk, reason="test", due_at=right.created_at)
        for right in rights
    )
    manifests = Manifest.objects.bulk_create(
        Manifest(
            repository=repository,
            digest=name,
            media_type="a/b",
            payload=b"{}",
            size=2,
            content_size=2,
        )
        for (repository, _), name in zip(each, names, strict=True)
    )
    Tag.objects.bulk_create(
        Tag(
            repository=repository,
            name=f"seed-{number}",
            manifest=manifest,
            digest=manifest.digest,
            size=2,
        )
        for (repository, number), manifest in zip(each, manifests, strict=True)
    )
    UploadSession.objects.bulk_create(
        UploadSession(repository=repository, expires_at=repository.created_at)
        for repository, _ in each
    )


@pytest.fixture
def read_few() -> Callable[[Callable[[], Any]], None]:
    """Something that reads few rows of each table."""
    connection = connections["registry"]

    def read() -> Counter[str]:
        found = connection.rows(_READ, [])  # type: ignore[attr-defined]
        return Counter(
            {
                f"{table}, {how}": n
                for table, *ns in found
                for how, n in zip(("walked", "by index"), ns, strict=True)
            }
        )

    def check(act: Callable[[], Any]) -> None:
        before = read()
        response = act()
        assert response.status_code < 300, response.content
        assert {where: n for where, n in (read() - before).items() if n >= MOST} == {}

    return check


@pytest.fixture
def large() -> None:
    """Two repositories with `MANY` of everything among as many with one of each."""
    Repository.objects.bulk_create(Repository(name=f"acme/{number:04}") for number in range(MANY))
    fill(list(Repository.objects.all()), 1)
    for name in (APP, OTHER):
        images.push_blob(name, b"first")
    fill(list(Repository.objects.filter(name__in=(APP, OTHER))), MANY)
    with connections["registry"].cursor() as cursor:
        cursor.execute("ANALYZE")


@pytest.mark.usefixtures("large")
def test_a_small_image(alice: Person, read_few: Any) -> None:
    uploads = f"/v2/{APP}/blobs/uploads/"
    answers: list[Any] = []

    def send(*arguments: Any, **options: Any) -> Callable[[], Any]:
        def act() -> Any:
            answers.append(alice.send(*arguments, **options))
            return answers[-1]

        return act

    read_few(send("POST", uploads))
    read_few(send("PATCH", answers[-1]["Location"], b"{}"))
    finish = f"{answers[-1]['Location']}&digest={digests.of(b'{}')}"
    read_few(send("PUT", finish))
    digest = images.push_blob(OTHER, b"layer")
    mount = f"{uploads}?mount={digest}&from={OTHER}"
    also = (Access.repository(OTHER, "pull"),)
    read_few(send("POST", mount, also=also))

    payload = json.dumps(images.document(b"{}", [b"layer"])).encode()
    tag = f"/v2/{APP}/manifests/v1"
    put = send("PUT", tag, payload, content_type=media_types.OCI_MANIFEST)
    read_few(put)
    read_few(put)
    for path in (
        tag,
        f"/v2/{APP}/manifests/{digests.of(payload)}",
        f"/v2/{APP}/blobs/{digest}",
        f"/v2/{APP}/tags/list?n=10",
        f"/v2/{APP}/referrers/{digest}",
    ):
        read_few(send("GET", path))
    for path in (tag, f"/v2/{APP}/manifests/{digests.of(payload)}", f"/v2/{APP}/blobs/{digest}"):
        read_few(send("DELETE", path))
