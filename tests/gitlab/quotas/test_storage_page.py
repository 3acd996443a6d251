"""Where the bytes are: drawn and told, walked from group to tag, by who may look."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.container_registry.client.responses import Freed
from gitlab.namespaces.models import Member, Project
from gitlab.storage import reading
from gitlab.storage.models import Candidate, DailySize, Measure

pytestmark = pytest.mark.django_db

PROJECT, GROUP = "/acme/app/-/storage", "/groups/acme/-/storage"
MIB = 1024 * 1024


@pytest.fixture
def web(app: Any, make_image: Any) -> Any:
    return make_image("acme/app/web", of=app)


def measure(size: int, alone: int, **more: Any) -> Measure:
    more.setdefault("measured_at", timezone.now())
    return Measure.objects.create(size_bytes=size * MIB, alone_bytes=alone * MIB, **more)


@pytest.fixture
def measured(acme: Any, app: Any, web: Any, make_project: Any, make_image: Any, alice: Any) -> None:
    """acme holds 100: app 60, of which 50 alone, and tools 45, of which 40 alone: 10 are shared."""
    tools = make_project("acme/tools", owner=alice)
    measure(100, 100, namespace=acme, images=3, tags=7)
    measure(60, 50, project=app, images=2, tags=5)
    measure(45, 40, project=tools, images=1, tags=2)
    shares = [[["v2", "latest"], 2, 30 * MIB, 12 * MIB], [["v1"], 1, 25 * MIB, 8 * MIB]]
    measure(40, 35, repository=web, images=1, tags=3, shares=shares)
    measure(20, 15, repository=make_image("acme/app/worker", of=app))


def page_of(browser: Any, who: Any, path: str) -> str:
    answer = browser(who).get(path)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_a_group_leads_to_its_projects(
    browser: Any, alice: Any, measured: None, played: Any
) -> None:
    page = page_of(browser, alice, GROUP)
    for path, said in ((PROJECT, "50.0 MiB, 50%"), ("/acme/tools/-/storage", "40.0 MiB, 40%")):
        # Two drawings, of which one is shown, and the table.
        assert page.count(f'href="{path}"') == 3
        assert said in page
    assert "shared: 10.0 MiB, 10%" in page
    assert "that several of them hold, once" in page


@pytest.mark.parametrize("off", [{"archived": True}, {"registry_access": "disabled"}])
def test_where_nobody_pushes_a_part_leads_to_the_overview(
    browser: Any, alice: Any, app: Any, measured: None, played: Any, off: dict[str, Any]
) -> None:
    Project.objects.filter(pk=app.pk).update(**off)
    page = page_of(browser, alice, GROUP)
    assert f'href="{PROJECT}"' not in page
    assert page.count('href="/acme/app"') == 3


def test_a_project_leads_to_its_images_and_an_image_to_its_tags(
    browser: Any, bob: Any, measured: None, played: Any, web: Any
) -> None:
    page = page_of(browser, bob, PROJECT)
    inside = f"/acme/app/-/storage/{web.pk}"
    assert page.count(f'href="{inside}"') == 3
    page = page_of(browser, bob, inside)
    assert page.count(f'href="/acme/app/container_registry/{web.pk}/tags/v2"') == 3
    assert "v2 and 1 more: 12.0 MiB, 30%" in page
    assert "shared: 20.0 MiB, 50%" in page


def test_who_may_look_inside(
    browser: Any,
    bob: Any,
    carol: Any,
    mallory: Any,
    acme: Any,
    measured: None,
    played: Any,
    web: Any,
) -> None:
    inside = f"/acme/app/-/storage/{web.pk}"
    assert browser(bob).get(inside).status_code == 200
    assert browser(carol).get(inside).status_code == 403
    assert browser(mallory).get(inside).status_code == 404
    assert browser(None).get(inside).status_code == 302
    assert browser(bob).get("/acme/tools/-/storage/{web.pk}").status_code == 404
    Member.objects.create(user=mallory, namespace=acme, access_level=10)
    page = page_of(browser, mallory, GROUP)
    assert "acme/tools" not in page
    assert "treemap" not in page, "a guest of a group reads the limits, and not what is in it"


def test_before_it_is_measured(browser: Any, alice: Any, acme: Any, web: Any, played: Any) -> None:
    assert "Not measured yet" in page_of(browser, alice, GROUP)
    assert "Not measured yet" in page_of(browser, alice, f"/acme/app/-/storage/{web.pk}")
    measure(0, 0, namespace=acme)
    assert "Nothing is stored here" in page_of(browser, alice, GROUP)


def test_the_table_is_sorted_and_has_pages(
    browser: Any, alice: Any, acme: Any, measured: None, played: Any
) -> None:
    Project.objects.bulk_create(
        Project(namespace=acme, path=f"p{n}", name="p", full_path=f"acme/p{n}") for n in range(25)
    )
    rows = Project.objects.filter(path__startswith="p").order_by("pk")
    for number, project in enumerate(rows):
        measure(1, 0 if number % 2 else 1, project=project)
    answer = browser(alice).get(GROUP)
    names = [part.name for part in answer.context["parts"]]
    assert names[:2] == ["app", "tools"]
    assert len(names) == 20
    after = browser(alice).get(GROUP + answer.context["next_url"])
    assert len(after.context["parts"]) == 7
    least = browser(alice).get(f"{GROUP}?sort=size").context["parts"]
    assert least[0].size == MIB
    division = answer.context["division"]
    assert len(division.parts) == 15, "what holds nothing alone has no area"
    assert division.others == 12


def test_the_smaller_ones_are_one_area(acme: Any, app: Any, make_project: Any) -> None:
    whole = measure(100, 100, namespace=acme)
    for number in range(reading.LARGEST + 3):
        measure(1, 1, project=make_project(f"acme/p{number}"))
    division = reading.division_of(acme, whole)
    assert len(division.parts) == reading.LARGEST
    assert (division.others, division.others_bytes) == (3, 3 * MIB)
    assert division.shared_bytes == (100 - reading.LARGEST - 3) * MIB


def test_growth_is_a_line(browser: Any, alice: Any, acme: Any, measured: None, played: Any) -> None:
    today = timezone.now().date()
    for days, size in ((100, 1), (20, 40), (0, 80)):
        DailySize.objects.create(
            namespace=acme,
            day=today - dt.timedelta(days=days),
            size_bytes=size * MIB,
            waiting_bytes=0,
        )
    page = page_of(browser, alice, GROUP)
    assert 'points="0.0,50.0 600.0,0.0"' in page, "of the last 90 days"


def test_what_waits_and_until_when(
    browser: Any, alice: Any, app: Any, measured: None, played: Any
) -> None:
    Measure.objects.filter(project=app).update(
        waiting_bytes=7 * MIB,
        waiting_tags=3,
        waiting_images=1,
        first_until=dt.datetime(2026, 12, 3, 14, 0, tzinfo=dt.UTC),
        last_until=dt.datetime(2026, 12, 6, 9, 30, tzinfo=dt.UTC),
    )
    page = page_of(browser, alice, PROJECT)
    assert "3 deleted or moved tags and 1 deleted image" in page
    assert "until 3 December, 14:00 UTC, the last until 6 December, 09:30 UTC" in page
    assert 'href="/acme/app/container_registry/deleted"' in page


# What could be deleted


def candidate(image: Any, freed: int, at_top: int, *names: str) -> Candidate:
    return Candidate.objects.create(
        repository=image,
        digest=f"sha256:{freed:064x}" if names else "",
        names=list(names),
        freed_bytes=freed * MIB,
        freed_at_top_bytes=at_top * MIB,
        manifests=max(1, 4 - len(names) * 3),
    )


def test_what_frees_most_comes_first_as_far_as_the_reader_sees(
    alice: Any, bob: Any, acme: Any, app: Any, web: Any
) -> None:
    candidate(web, 30, 5, "old")
    candidate(web, 20, 20, "older")
    assert [each.freed_bytes for each in reading.cheapest_in(reading.Sight(alice, acme), acme)] == [
        20 * MIB,
        5 * MIB,
    ]
    # Bob belongs to the project alone: what another one of the group has is not his to know.
    assert [each.freed_bytes for each in reading.cheapest_in(reading.Sight(bob, app), app)] == [
        30 * MIB,
        20 * MIB,
    ]


def test_what_nobody_may_delete_now_is_left_out(alice: Any, acme: Any, app: Any, web: Any) -> None:
    candidate(web, 30, 30, "old")
    assert reading.cheapest_in(reading.Sight(alice, app), web)
    Project.objects.filter(pk=app.pk).update(registry_access="disabled")
    assert not reading.cheapest_in(reading.Sight(alice, acme), acme)


def test_each_leads_to_the_question(
    browser: Any, alice: Any, measured: None, web: Any, played: Any
) -> None:
    candidate(web, 30, 30, "old", "older")
    candidate(web, 10, 10)
    page = page_of(browser, alice, GROUP)
    here = f"/acme/app/container_registry/{web.pk}"
    assert f'href="{here}/tags/delete?selected=old&amp;selected=older"' in page
    assert f'href="{here}/untagged"' in page
    assert "4 untagged manifests" in page
    played.push("acme/app/web", "old")
    played.push("acme/app/web", "older")
    played.freed_bytes = Freed(3 * MIB)
    asked = browser(alice).get(f"{here}/tags/delete?selected=old&selected=older")
    assert "3.0 MiB" in asked.content.decode(), "counted again before it is done"


def test_it_costs_few_queries_however_much_there_is(
    browser: Any, alice: Any, acme: Any, measured: None, played: Any, make_project: Any
) -> None:
    def cost() -> int:
        client = browser(alice)
        with CaptureQueriesContext(connection) as captured:
            client.get(GROUP)
        return len(captured)

    few = cost()
    for number in range(12):
        measure(1, 1, project=make_project(f"acme/p{number}"))
    assert cost() == few
