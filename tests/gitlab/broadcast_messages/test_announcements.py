"""Announcements: written by administrators, above every page, put away by readers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.broadcast_messages import services
from gitlab.broadcast_messages.models import BroadcastMessage
from gitlab.refusals import Forbidden, Invalid

pytestmark = pytest.mark.django_db

LIST = "/admin/announcements/"
HOUR = dt.timedelta(hours=1)
FORM = {
    "message": "Down on Sunday",
    "level": "warn",
    "starts_at": "2026-01-01T10:00",
    "ends_at": "2090-01-01T10:00",
    "dismissable": "on",
}


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch: Any) -> Iterator[None]:
    """Nothing is remembered of other tests, nor for them."""
    before = list(services._known)
    monkeypatch.setattr(services, "REMEMBERED", -1.0)
    yield
    services._known[:] = before


@pytest.fixture
def console(root: Any) -> Client:
    client = Client()
    client.force_login(root)
    return client


def announce(root: Any, text: str = "Down on Sunday", **given: Any) -> BroadcastMessage:
    now = timezone.now()
    times = {"starts_at": now - HOUR, "ends_at": now + HOUR}
    return services.create(root, message=text, **(times | given))


def front(client: Client | None = None) -> str:
    return (client or Client()).get("/users/sign_in").content.decode()


class TestWhoSeesIt:
    def test_everybody_on_every_page(self, root: Any, console: Client, alice: Any) -> None:
        announce(root)
        client = Client()
        client.force_login(alice)
        for page in (
            front(),
            console.get("/admin/").content.decode(),
            client.get("/").content.decode(),
        ):
            assert "Down on Sunday" in page

    @pytest.mark.parametrize(("begins", "ends", "shown"), [(-2, -1, 0), (1, 2, 0), (-1, 1, 1)])
    def test_in_its_time(self, root: Any, begins: int, ends: int, shown: int) -> None:
        now = timezone.now()
        announce(root, starts_at=now + begins * HOUR, ends_at=now + ends * HOUR)
        assert front().count("Down on Sunday") == shown

    def test_the_latest_five(self, root: Any) -> None:
        now = timezone.now()
        for number in range(7):
            announce(root, f"Number {number}", starts_at=now - (8 - number) * HOUR)
        assert [row.message[-1] for row in services.current()] == ["6", "5", "4", "3", "2"]

    def test_it_is_plain_text(self, root: Any) -> None:
        announce(root, "<script>alert(1)</script> & more")
        page = front()
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
        assert "<script>alert" not in page

    def test_it_is_remembered_for_a_while(
        self, root: Any, monkeypatch: Any, django_assert_num_queries: Any
    ) -> None:
        announce(root)
        services.current()
        monkeypatch.setattr(services, "REMEMBERED", float("inf"))
        with django_assert_num_queries(0):
            assert len(services.current()) == 1

    @pytest.mark.django_db(transaction=True)
    def test_who_wrote_it_sees_it_at_once(self, root: Any, monkeypatch: Any) -> None:
        services.current()
        monkeypatch.setattr(services, "REMEMBERED", float("inf"))
        row = announce(root)
        assert services.current() == [row]
        services.delete(root, row)
        assert services.current() == []


class TestPuttingItAway:
    def test_for_ones_own_browser(self, root: Any) -> None:
        row = announce(root)
        client = Client()
        assert "Put away" in front(client)
        where = f"/-/broadcast_messages/{row.pk}/dismiss"
        answer = client.post(where, {"next": "/users/sign_in?x=1"})
        assert answer["Location"] == "/users/sign_in?x=1"
        assert "Down on Sunday" not in front(client)
        assert "Down on Sunday" in front()

    def test_not_where_it_has_to_be_read(self, root: Any) -> None:
        row = announce(root, dismissable=False)
        client = Client()
        assert "Put away" not in front(client)
        client.post(f"/-/broadcast_messages/{row.pk}/dismiss")
        assert "Down on Sunday" in front(client)

    def test_nobody_is_led_elsewhere(self) -> None:
        answer = Client().post(
            "/-/broadcast_messages/1/dismiss", {"next": "https://elsewhere.example/"}
        )
        assert answer["Location"] == "/"
        assert Client().get("/-/broadcast_messages/1/dismiss").status_code == 405


class TestTheRules:
    def test_only_administrators(self, root: Any, alice: Any) -> None:
        row = announce(root)
        for change in (
            lambda: announce(alice),
            lambda: services.update(alice, row, message="x"),
            lambda: services.delete(alice, row),
        ):
            with pytest.raises(Forbidden):
                change()
        assert BroadcastMessage.objects.get().message == "Down on Sunday"

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"text": "  "}, "message"),
            ({"text": "x" * 501}, "message"),
            ({"level": "loud"}, "level"),
            ({"ends_at": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)}, "ends_at"),
        ],
    )
    def test_what_is_refused(self, root: Any, given: Any, field: str) -> None:
        with pytest.raises(Invalid) as refused:
            announce(root, **given)
        assert list(refused.value.error_dict) == [field]
        assert not BroadcastMessage.objects.exists()

    def test_the_database_refuses_one_that_ends_before_it_begins(self) -> None:
        now = timezone.now()
        with pytest.raises(IntegrityError), transaction.atomic():
            BroadcastMessage.objects.create(message="x", starts_at=now, ends_at=now)

    def test_they_are_recorded(self, root: Any) -> None:
        row = announce(root)
        services.update(root, row, level="bad")
        services.update(root, row, level="bad")
        services.delete(root, row)
        found = AuditEvent.objects.filter(action__startswith="broadcast_message.")
        assert [event.action.partition(".")[2] for event in found.order_by("pk")] == [
            "create",
            "update",
            "delete",
        ]


class TestTheConsole:
    def test_it_is_for_administrators(self, alice: Any) -> None:
        client = Client()
        client.force_login(alice)
        for address in (LIST, f"{LIST}new", f"{LIST}1", f"{LIST}1/delete"):
            assert client.get(address, follow=True).status_code == 403

    def test_write_change_and_take_away(self, console: Client) -> None:
        assert "Nothing was announced yet" in console.get(LIST).content.decode()
        assert console.get(f"{LIST}new").status_code == 200
        assert console.post(f"{LIST}new", FORM)["Location"] == LIST
        row = BroadcastMessage.objects.get()
        assert (row.level, row.dismissable) == ("warn", True)
        assert row.starts_at == dt.datetime(2026, 1, 1, 10, tzinfo=dt.UTC)
        page = console.get(f"{LIST}{row.pk}").content.decode()
        assert 'value="2026-01-01T10:00"' in page
        console.post(f"{LIST}{row.pk}", FORM | {"message": "On Monday"})
        assert "On Monday" in console.get(LIST).content.decode()
        assert "Delete the announcement?" in console.get(f"{LIST}{row.pk}/delete").content.decode()
        console.post(f"{LIST}{row.pk}/delete")
        assert not BroadcastMessage.objects.exists()
        for address in (f"{LIST}{row.pk}", f"{LIST}{row.pk}/delete", f"{LIST}{2**70}"):
            assert console.get(address).status_code == 404

    def test_what_is_refused_stands_at_its_field(self, console: Client) -> None:
        answer = console.post(f"{LIST}new", FORM | {"ends_at": "2025-01-01T10:00"})
        assert "Later than the beginning" in answer.content.decode()
        assert not BroadcastMessage.objects.exists()
