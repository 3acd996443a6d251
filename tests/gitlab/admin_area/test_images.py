"""Images in the console: the largest first, their deletions begun, kept, tried again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.admin_area.views import tables
from gitlab.audit.models import AuditEvent
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Project
from tests.gitlab.admin_area.lists import do, measure, queries, steps

pytestmark = pytest.mark.django_db

LIST = "/admin/images/"
MEBIBYTE = 1024**2
REASON = "UNSUPPORTED: <deletion> is off"


@pytest.fixture
def images(alice: Any, make_project: Any, make_image: Any) -> None:
    """Two that are measured, one that waits to be deleted, one whose deletion has failed."""
    app = make_project("acme/app", owner=alice)
    now = timezone.now()
    small = make_image("acme/app/web", of=app, last_published_at=now - dt.timedelta(days=3))
    large = make_image("acme/app", of=app)
    make_image("acme/app/old", of=app, status="delete_scheduled")
    make_image("acme/app/stuck", of=app, status="delete_failed", failure_reason=REASON)
    measure(small, 5 * MEBIBYTE, tags=3, pulled_at=now - dt.timedelta(hours=5))
    measure(large, 70 * MEBIBYTE, tags=1, is_exact=False)


def image(path: str) -> ContainerRepository:
    return ContainerRepository.objects.get(path=path)


def rows(console: Client, **query: str) -> list[Any]:
    answer = console.get(LIST, query)
    assert answer.status_code == 200
    return list(answer.context["rows"])


def listed(console: Client, **query: str) -> list[str]:
    return [row.image.path for row in rows(console, **query)]


def test_it_is_for_administrators(alice: Any) -> None:
    client = Client()
    client.force_login(alice)
    for address in (LIST, f"{LIST}-/delete?selected=acme/app"):
        assert client.get(address, follow=True).status_code == 403


def test_the_largest_first(console: Client, images: None) -> None:
    assert listed(console) == ["acme/app", "acme/app/web"]
    count = console.get(LIST).context["count_text"]
    assert count == "2 images by size, and 2 not measured yet"


def test_by_name_where_nothing_is_measured(
    console: Client, make_project: Any, make_image: Any
) -> None:
    """As with a registry that is not ours."""
    app = make_project("acme/app")
    for name in ("web", "api"):
        make_image(f"acme/app/{name}", of=app)
    assert listed(console) == ["acme/app/api", "acme/app/web"]
    assert console.get(LIST).context["count_text"] == "2 images"


def test_filters(console: Client, images: None) -> None:
    by_name = {"sort": "path"}
    assert listed(console, **by_name, state="live") == ["acme/app", "acme/app/web"]
    assert listed(console, **by_name, state="delete_failed") == ["acme/app/stuck"]
    assert listed(console, **by_name, q="OLD") == ["acme/app/old"]
    assert len(listed(console, **by_name, state="x")) == 4
    assert "No image matches." in console.get(LIST, {"q": "zz"}).content.decode()


def test_a_row(console: Client, images: None) -> None:
    row = next(row for row in rows(console) if row.image.name == "web")
    assert row.url == f"/acme/app/container_registry/{row.image.pk}"
    assert row.project_url == "/acme/app/container_registry"
    page = console.get(LIST, {"sort": "path"}).content.decode()
    for text in ("5.0 MiB", "at least", "3 days ago", "5 hours ago", "not yet", "just now"):
        assert text in page
    assert "UNSUPPORTED: &lt;deletion&gt; is off" in page


def test_of_a_project_that_is_being_deleted(console: Client, images: None) -> None:
    """No page is led to, and what has failed can still be tried again."""
    Project.objects.update(pending_delete_at=timezone.now())
    page = console.get(LIST, {"sort": "path"}).content.decode()
    assert 'href="/acme/app/container_registry' not in page
    assert "-/retry?selected=acme/app/stuck" in page
    assert "-/delete?selected=" not in page
    assert "Its project is being deleted." in do(console, LIST, "keep", "acme/app/stuck")


def test_pages(console: Client, images: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(tables, "SHOWN", 1)
    first = console.get(LIST)
    second = console.get(LIST + first.context["next_url"])
    assert [row.image.path for row in second.context["rows"]] == ["acme/app/web"]
    assert second.context["next_url"] == ""


def test_a_row_costs_no_query(console: Client, images: None, make_image: Any) -> None:
    queries(console, LIST)
    few = len(queries(console, LIST))
    app = Project.objects.get()
    for number in range(5):
        measure(make_image(f"acme/app/x{number}", of=app), number)
    assert len(queries(console, LIST)) == few


@pytest.mark.sqlite
@pytest.mark.parametrize("sort", ["path", "size", "-size"])
def test_nothing_is_sorted(console: Client, images: None, sort: str) -> None:
    found = steps(console, f"{LIST}?sort={sort}")
    assert not [step for step in found if "TEMP B-TREE" in step], found


def test_failed_deletions_are_tried_again(
    console: Client, root: Any, images: None, enqueued: Any
) -> None:
    told = do(console, LIST, "retry", "acme/app/stuck", "acme/app/web")
    assert "acme/app/stuck: queued again." in told
    assert "acme/app/web: Its deletion has not failed." in told
    assert image("acme/app/stuck").status == "delete_scheduled"
    event = AuditEvent.objects.get(action="container_repository.retry_deletion")
    assert event.actor == root


def test_what_waits_is_kept(console: Client, root: Any, images: None) -> None:
    told = do(console, LIST, "keep", "acme/app/old", "acme/app/web")
    assert "acme/app/old: kept." in told
    assert "acme/app/web: Nobody wants it deleted." in told
    assert image("acme/app/old").status is None
    assert AuditEvent.objects.get(action="container_repository.keep").actor == root


def test_delete(console: Client, root: Any, images: None, enqueued: Any) -> None:
    asked = console.get(f"{LIST}-/delete?selected=acme/app/web").content.decode()
    assert "Delete acme/app/web?" in asked
    assert image("acme/app/web").status is None
    do(console, LIST, "delete", "acme/app/web")
    assert image("acme/app/web").status == "delete_scheduled"
    event = AuditEvent.objects.get(action="container_repository.schedule_deletion")
    assert event.actor == root


def test_an_unknown_deed(console: Client, images: None) -> None:
    assert console.get(f"{LIST}-/rename?selected=acme/app").status_code == 404


def test_the_address_from_before(console: Client) -> None:
    assert console.get("/admin/container_registry/containerrepository/")["Location"] == LIST
