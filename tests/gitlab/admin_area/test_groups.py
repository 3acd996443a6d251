"""Groups in the console: found, measured, hidden, deleted, several at once, by the services."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.admin_area.views import tables
from gitlab.audit.models import AuditEvent
from gitlab.namespaces.models import Namespace
from gitlab.quotas.models import Quota
from tests.gitlab.admin_area.lists import do, measure, queries, steps

pytestmark = pytest.mark.django_db

LIST = "/admin/groups/"
MEBIBYTE = 1024**2


@pytest.fixture
def groups(alice: Any, bob: Any, make_group: Any, make_project: Any) -> None:
    """One with members, a project and a private group in it; one that is being deleted."""
    make_group("acme", owner=alice, developers=[bob])
    make_group("acme/inside", owner=alice, visibility="private")
    make_project("acme/app", owner=alice)
    gone = make_group("gone", owner=alice)
    Namespace.objects.filter(pk=gone.pk).update(
        pending_delete_at=timezone.now(), require_two_factor_authentication=True
    )


def group(path: str) -> Namespace:
    return Namespace.objects.get(full_path=path)


def rows(console: Client, **query: str) -> list[Any]:
    answer = console.get(LIST, query)
    assert answer.status_code == 200
    return list(answer.context["rows"])


def listed(console: Client, **query: str) -> list[str]:
    return [row.group.full_path for row in rows(console, **query)]


def test_it_is_for_administrators(alice: Any) -> None:
    client = Client()
    client.force_login(alice)
    for address in (LIST, f"{LIST}-/delete?selected=acme"):
        assert client.get(address, follow=True).status_code == 403


def test_filters(console: Client, groups: None) -> None:
    assert listed(console) == ["acme", "acme/inside", "gone"], "and nobody's own namespace"
    assert listed(console, state="deleted") == listed(console, factors="yes") == ["gone"]
    assert listed(console, state="live", factors="no") == ["acme", "acme/inside"]
    assert listed(console, visibility="private") == listed(console, place="below")
    assert listed(console, place="below") == ["acme/inside"]
    assert listed(console, q="INSIDE") == ["acme/inside"]
    assert listed(console, sort="-path", place="x") == ["gone", "acme/inside", "acme"]
    assert "No group matches." in console.get(LIST, {"q": "zz"}).content.decode()


def test_a_row(console: Client, groups: None, settings: Any) -> None:
    settings.QUOTA_BYTES, settings.QUOTA_IMAGES = 50 * MEBIBYTE, 0
    Quota.objects.create(namespace=group("acme"), max_bytes=30 * MEBIBYTE, max_images=7)
    measure(group("acme"), 12 * MEBIBYTE, images=4)
    acme, inside, gone = rows(console)
    assert (acme.members, acme.projects, acme.measure.images) == (2, 1, 4)
    assert (acme.max_bytes, acme.max_images) == (30 * MEBIBYTE, 7)
    assert (inside.max_bytes, inside.measure) == (None, None), "the default is for the top"
    assert gone.max_bytes == 50 * MEBIBYTE
    page = console.get(LIST).content.decode()
    assert "12.0 MiB" in page
    assert "not yet" in page
    for address in ("/acme", "/groups/acme/-/group_members", "/groups/acme/-/edit"):
        assert f'href="{address}"' in page
    assert 'value="gone"' not in page, "what is being deleted is not chosen"


def test_by_size(console: Client, groups: None) -> None:
    """What has no measure has no place in that order, and is told of."""
    measure(group("acme"), 5)
    measure(group("acme/inside"), 70)
    assert listed(console, sort="-size") == ["acme/inside", "acme"]
    assert listed(console, sort="size") == ["acme", "acme/inside"]
    count = console.get(LIST, {"sort": "size"}).context["count_text"]
    assert count == "2 groups by size, and 1 not measured yet"
    assert console.get(LIST).context["count_text"] == "3 groups"


def test_pages(console: Client, groups: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(tables, "SHOWN", 1)
    for path, size in (("acme", 5), ("acme/inside", 5), ("gone", 9)):
        measure(group(path), size)
    for sort, paths in (("path", ["acme", "acme/inside", "gone"]), ("size", None)):
        found, address = [], f"{LIST}?sort={sort}"
        for _ in range(3):
            answer = console.get(address)
            found += [row.group.full_path for row in answer.context["rows"]]
            address = LIST + answer.context["next_url"]
        assert found == (paths or ["acme", "acme/inside", "gone"])
        assert answer.context["next_url"] == ""
    assert listed(console, sort="size", after="nonsense") == ["acme"]


def test_a_row_costs_no_query(console: Client, groups: None, make_group: Any) -> None:
    queries(console, LIST)
    few = len(queries(console, LIST))
    for number in range(5):
        measure(make_group(f"x{number}"), number)
    assert len(queries(console, LIST)) == few


@pytest.mark.sqlite
@pytest.mark.parametrize("sort", ["path", "-path", "-updated_at"])
def test_nothing_is_sorted(console: Client, groups: None, sort: str) -> None:
    found = steps(console, f"{LIST}?sort={sort}")
    assert not [step for step in found if "TEMP B-TREE" in step], found


def test_it_asks_first(console: Client, groups: None) -> None:
    asked = console.get(f"{LIST}-/delete?selected=acme&selected=acme/inside").content.decode()
    assert "Delete 2 groups?" in asked
    assert group("acme").pending_delete_at is None


def test_delete(console: Client, root: Any, groups: None, enqueued: Any) -> None:
    """What still has projects is told and kept; the rest is done."""
    told = do(console, LIST, "delete", "acme", "acme/inside", "gone")
    assert "acme/inside: being deleted." in told
    assert "The group still has 1 project" in told
    assert group("acme").pending_delete_at is None
    assert AuditEvent.objects.get(action="group.delete").actor == root


def test_visibility(console: Client, groups: None) -> None:
    do(console, LIST, "make_public", "acme/inside")
    assert group("acme/inside").visibility == "public"
    assert "acme/inside in it is public" in do(console, LIST, "make_internal", "acme")
    do(console, LIST, "make_private", "acme/inside")
    assert group("acme/inside").visibility == "private"


def test_two_factors(console: Client, root: Any, groups: None) -> None:
    assert "acme: require two factors." in do(console, LIST, "require_factors", "acme")
    assert group("acme").require_two_factor_authentication
    assert AuditEvent.objects.get(action="group.update").actor == root
    do(console, LIST, "no_factors", "acme")
    assert not group("acme").require_two_factor_authentication


def test_nobodys_own_namespace_is_chosen(console: Client, groups: None) -> None:
    assert "Choose groups first." in do(console, LIST, "delete", "alice")


def test_an_unknown_deed(console: Client, groups: None) -> None:
    assert console.get(f"{LIST}-/rename?selected=acme").status_code == 404


def test_the_address_from_before(console: Client) -> None:
    assert console.get("/admin/namespaces/namespace/")["Location"] == LIST
