"""Reading the registry's events: an image that is there is known."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry import events
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import Happened
from gitlab.container_registry.models import ContainerRepository, EventCursor
from workers import tasks

pytestmark = pytest.mark.django_db

AT = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)


@pytest.fixture
def happened(fake_registry: Any) -> Any:
    """``happened("push", "acme/app", tag="v1")``: the next event of the registry."""

    def add(action: Any, path: Any, *, at: Any = AT, actor: str = "bob", **more: Any) -> Any:
        number = len(fake_registry.happened) + 1
        event = Happened(number, at, action, path, actor=actor, **more)
        fake_registry.happened.append(event)
        return event

    return add


@pytest.fixture
def app(alice: Any, bob: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice, developers=[bob])


def position() -> Any:
    return EventCursor.objects.get().position


def test_an_image_that_a_stale_token_has_pushed_is_known_again(
    app: Any, bob: Any, happened: Any, fake_registry: Any
) -> None:
    happened("push", "acme/app/web", tag="v1")
    fake_registry.images["acme/app/web"] = 1
    assert events.read(fake_registry) == 1
    row = ContainerRepository.objects.get()
    assert (row.path, row.name, row.status, row.last_published_at) == (
        "acme/app/web",
        "web",
        None,
        AT,
    )
    assert AuditEvent.objects.get(action="container_repository.create").actor == bob
    assert position() == 1
    assert events.read(fake_registry) == 0


def test_what_was_pushed_and_deleted_since_is_not_noted(
    app: Any, happened: Any, fake_registry: Any
) -> None:
    happened("push", "acme/app/web", tag="v1")
    happened("delete", "acme/app/web")
    assert events.read(fake_registry) == 2
    assert not ContainerRepository.objects.exists()


def test_a_repository_without_a_tag_is_no_image(
    app: Any, happened: Any, fake_registry: Any
) -> None:
    happened("mount", "acme/app/web")
    fake_registry.images["acme/app/web"] = 1
    assert events.read(fake_registry) == 1
    assert not ContainerRepository.objects.exists()


def test_the_last_push_is_the_latest(
    app: Any, make_image: Any, happened: Any, fake_registry: Any
) -> None:
    make_image("acme/app", of=app)
    later, ahead = AT + dt.timedelta(hours=1), timezone.now() + dt.timedelta(days=2)
    happened("push", "acme/app", at=later)
    happened("push", "acme/app", at=AT)
    events.read(fake_registry)
    assert ContainerRepository.objects.get().last_published_at == later
    happened("push", "acme/app", at=AT)
    events.read(fake_registry)
    assert ContainerRepository.objects.get().last_published_at == later
    # A clock that is ahead does not hide what comes after it.
    happened("push", "acme/app", at=ahead)
    events.read(fake_registry)
    assert ContainerRepository.objects.get().last_published_at <= timezone.now()


def test_what_belongs_to_no_project_is_left_out(
    make_group: Any, happened: Any, fake_registry: Any
) -> None:
    make_group("acme")
    for path in ("acme/gone", "acme", "nobody/app"):
        happened("push", path, tag="v1")
        fake_registry.images[path] = 1
    assert events.read(fake_registry) == 3
    assert not ContainerRepository.objects.exists()


def test_it_goes_on_where_it_stopped(
    app: Any, happened: Any, fake_registry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BATCH", 2)
    for number in range(5):
        happened("push", f"acme/app/i{number}")
        fake_registry.images[f"acme/app/i{number}"] = 1
    assert events.read(fake_registry, budget=0) == 0
    assert events.read(fake_registry) == 5
    assert ContainerRepository.objects.count() == 5
    assert position() == 5


def test_reading_twice_is_as_once(app: Any, happened: Any, fake_registry: Any) -> None:
    happened("push", "acme/app")
    fake_registry.images["acme/app"] = 1
    events.read(fake_registry)
    EventCursor.objects.update(position=0)
    events.read(fake_registry)
    assert ContainerRepository.objects.count() == 1
    assert AuditEvent.objects.filter(action="container_repository.create").count() == 1


def test_whoever_finds_the_cursor_moved_stops(app: Any, happened: Any, fake_registry: Any) -> None:
    happened("push", "acme/app")
    asked = []

    def events_of(after: Any, n: int = 500) -> Any:
        asked.append(after)
        EventCursor.objects.update(position=7)
        return fake_registry.happened

    fake_registry.events = events_of
    assert events.read(fake_registry) == 1
    assert asked == [0]
    assert position() == 7


def test_a_registry_that_was_restored_is_read_anew(
    app: Any, happened: Any, fake_registry: Any
) -> None:
    for _ in range(3):
        happened("push", "acme/app")
    events.read(fake_registry)
    assert position() == 3
    del fake_registry.happened[1:]
    fake_registry.images["acme/app"] = 1
    assert events.read(fake_registry) == 1
    assert position() == 1


def test_a_registry_without_events_is_not_asked(fake_registry: Any) -> None:
    fake_registry.has_own_api = False
    fake_registry.trouble = RegistryUnavailable("away")
    assert events.read(fake_registry) == 0
    assert not EventCursor.objects.exists()


def test_a_registry_that_does_not_answer_is_asked_next_time(
    app: Any,
    happened: Any,
    fake_registry: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    happened("push", "acme/app")
    fake_registry.images["acme/app"] = 1
    monkeypatch.setattr(events.clients, "for_jobs", lambda: fake_registry)
    fake_registry.trouble = RegistryUnavailable("away")
    tasks.read_events()
    assert "away" in caplog.text
    assert position() == 0
    fake_registry.trouble = None
    tasks.read_events()
    assert ContainerRepository.objects.exists()


class TestReaders:
    """Each has a cursor of its own."""

    def test_one_that_fails_keeps_no_other_from_reading_on(
        self, app: Any, happened: Any, fake_registry: Any
    ) -> None:
        seen: list[int] = []

        def fail(found: Any, registry: Any) -> None:
            raise ValueError("no")

        def note(found: Any, registry: Any) -> None:
            seen.extend(event.id for event in found)

        readers = {"failing": fail, "noting": note}
        happened("push", "acme/app", tag="v1")
        assert events.read(fake_registry, readers=readers) == 1
        happened("delete", "acme/app", tag="v1")
        assert events.read(fake_registry, readers=readers) == 1
        assert seen == [1, 2]
        positions = dict(EventCursor.objects.values_list("reader", "position"))
        assert positions == {"failing": 0, "noting": 2}

    def test_a_new_one_begins_where_the_first_is(
        self, app: Any, happened: Any, fake_registry: Any
    ) -> None:
        happened("push", "acme/app", tag="v1")
        events.read(fake_registry)
        seen: list[int] = []

        def note(found: Any, registry: Any) -> None:
            seen.extend(event.id for event in found)

        readers = {**events.READERS, "hooks": note}
        assert events.read(fake_registry, readers=readers) == 0
        happened("push", "acme/app", tag="v2")
        assert events.read(fake_registry, readers=readers) == 2
        assert seen == [2]

    def test_a_registry_that_does_not_answer_is_told(self, app: Any, fake_registry: Any) -> None:
        fake_registry.trouble = RegistryUnavailable("it does not answer")
        with pytest.raises(RegistryUnavailable):
            events.read(fake_registry)
