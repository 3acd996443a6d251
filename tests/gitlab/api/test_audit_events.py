"""`/audit_events`, of everything and of a project or group."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gitlab.audit.models import AuditEvent
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def test_the_shape(api: Api, alice: Any, app: Any) -> None:
    api(alice).put(f"projects/{app.pk}", {"description": "New"})
    found = api(alice).get(f"projects/{app.pk}/audit_events").json()
    assert [one["event_name"] for one in found] == ["project.update", "project.create"]
    newest = found[0]
    assert newest["author_id"] == alice.pk
    assert (newest["entity_type"], newest["entity_id"]) == ("Project", app.pk)
    assert newest["details"]["author_name"] == "alice"
    assert newest["details"]["target_details"] == "acme/app"
    assert newest["details"]["ip_address"] == "127.0.0.1"
    assert newest["details"]["custom"] == {"description": ["", "New"]}
    assert newest["created_at"].endswith("Z")
    one = api(alice).get(f"projects/acme%2Fapp/audit_events/{newest['id']}").json()
    assert one == newest


def test_of_everything(api: Api, root: Any, alice: Any, app: Any) -> None:
    listed = api(root).get("audit_events?per_page=100")
    assert int(listed.headers["X-Total"]) == AuditEvent.objects.count()
    here = f"audit_events?entity_type=Group&entity_id={app.namespace_id}"
    assert [one["event_name"] for one in api(root).get(here).json()] == ["group.create"]
    assert api(root).get("audit_events?created_before=2001-01-01T00:00:00Z").json() == []
    event = AuditEvent.objects.first()
    assert event is not None
    assert api(root).get(f"audit_events/{event.pk}").json()["id"] == event.pk
    assert_refused(api(root).get("audit_events/999999"), 404, "404 Audit Event Not Found")
    assert_refused(api(root).get("audit_events?entity_type=Secret"), 400)


def test_by_key(api: Api, root: Any, app: Any) -> None:
    seen: list[int] = []
    address = "audit_events?pagination=keyset&per_page=2"
    client = api(root)
    client.get("user")  # The first use of its token is an event too.
    count = AuditEvent.objects.count()
    while address:
        answer = client.get(address)
        seen += [one["id"] for one in answer.json()]
        address = answer.headers.get("Link", "").partition("/api/v4/")[2].partition(">")[0]
    assert sorted(seen, reverse=True) == seen
    assert len(set(seen)) == count


def test_of_a_group(api: Api, alice: Any, app: Any) -> None:
    found = api(alice).get("groups/acme/audit_events").json()
    assert [one["entity_type"] for one in found] == ["Group"]
    other = AuditEvent.objects.filter(target_type="project").first()
    assert other is not None
    assert_refused(api(alice).get(f"groups/acme/audit_events/{other.pk}"), 404)


def test_who_may(api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any) -> None:
    assert_refused(api(alice).get("audit_events"), 403)
    assert_refused(api(alice).get("audit_events/1"), 403)
    assert_refused(api().get("audit_events"), 401)
    for user in (bob, carol):
        assert_refused(api(user).get(f"projects/{app.pk}/audit_events"), 403)
    assert_refused(api(mallory).get(f"projects/{app.pk}/audit_events"), 404)
    assert_refused(api().get(f"projects/{app.pk}/audit_events"), 401)


def test_queries_do_not_grow(api: Api, root: Any, app: Any) -> None:
    client = api(root)
    client.get("audit_events")
    with CaptureQueriesContext(connection) as few:
        client.get("audit_events?per_page=1")
    with CaptureQueriesContext(connection) as more:
        assert len(client.get("audit_events").json()) > 5
    assert len(more) <= len(few) <= 3
