"""The overview of the console: how the parts are, what was pushed and stored, what has failed."""

from __future__ import annotations

import datetime as dt
import os
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from gitlab.accounts.models import LoginWait
from gitlab.admin_area import activity, failures, parts, stored
from gitlab.admin_area.counts import counted
from gitlab.audit.models import AuditEvent, Denial
from gitlab.audit.services import record
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import Garbage
from gitlab.jobs import broker, heartbeat
from gitlab.mail.models import Message
from gitlab.storage.models import DailySize
from gitlab.storage.reading import growth_of_all
from tests.gitlab.admin_area.lists import measure

pytestmark = pytest.mark.django_db


class AnsweringRegistry:
    """What the overview asks of a registry."""

    def __init__(self) -> None:
        self.removed: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.own: Any = self

    def garbage(self) -> Garbage:
        return Garbage.read(
            {"due": 3, "removed": self.removed, "verification": {"faults": self.faults}}
        )


@pytest.fixture
def registry(monkeypatch: Any) -> AnsweringRegistry:
    """One that is well."""
    made = AnsweringRegistry()
    monkeypatch.setattr(clients, "for_overview", lambda: made)
    monkeypatch.setattr(clients, "readiness", lambda: {"database": "", "storage": ""})
    return made


@pytest.fixture
def app(alice: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice)


NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _days(monkeypatch: Any) -> None:
    """The days that end with `NOON`'s, so that no test sees midnight pass."""
    days = [NOON.date() - dt.timedelta(days=ago) for ago in reversed(range(activity.DAYS))]
    monkeypatch.setattr(activity, "last_days", lambda: days)


def page_of(console: Client) -> str:
    answer = console.get(reverse("admin:index"))
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def part(name: str) -> parts.Part:
    return next(one for one in parts.health().parts if one.name == name)


def pushed(project: Any, root: Any, times: int = 1, days_ago: int = 0) -> None:
    for _ in range(times):
        at = NOON - dt.timedelta(days=days_ago)
        record("tag.push", by=root, target=project, at=at)


def test_it_shows_each_part(console: Client, registry: AnsweringRegistry) -> None:
    page = page_of(console)
    for name in ("Web", "Database", "Broker", "Worker", "Registry", "Store"):
        assert f'<th scope="row">{name}</th>' in page
    assert "Nothing has failed" in page
    assert "Nothing was pushed lately" in page


def test_a_registry_that_is_away_leaves_the_rest(console: Client, monkeypatch: Any) -> None:
    def silent() -> Any:
        raise RegistryUnavailable("the registry does not answer (ConnectError)")

    monkeypatch.setattr(clients, "readiness", silent)
    asked = []
    monkeypatch.setattr(clients, "for_overview", lambda: asked.append(1))
    page = page_of(console)
    assert "The registry does not answer (ConnectError)" in page
    assert "The registry does not answer." in page
    assert not asked, "whoever is silent is asked no more"


def test_a_registry_that_refuses_leaves_the_rest(
    console: Client, registry: AnsweringRegistry, app: Any, monkeypatch: Any
) -> None:
    def refuses() -> Any:
        raise RegistryRefused(404, "UNKNOWN", "no")

    measure(app.namespace, 3 * 1024**2, images=1)
    monkeypatch.setattr(registry, "garbage", refuses)
    page = page_of(console)
    assert "does not say what it removes" in page
    assert "3.0 MiB" in page, "what was measured is known all the same"


def test_a_registry_that_is_not_ours(
    console: Client, registry: AnsweringRegistry, monkeypatch: Any
) -> None:
    monkeypatch.setattr(clients, "readiness", dict)
    registry.own = None
    page = page_of(console)
    assert "This registry does not say" in page
    assert "has no API that tells what it stores" in page


@pytest.mark.parametrize(
    ("said", "tones"),
    [
        ({"database": "", "storage": ""}, ["good", "good"]),
        ({"database": "", "storage": "it is full"}, ["good", "bad"]),
        ({"database": "it can not be used", "storage": ""}, ["bad", "good"]),
        ({"database": ""}, ["good", "info"]),
    ],
)
def test_the_registry_and_its_store(
    said: Any, tones: Any, registry: AnsweringRegistry, monkeypatch: Any
) -> None:
    monkeypatch.setattr(clients, "readiness", lambda: said)
    assert [part("Registry").tone, part("Store").tone] == tones


def test_no_registry_is_asked_where_there_is_none(
    console: Client, settings: Any, monkeypatch: Any
) -> None:
    settings.CONTAINER_REGISTRY_ENABLED = False
    monkeypatch.setattr(clients, "readiness", lambda: pytest.fail("it was asked"))
    assert "By the settings" in page_of(console)


def test_a_broker_that_is_away_leaves_the_rest(
    console: Client, registry: AnsweringRegistry, monkeypatch: Any
) -> None:
    def away() -> Any:
        raise ConnectionError("redis://:secret@broker")

    monkeypatch.setattr(broker, "waiting", away)
    page = page_of(console)
    assert "It can&#x27;t be asked" in page
    assert "secret" not in page


def test_tasks_that_wait_long(monkeypatch: Any, registry: AnsweringRegistry) -> None:
    monkeypatch.setattr(broker, "waiting", lambda: (1, 5.0))
    assert part("Broker").tone == "good"
    assert "1 task waits, the first for 5 seconds" in part("Broker").about
    monkeypatch.setattr(broker, "waiting", lambda: (1200, 7300.0))
    assert part("Broker").tone == "warn"
    assert "1,200 tasks wait, the first for 2 hours" in part("Broker").about


def test_the_worker_by_its_last_sign(
    settings: Any, tmp_path: Any, registry: AnsweringRegistry
) -> None:
    settings.HOME = tmp_path
    assert part("Worker").state == "Not seen"
    heartbeat.file().touch()
    assert part("Worker").tone == "good"
    long_ago = timezone.now().timestamp() - 3 * 3600
    os.utime(heartbeat.file(), (long_ago, long_ago))
    assert part("Worker").tone == "bad"
    assert "3 hours" in part("Worker").about


def test_pushes_by_day_and_project(
    console: Client, registry: AnsweringRegistry, root: Any, app: Any, make_project: Any
) -> None:
    quiet = make_project("acme/quiet")
    pushed(app, root, 3)
    pushed(app, root, 2, days_ago=1)
    pushed(quiet, root, 1, days_ago=13)
    pushed(quiet, root, 9, days_ago=15)
    found = activity.pushes()
    assert [point.value for point in found.days] == [1, *[0] * 11, 2, 3]
    assert [(one.project.full_path, one.pushes) for one in found.busiest] == [
        ("acme/app", 5),
        ("acme/quiet", 1),
    ]
    assert "Tags pushed a day" in page_of(console)


def test_pushes_have_a_bound(
    root: Any, app: Any, registry: AnsweringRegistry, monkeypatch: Any
) -> None:
    monkeypatch.setattr(activity, "LATEST", 3)
    pushed(app, root, 2, days_ago=2)
    pushed(app, root, 2)
    found = activity.pushes()
    assert [point.value for point in found.days[-3:]] == [1, 0, 2]
    assert found.is_cut


def test_what_is_stored(
    console: Client, registry: AnsweringRegistry, app: Any, make_group: Any, bob: Any
) -> None:
    """As it was measured, of the namespaces at the top alone."""
    assert "Nothing has been measured yet." in page_of(console)
    hours_ago = timezone.now() - dt.timedelta(hours=5)
    measure(app.namespace, 3 * 1024**2, images=2, measured_at=hours_ago)
    measure(bob.namespace, 9 * 1024**2, images=1, is_exact=False)
    measure(make_group("acme/inside"), 3 * 1024**2, images=2)
    measure(make_group("empty"), 0)
    measure(make_group("later"), 0, images=1, measured_at=None)
    assert [one.path for one in stored.largest()] == ["bob", "acme"]
    page = page_of(console)
    assert "5 hours ago" in page
    assert "at least" in page


def test_what_was_removed(console: Client, registry: AnsweringRegistry) -> None:
    today = activity.last_days()[-1]
    registry.removed = [{"day": today.isoformat(), "count": 7, "bytes": 3 * 1024**2}]
    registry.faults = ["missing"]
    page = page_of(console)
    assert "7 objects, 3.0 MiB" in page
    assert "1 fault in the store" in page
    found, _ = stored.collected(answers=True)
    assert found is not None
    assert found.freed[-1].text == "3.0 MiB"


def test_what_has_failed(console: Client, registry: AnsweringRegistry, bob: Any) -> None:
    now = timezone.now()
    Message.objects.create(user=bob, subject="x", text="x", status="failed", done_at=now)
    LoginWait.objects.create(user=bob, address="192.0.2.1", until=now + dt.timedelta(hours=1))
    LoginWait.objects.create(user=bob, address="192.0.2.2", until=now + dt.timedelta(hours=1))
    for reference in ("a" * 8, "b" * 8):
        Denial.objects.create(
            reference=reference, kind="login", reason="no", first_at=now, last_at=now
        )
    texts = [one.text for one in failures.failures(counted(failures.questions()))]
    assert texts == [
        "1 mail could not be sent within a week",
        "1 person has to wait after failed logins",
        "2 denials of logins and pushes within a day",
    ]
    page = page_of(console)
    for text in texts:
        assert text in page


def test_old_failures_are_forgotten(registry: AnsweringRegistry, bob: Any) -> None:
    long_ago = timezone.now() - dt.timedelta(days=8)
    Message.objects.create(user=bob, subject="x", text="x", status="failed", done_at=long_ago)
    Denial.objects.create(
        reference="a" * 8, kind="login", reason="no", first_at=long_ago, last_at=long_ago
    )
    LoginWait.objects.create(user=bob, address="", until=long_ago)
    assert failures.failures(counted(failures.questions())) == []


def test_it_costs_no_more_where_there_is_more(
    console: Client, registry: AnsweringRegistry, make_image: Any, app: Any, root: Any
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page_of(console)
        return len(captured)

    pushed(app, root)
    make_image("acme/app/web", of=app)
    queries()
    few = queries()
    for number in range(12):
        make_image(f"acme/app/x{number}", of=app)
    pushed(app, root, 20)
    assert AuditEvent.objects.filter(action="tag.push").count() == 21
    assert queries() == few <= 15


def test_the_growth_of_all(
    console: Client, registry: AnsweringRegistry, app: Any, make_project: Any
) -> None:
    """Of the namespaces at the top, whose sizes hold those of all below."""
    other = make_project("tools/lib")
    today = timezone.now().date()
    for days_ago, size in ((40, 1), (2, 10), (1, 30)):
        day = today - dt.timedelta(days=days_ago)
        for where in (
            {"namespace": app.namespace},
            {"namespace": other.namespace},
            {"project": app},
        ):
            DailySize.objects.create(day=day, size_bytes=size * 1024**2, waiting_bytes=0, **where)
    assert [size for _, size in growth_of_all(30)] == [20 * 1024**2, 60 * 1024**2]
    assert "60.0 MiB" in page_of(console)
