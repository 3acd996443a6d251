"""The job that measures what is stored: what it keeps, when it looks again, whom it waits for."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import (
    Freed,
    Happened,
    Share,
    Stored,
    TagAge,
)
from gitlab.container_registry.models import ContainerRepository
from gitlab.storage import measuring
from gitlab.storage.models import Candidate, DailySize, Measure
from tests.gitlab.played_registry import digest

pytestmark = pytest.mark.django_db

OLD = dt.timedelta(days=60)


@pytest.fixture
def web(app: Any, make_image: Any) -> Any:
    return make_image("acme/app/web", of=app)


def share(name: str, size: int, *, age: dt.timedelta = OLD, **more: Any) -> Share:
    at = timezone.now() - age
    return Share(digest(name[0]), (name,), 1, size + 10, size, at, **more)


def measured(**owner: Any) -> Measure:
    return Measure.objects.get(measured_at__isnull=False, **owner)


def test_what_is_new_is_held_until_its_row_is_there(acme: Any, app: Any, web: Any) -> None:
    """What is deleted between the two would leave a row of nothing, and the job would fail."""
    with CaptureQueriesContext(connection) as run:
        measuring._note_new()
    said = [query["sql"] for query in run.captured_queries]
    steps = ["SELECT", "SAVEPOINT", "SELECT", "INSERT", "RELEASE"]
    assert [sql.split()[0] for sql in said] == steps * 3
    if connection.vendor == "postgresql":  # SQLite's transaction holds all there is.
        holds = ["FOR NO KEY UPDATE" in sql for sql in said]
        assert holds == [False, False, True, False, False] * 3


def test_everything_is_measured_once(played: Any, acme: Any, app: Any, web: Any) -> None:
    played.push("acme/app/web", "v1")
    moment = timezone.now() + dt.timedelta(days=7)
    played.lying["acme/app"] = Stored("acme/app", 300, 200, 1, 1)
    played.lying["acme"] = Stored("acme", 500, 500, 1, 1, True, 70, 3, 1, moment, moment)
    played.freed_bytes = Freed(120, 30)
    done = measuring.measure(played)
    assert done == Measure.objects.count()
    group, project, image = (
        measured(namespace=acme),
        measured(project=app),
        measured(repository=web),
    )
    assert (group.size_bytes, group.waiting_bytes, group.waiting_tags) == (500, 70, 3)
    assert group.last_until == moment
    assert (project.size_bytes, project.alone_bytes) == (300, 200)
    assert (image.size_bytes, image.alone_bytes, image.tags) == (150, 120, 1)
    assert measuring.measure(played) == 0, "not again before a day is over"


def test_when_an_image_was_pulled(played: Any, web: Any) -> None:
    played.push("acme/app/web", "v1")
    at, ask = timezone.now(), played.repository
    played.repository = lambda path, **more: replace(ask(path, **more), last_pulled_at=at)
    measuring.measure(played)
    assert measured(repository=web).pulled_at == at


def test_alone_is_told_by_what_stands_beside_it(played: Any, acme: Any, app: Any, web: Any) -> None:
    """So nobody learns of what they may not see."""
    asked: dict[str, list[str]] = {}

    def stored(path: str, *, seen: Any = ()) -> Stored:
        asked[path] = list(seen)
        return Stored(path)

    played.stored = stored
    measuring.measure(played)
    assert asked["acme/app"] == ["acme/*"]
    assert asked["acme"] == []


def test_a_day_has_one_row_and_the_oldest_go(played: Any, acme: Any, app: Any) -> None:
    today = timezone.now().date()
    for days in (measuring.KEPT_DAYS - 1, measuring.KEPT_DAYS + 1):
        day = today - dt.timedelta(days=days)
        DailySize.objects.create(project=app, day=day, size_bytes=1, waiting_bytes=0)
    played.lying["acme/app"] = Stored("acme/app", 300)
    measuring.measure(played)
    played.lying["acme/app"] = Stored("acme/app", 400)
    Measure.objects.update(due_at=timezone.now())
    measuring.measure(played)
    rows = DailySize.objects.filter(project=app).order_by("day")
    assert [row.size_bytes for row in rows] == [1, 400]


def test_what_happened_is_measured_soon(played: Any, acme: Any, app: Any, web: Any) -> None:
    measuring.measure(played)
    tomorrow = timezone.now() + dt.timedelta(hours=20)
    assert not Measure.objects.filter(due_at__lt=tomorrow).exists()
    event = Happened(1, timezone.now(), "push", "acme/app/web", "v1", digest("a"), "bob")
    measuring.note([event], played)
    due = timezone.now() + measuring.LATER
    soon = Measure.objects.filter(due_at__lte=due)
    assert {row.repository_id or row.project_id or row.namespace_id for row in soon} == {
        web.pk,
        app.pk,
        acme.pk,
    }
    measuring.note([Happened(2, None, "push", "nowhere/at/all", "v1", "", "")], played)


def test_what_is_due_meanwhile_stays_due(played: Any, app: Any, web: Any) -> None:
    measuring.measure(played)
    soon = timezone.now() + measuring.SOON
    row = measured(repository=web)

    def shares(path: str, n: int) -> list[Share]:
        Measure.objects.filter(pk=row.pk).update(due_at=soon)
        return []

    played.shares = shares
    Measure.objects.filter(pk=row.pk).update(due_at=timezone.now())
    assert measuring.measure(played) == 1
    row.refresh_from_db()
    assert row.due_at == soon


def test_who_dies_leaves_it_for_another(played: Any, app: Any, web: Any) -> None:
    played.trouble = RegistryUnavailable("gone")
    with pytest.raises(RegistryUnavailable):
        measuring.measure(played)
    taken = Measure.objects.filter(measured_at=None, due_at__gt=timezone.now()).get()
    assert taken.due_at <= timezone.now() + measuring.LEASE
    played.trouble = None
    measuring.measure(played)
    taken.refresh_from_db()
    assert taken.measured_at is None, "not while the lease lasts"
    Measure.objects.filter(pk=taken.pk).update(due_at=timezone.now())
    measuring.measure(played)
    taken.refresh_from_db()
    assert taken.measured_at is not None


def test_what_has_gone_meanwhile_is_left(played: Any, app: Any, web: Any) -> None:
    def shares(path: str, n: int) -> list[Share]:
        ContainerRepository.objects.filter(pk=web.pk).delete()
        return [share("a", 5), share("b", 5, age=dt.timedelta(0))]

    played.shares = shares
    measuring.measure(played)
    assert not Measure.objects.filter(repository=web.pk).exists()
    assert not Candidate.objects.exists()


def test_another_registry_is_not_measured(played: Any, app: Any) -> None:
    played.has_own_api = False
    assert measuring.measure(played) == 0
    assert not Measure.objects.exists()


# Candidates


def candidates(played: Any, web: Any, *shares: Share) -> list[list[str]]:
    played.sharing["acme/app/web"] = list(shares)
    Measure.objects.update(due_at=timezone.now())
    measuring.measure(played)
    return [row.names for row in web.candidates.order_by("id")]


def test_what_nobody_has_needed_for_long_could_go(played: Any, app: Any, web: Any) -> None:
    played.freed_bytes = Freed(77)
    recent = timezone.now() - dt.timedelta(days=3)
    found = candidates(
        played,
        web,
        share("a-old", 50),
        share("b-pulled", 40, last_pulled_at=recent),
        share("c-pulled-long-ago", 30, last_pulled_at=timezone.now() - OLD),
        share("d-new", 20, age=dt.timedelta(days=3)),
        share("e-holds-nothing-alone", 0),
    )
    assert found == [["a-old"], ["c-pulled-long-ago"]]
    row = web.candidates.get(names=["a-old"])
    assert (row.freed_bytes, row.freed_at_top_bytes, row.pulled_at) == (77, 77, None)
    assert row.digest == digest("a")


def test_the_latest_stays_however_old(played: Any, app: Any, web: Any) -> None:
    played.freed_bytes = Freed(77)
    older = share("b-older", 40, age=OLD * 2)
    assert candidates(played, web, share("a-done", 50), older) == [["b-older"]]


def test_what_would_free_nothing_is_none(played: Any, app: Any, web: Any) -> None:
    played.freed_bytes = Freed(0, 50)
    assert candidates(played, web, share("a", 50), share("b", 1, age=dt.timedelta(0))) == []


def test_what_has_no_tag_is_one_where_it_is_kept(played: Any, app: Any, web: Any) -> None:
    played.freed_bytes = Freed(77)
    loose = [TagAge(digest(each), digest(each), 5, None, timezone.now()) for each in "ab"]
    played.untagged = lambda path, **more: (loose, 0)
    assert candidates(played, web) == []
    ContainerRepository.objects.filter(pk=web.pk).update(keeps_untagged=True)
    assert candidates(played, web) == [[]]
    assert web.candidates.get().manifests == 2


def test_a_measure_is_of_one(acme: Any, app: Any) -> None:
    for owners in ({}, {"namespace": acme, "project": app}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Measure.objects.create(**owners)
