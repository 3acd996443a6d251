"""`/broadcast_messages`: anybody reads them, administrators write them, by the pages' services."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.broadcast_messages import services
from gitlab.broadcast_messages.models import BroadcastMessage
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db

HERE = "broadcast_messages"
BODY = {
    "message": "Down on Sunday",
    "starts_at": "2026-01-01T10:00:00Z",
    "ends_at": "2090-01-01T10:00:00Z",
    "theme": "red",
    "dismissable": True,
}


@pytest.fixture(autouse=True)
def _looks_each_time(monkeypatch: Any) -> Iterator[None]:
    """Nothing is remembered of other tests, nor for them."""
    before = list(services._known)
    monkeypatch.setattr(services, "REMEMBERED", -1.0)
    yield
    services._known[:] = before


def test_the_shape(api: Api, root: Any) -> None:
    client = api(root)
    answer = client.post(HERE, BODY)
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert found == {
        "id": found["id"],
        "message": "Down on Sunday",
        "starts_at": "2026-01-01T10:00:00.000Z",
        "ends_at": "2090-01-01T10:00:00.000Z",
        "active": True,
        "target_access_levels": [],
        "target_path": "",
        "broadcast_type": "banner",
        "dismissable": True,
        "theme": "red",
        "level": "bad",
    }
    assert client.get(f"{HERE}/{found['id']}").json() == found
    assert client.get(HERE).json() == [found]
    assert "Down on Sunday" in Client().get("/users/sign_in").content.decode()
    assert client.delete(f"{HERE}/{found['id']}").status_code == 204
    assert_refused(client.get(f"{HERE}/{found['id']}"), 404)
    assert_refused(client.delete(f"{HERE}/{found['id']}"), 404)
    actions = AuditEvent.objects.filter(action__startswith="broadcast_message.")
    assert {(event.action, event.actor) for event in actions} == {
        ("broadcast_message.create", root),
        ("broadcast_message.delete", root),
    }


def test_what_is_left_out(api: Api, root: Any) -> None:
    """From now on for an hour, and it can't be put away: as in GitLab."""
    before = timezone.now()
    found = api(root).post(HERE, {"message": "Hello"}).json()
    row = BroadcastMessage.objects.get()
    assert before <= row.starts_at <= timezone.now()
    assert row.ends_at - row.starts_at == dt.timedelta(hours=1)
    assert (found["dismissable"], found["theme"], found["level"]) == (False, "indigo", "info")


def test_change(api: Api, root: Any) -> None:
    client = api(root)
    pk = client.post(HERE, BODY).json()["id"]
    found = client.put(f"{HERE}/{pk}", {"message": "On Monday", "theme": "light-green"}).json()
    assert (found["message"], found["level"], found["theme"]) == ("On Monday", "good", "green")
    assert found["ends_at"] == "2090-01-01T10:00:00.000Z"
    assert client.put(f"{HERE}/{pk}", {"level": "warn", "theme": "red"}).json()["level"] == "warn"
    assert_refused(client.put(f"{HERE}/{pk}", {"ends_at": "2025-01-01"}), 400, "ends_at")
    assert_refused(client.put(f"{HERE}/{pk + 1}", {"message": "x"}), 404)
    assert BroadcastMessage.objects.get().level == "warn"


def test_what_ours_have_not_is_taken_where_it_changes_nothing(api: Api, root: Any) -> None:
    more = {
        "color": "#123456",
        "font": "#FFFFFF",
        "broadcast_type": "banner",
        "target_path": "",
        "target_access_levels": [],
    }
    assert api(root).post(HERE, BODY | more).status_code == 201


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"message": " "}, "message"),
        ({"message": None}, "message is empty"),
        ({"message": "x" * 501}, "500"),
        ({"ends_at": "2025-01-01T10:00:00Z"}, "Later than the beginning"),
        ({"starts_at": "soon"}, "starts_at is invalid"),
        ({"theme": "loud"}, "theme does not have a valid value"),
        ({"level": "loud"}, "level does not have a valid value"),
        ({"broadcast_type": "notification"}, "broadcast_type does not have a valid value"),
        ({"target_path": "*/welcome"}, "target_path"),
        ({"target_access_levels": [30]}, "target_access_levels"),
    ],
)
def test_not_made(api: Api, root: Any, change: dict[str, Any], says: str) -> None:
    assert_refused(api(root).post(HERE, BODY | change), 400, says)
    assert not BroadcastMessage.objects.exists()


def test_who_may(api: Api, root: Any, alice: Any) -> None:
    pk = api(root).post(HERE, BODY).json()["id"]
    for client, status in ((api(alice), 403), (api(root, "read_api"), 403), (api(), 401)):
        assert client.get(HERE).status_code == 200
        assert client.get(f"{HERE}/{pk}").status_code == 200
        assert_refused(client.post(HERE, BODY), status)
        assert_refused(client.put(f"{HERE}/{pk}", {"message": "x"}), status)
        assert_refused(client.delete(f"{HERE}/{pk}"), status)
    assert BroadcastMessage.objects.get().message == "Down on Sunday"


def test_pages(api: Api, root: Any) -> None:
    client = api(root)
    for _ in range(3):
        client.post(HERE, BODY)
    with CaptureQueriesContext(connection) as few:
        page = client.get(f"{HERE}?per_page=1")
    assert page.headers["X-Total"] == "3"
    assert page.json()[0]["id"] == BroadcastMessage.objects.latest("pk").pk
    with CaptureQueriesContext(connection) as more:
        assert len(client.get(HERE).json()) == 3
    assert len(more) <= len(few) <= 6
