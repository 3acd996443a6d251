"""Projects in the console: found, archived, hidden, deleted, several at once, by the services."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.admin_area.views import tables
from gitlab.audit.models import AuditEvent
from gitlab.namespaces.models import Project
from tests.gitlab.admin_area.lists import do, measure, steps

pytestmark = pytest.mark.django_db

LIST = "/admin/projects/"


@pytest.fixture
def projects(alice: Any, make_project: Any, make_image: Any) -> None:
    """One with images, a public one that is archived, one that is being deleted."""
    app = make_project("acme/app", owner=alice)
    make_image("acme/app/web", of=app)
    make_image("acme/app/api", of=app)
    old = make_project("acme/old")
    gone = make_project("acme/gone")
    Project.objects.filter(pk=old.pk).update(archived=True, registry_access="disabled")
    Project.objects.filter(pk=gone.pk).update(pending_delete_at=timezone.now())


def listed(console: Client, **query: str) -> list[str]:
    answer = console.get(LIST, query)
    assert answer.status_code == 200
    return [row.project.full_path for row in answer.context["rows"]]


def test_it_is_for_administrators(alice: Any) -> None:
    client = Client()
    client.force_login(alice)
    for address in (LIST, f"{LIST}-/delete?selected=acme/app"):
        assert client.get(address, follow=True).status_code == 403


def test_filters(console: Client, projects: None) -> None:
    assert listed(console) == ["acme/app", "acme/gone", "acme/old"]
    assert listed(console, state="live") == ["acme/app"]
    assert listed(console, state="archived") == listed(console, registry="disabled") == ["acme/old"]
    assert listed(console, state="deleted") == ["acme/gone"]
    assert listed(console, visibility="public") == []
    assert listed(console, q="OLD") == ["acme/old"]
    assert listed(console, sort="-path", visibility="x") == ["acme/old", "acme/gone", "acme/app"]
    assert "No project matches." in console.get(LIST, {"q": "zz"}).content.decode()


def test_a_row(console: Client, projects: None) -> None:
    row = console.get(LIST).context["rows"][0]
    assert (row.images, row.url) == (2, "/acme/app")
    page = console.get(LIST).content.decode()
    assert 'href="/acme/app/edit"' in page
    assert 'href="/acme/app/-/project_members"' in page
    assert 'value="acme/gone"' not in page, "what is being deleted is not chosen"


def test_by_size(console: Client, projects: None) -> None:
    measure(Project.objects.get(full_path="acme/app"), 5 * 1024**2)
    measure(Project.objects.get(full_path="acme/old"), 70 * 1024**2)
    assert listed(console, sort="-size") == ["acme/old", "acme/app"]
    assert (
        "2 projects by size, and 1 not measured yet"
        in console.get(LIST, {"sort": "size"}).content.decode()
    )
    page = console.get(LIST).content.decode()
    assert "70.0 MiB" in page
    assert "not yet" in page


@pytest.mark.sqlite
@pytest.mark.parametrize("sort", ["path", "size", "-size", "-created_at", "updated_at"])
def test_nothing_is_sorted(console: Client, projects: None, sort: str) -> None:
    found = steps(console, f"{LIST}?sort={sort}")
    assert not [step for step in found if "TEMP B-TREE" in step], found


def test_pages(console: Client, projects: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(tables, "SHOWN", 2)
    first = console.get(LIST)
    assert first.context["count_text"] == "3 projects"
    second = console.get(LIST + first.context["next_url"])
    assert [row.project.full_path for row in second.context["rows"]] == ["acme/old"]


def test_a_row_costs_no_query(console: Client, projects: None, make_project: Any) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(console)
        return len(captured)

    queries()
    few = queries()
    for number in range(5):
        make_project(f"acme/x{number}")
    assert queries() == few


def test_it_asks_first(console: Client, projects: None) -> None:
    asked = console.get(f"{LIST}-/delete?selected=acme/app&selected=acme/old").content.decode()
    assert "Delete 2 projects?" in asked
    assert not Project.objects.filter(full_path="acme/app", pending_delete_at__isnull=False)


def test_archive_and_unarchive(console: Client, root: Any, projects: None) -> None:
    assert "acme/app and acme/old: archived." in do(
        console, LIST, "archive", "acme/app", "acme/old"
    )
    assert AuditEvent.objects.get(action="project.archive").actor == root
    do(console, LIST, "unarchive", "acme/app", "acme/old")
    assert not Project.objects.filter(archived=True).exists()


def test_visibility(console: Client, projects: None) -> None:
    told = do(console, LIST, "make_public", "acme/app")
    assert "acme/app: " in told
    found = Project.objects.get(full_path="acme/app")
    event = AuditEvent.objects.filter(action="project.update").last()
    assert (found.visibility == "public") == (event is not None)
    do(console, LIST, "make_private", "acme/app")
    found.refresh_from_db()
    assert found.visibility == "private"


def test_delete(console: Client, projects: None, enqueued: Any) -> None:
    do(console, LIST, "delete", "acme/app", "acme/gone")
    assert Project.objects.filter(pending_delete_at__isnull=False).count() == 2
    assert AuditEvent.objects.filter(action="project.delete").count() == 1


def test_an_unknown_deed(console: Client, projects: None) -> None:
    assert console.get(f"{LIST}-/rename?selected=acme/app").status_code == 404


def test_the_address_from_before(console: Client) -> None:
    assert console.get("/admin/namespaces/project/")["Location"] == LIST


def test_the_way_back(console: Client, projects: None, alice: Any) -> None:
    """From the pages of a project, a group and a person's namespace."""
    for page, back in (
        ("/acme/app", f"{LIST}?q=acme%2Fapp"),
        ("/acme", "/admin/groups/?q=acme"),
        ("/alice", "/admin/people/alice/"),
    ):
        assert f'href="{back}"' in console.get(page).content.decode(), page
        assert console.get(back).status_code == 200
    client = Client()
    client.force_login(alice)
    assert "In the admin area" not in client.get("/acme/app").content.decode()
