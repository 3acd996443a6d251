"""Every list's page and every lookup uses an index, on both engines: the query plan says so."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry import digest as digests
from registry.actor import Actor
from registry.models import (
    DailyPulls,
    Manifest,
    ManifestPulls,
    RepositoryBlob,
    Review,
    Tag,
    UploadPart,
    UploadSession,
)
from registry.services import (
    blobs,
    catalog,
    database,
    events,
    exporting,
    manifests,
    pull_details,
    referrers,
    repositories,
    repository_details,
    retention,
    signed,
    statistics,
    tag_details,
    tags,
    tags_by_pull,
    upload_expiry,
    upload_parts,
    uploads,
)
from registry.services.garbage import holding, reviews
from registry.services.tag_filters import Filter

pytestmark = pytest.mark.django_db(databases=["registry"])
LARGE = "seed/large"
SMALL = "seed/000007"
BLOB_OF_SMALL = digests.of(b"blob 7")
ACTOR = Actor("bob")
_DERIVED = re.compile(
    r"SCAN (?:\(subquery-\d+\)|qualify|(?:\d+-ROW )?VALUES CLAUSE|(?:\d+ )?CONSTANT ROWS?"
    r"|here|held|counted|named|asked)$"
)
"""SQLite's words for walking over what another part of the query has found."""


@pytest.fixture
def seeded() -> int:
    """A registry of moderate size; the id of its largest repository."""
    call_command(
        "registry_seed", "--repositories=60", "--tags=400", "--blobs=300", stdout=StringIO()
    )
    with connections["registry"].cursor() as cursor:
        cursor.execute("ANALYZE")
        if connections["registry"].vendor == "postgresql":
            # So few rows are read faster without an index. Whether one could be used is asked here.
            cursor.execute("SET LOCAL enable_seqscan = off")
    return repositories.get_id(LARGE)


def plan_of(sql: str) -> str:
    """The plan of a query as the engine tells it."""
    vendor = connections["registry"].vendor
    explain = "EXPLAIN QUERY PLAN " if vendor == "sqlite" else "EXPLAIN "
    with connections["registry"].cursor() as cursor:
        cursor.execute(explain + sql.replace("%", "%%"), [])
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def assert_indexed(plan: str, sql: str) -> None:
    """No table is walked from its beginning to its end, and nothing is sorted that has an order."""
    for line in plan.splitlines():
        walks = line.startswith("SCAN ") and "USING" not in line and not _DERIVED.match(line)
        assert not walks, f"{line}\nin the plan of {sql}\n{plan}"
        if "_id_seq" not in line:  # A sequence is a table of one row.
            assert "Seq Scan" not in line, f"{line}\nin the plan of {sql}\n{plan}"


def late_token(_: int) -> None:
    """The question that a first push asks."""
    with database.atomic():
        repositories.hold_or_open("seed/new", Actor("bob", since=1.0))


def assert_ordered(plan: str) -> None:
    """An index gives the order: nothing is sorted, not even in part."""
    assert "TEMP B-TREE" not in plan, plan
    assert "Sort" not in plan, plan


QUERIES: dict[str, Callable[[int], object]] = {
    "manifest by tag": lambda _: manifests.find(LARGE, "v000399"),
    "manifest by digest": lambda _: manifests.find(LARGE, tag_details.find(_, "v000001").digest),
    "blob": lambda _: blobs.find(SMALL, BLOB_OF_SMALL),
    "tags, first page": lambda _: tags.page(LARGE, "", 20),
    "tags, last page": lambda _: tags.page(LARGE, "v000390", 20),
    "catalog, first page": lambda _: catalog.page("", 20),
    "catalog, middle": lambda _: catalog.page("seed/000030", 20),
    "tag details by name": lambda pk: tag_details.page(pk, limit=20, last="v000100"),
    "tag details backwards": lambda pk: tag_details.page(pk, limit=20, before="v000100"),
    "tag details by time": lambda pk: tag_details.page(
        pk, limit=20, last="v000100", sort="-published_at"
    ),
    "tag details by size": lambda pk: tag_details.page(
        pk, limit=20, last="v000100", sort="size_bytes"
    ),
    "tag details by size, backwards": lambda pk: tag_details.page(
        pk, limit=20, before="v000100", sort="-size_bytes"
    ),
    "tag details by version": lambda pk: tag_details.page(
        pk, limit=20, last="v000100", sort="version"
    ),
    "tag details by version, backwards": lambda pk: tag_details.page(
        pk, limit=20, before="v000100", sort="version"
    ),
    "tag details by age": lambda pk: tag_details.page(
        pk, limit=20, last="v000100", sort="-created_at"
    ),
    "tag details by platform": lambda pk: tag_details.page(
        pk, limit=20, matching=Filter("v.*7", "linux/arm64"), sort="-version"
    ),
    "tag details by signature": lambda pk: tag_details.page(
        pk, limit=20, matching=Filter(signed=True), sort="-published_at"
    ),
    "tag details, exact": lambda pk: tag_details.page(pk, limit=20, name_exact="v000100"),
    "referrers of tags": lambda pk: tag_details.referrers(pk, ["sha256:" + "0" * 64]),
    "pulls of a repository": pull_details.of_repository,
    "pulls by day": lambda pk: pull_details.by_day(pk, days=30),
    "pulls of a manifest": lambda pk: pull_details.by_day(pk, digest="sha256:0", days=30),
    "pulls by a tag": lambda pk: pull_details.by_day(pk, tag="v000001", days=30),
    "days that are over": lambda _: list(
        DailyPulls.objects.filter(day__lt=timezone.now().date()).order_by("day")[:10]
    ),
    "statistics": lambda _: statistics.of("seed"),
    "late tokens": late_token,
    "referrers": lambda _: referrers.page(LARGE, "sha256:" + "0" * 64, "", "", 20),
    "held manifests": lambda pk: list(
        Manifest.objects.filter(holding.held_manifests(), pk__in=[pk]).values_list("pk")
    ),
    "held rights": lambda pk: list(
        RepositoryBlob.objects.filter(holding.held_links(), pk__in=[pk]).values_list("pk")
    ),
    "what names a blob": lambda pk: list(holding.naming(pk, BLOB_OF_SMALL, 1)),
    "rights by digest": lambda pk: list(holding.links_of([(pk, BLOB_OF_SMALL)])),
    "a live index": lambda pk: holding.live_index_of(pk, tag_details.find(pk, "v000001").digest),
    "history": lambda pk: tags.history(pk, "v000001", 20),
    "below a path": lambda _: repository_details.below("seed", "", 20),
    "events": lambda _: events.after(0, 20),
    "history whose time is over": lambda _: retention._sweep_history(20),
    "exported history": lambda _: list(exporting.rows("tag-history", after=390))[:1],
    "upload session": lambda pk: uploads.find(LARGE, open_session(pk), ACTOR),
    "parts of an upload": lambda seeded: upload_parts.of(open_session(seeded)),
    "expired uploads": lambda _: upload_expiry.purge_expired(10),
    "next review": lambda _: reviews.next_due_at(),
    "due reviews": lambda _: list(
        Review.objects.filter(due_at__lte=timezone.now()).order_by("due_at", "id")[:1]
    ),
}


def open_session(repository_id: int) -> UploadSession:
    """A session of ACTOR."""
    session = UploadSession.objects.create(
        repository_id=repository_id,
        opened_by=ACTOR.name,
        offset=1,
        expires_at=timezone.now() + dt.timedelta(hours=1),
    )
    UploadPart.objects.create(session=session, offset=0, name="part", size=1, digest="sha256:0")
    return session


@pytest.mark.parametrize("name", QUERIES)
def test_it_uses_an_index(seeded: int, name: str) -> None:
    with CaptureQueriesContext(connections["registry"]) as captured:
        QUERIES[name](seeded)
    selects = [
        q["sql"]
        for q in captured.captured_queries
        if q["sql"].lstrip(" \n(").startswith(("SELECT", "WITH"))
    ]
    assert selects
    for sql in selects:
        assert_indexed(plan_of(sql), sql)


@pytest.mark.parametrize("sort", [s for s in tag_details.SORTS if "pulled" not in s])
@pytest.mark.parametrize("marker", ["", "last", "before"])
def test_a_page_of_tags_is_in_the_order_of_its_index(seeded: int, sort: str, marker: str) -> None:
    """And begins at its place: a page in the middle walks over no tags that it does not show."""
    with CaptureQueriesContext(connections["registry"]) as captured:
        options = {marker: "v000200"} if marker else {}
        tag_details.page(seeded, limit=20, sort=sort, **options)
    sql = captured.captured_queries[-1]["sql"]
    plan = plan_of(sql)
    assert_ordered(plan)
    column = {
        "name": "name",
        "version": "sort_key",
        "published_at": "started_at",
        "created_at": "dated_at",
        "size_bytes": "size",
    }[sort.removeprefix("-")]
    if marker:
        begins = rf"Index Cond: .*{column}|USING INDEX \w+ \(repository_id=\? AND {column}[<>]"
        assert re.search(begins, plan), plan


@pytest.mark.parametrize("sort", ["last_pulled_at", "-last_pulled_at"])
@pytest.mark.parametrize("marker", ["", "v000200", "v000201"])
def test_a_page_of_tags_by_last_pull_walks_along_the_last_pulls(
    seeded: int, sort: str, marker: str
) -> None:
    """And along the names of what nobody has pulled. Even tags are pulled, odd ones never."""
    for tag in Tag.objects.filter(repository_id=seeded, name__lt="v000400").order_by("pk")[::2]:
        ManifestPulls.objects.get_or_create(
            manifest_id=tag.manifest_id,
            defaults={"repository_id": seeded, "pulls": 1, "last_at": tag.started_at},
        )
    wanted = tags_by_pull.Wanted(seeded, 20, sort.startswith("-"), marker)
    with CaptureQueriesContext(connections["registry"]) as captured:
        assert tags_by_pull.ids(wanted)
    asked = [q["sql"] for q in captured.captured_queries if "manifestpulls p" in q["sql"]]
    assert asked
    for sql in asked:
        plan = plan_of(sql)
        assert_indexed(plan, sql)
        if "CROSS JOIN" in sql:
            assert "manifestpulls_last" in plan, plan
        elif connections["registry"].vendor == "sqlite":  # So few PostgreSQL likes to sort.
            assert_ordered(plan)


@pytest.mark.parametrize("count", [1, 50])
def test_pairs_are_looked_up_one_by_one(seeded: int, count: int) -> None:
    """However few there are beside all tags: a page of tags asks so for those of cosign."""
    pairs = [(seeded, digests.of(str(number).encode())) for number in range(count)]
    with CaptureQueriesContext(connections["registry"]) as captured:
        tags.signatures_of(pairs)
        database.ids_of_pairs("registry_manifest", "digest", pairs)
        database.ids_of_pairs("registry_manifest", "subject_digest", pairs)
    for query in captured.captured_queries[:1] + captured.captured_queries[-2:]:
        plan = plan_of(query["sql"])
        assert_indexed(plan, query["sql"])
        if connections["registry"].vendor == "sqlite":
            assert re.search(r"\(repository_id=\? AND \w+=\?", plan), plan


def test_what_lists_a_digest_is_found_by_its_digest(seeded: int) -> None:
    """And not by going through all that a repository's indexes list."""
    with CaptureQueriesContext(connections["registry"]) as captured:
        QUERIES["held manifests"](seeded)
    plan = plan_of(captured.captured_queries[-1]["sql"])
    assert re.search(
        r"manifestchild_digest \(repository_id=\? AND digest=\?\)|Index Cond: .*\(\(?digest\)?.* = ",
        plan,
    ), plan


def test_who_is_signed_is_looked_up_one_by_one(seeded: int) -> None:
    """And not by reading all manifests and tags of the repository first."""
    with CaptureQueriesContext(connections["registry"]) as captured:
        signed.among(seeded, [tag_details.find(seeded, "v000001").digest])
    sql = captured.captured_queries[-1]["sql"]
    plan = plan_of(sql)
    assert_indexed(plan, sql)
    assert "hashed" not in plan, plan
    assert re.search(r"manifest_referrers.*subject_digest|subject_digest.* = ", plan), plan
    assert re.search(r"repository_id=\? AND name=|Index Cond: .*name(?:\)::text)? = ", plan), plan


@pytest.mark.parametrize("name", ["manifest by tag", "blob"])
def test_a_pull_costs_one_query(seeded: int, name: str) -> None:
    with CaptureQueriesContext(connections["registry"]) as captured:
        QUERIES[name](seeded)
    assert len(captured) == 1
