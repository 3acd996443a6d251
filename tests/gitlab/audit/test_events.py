"""Audit events are added and never changed."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.audit.middleware import OriginMiddleware
from gitlab.audit.models import AuditEvent
from gitlab.audit.origin import acting_from, client_ip
from gitlab.audit.services import events_of, record

pytestmark = pytest.mark.django_db


def test_it_keeps_who_what_and_where_from(alice: Any) -> None:
    with acting_from("192.0.2.9"):
        record("thing.do", by=alice, target=alice, colour="blue")
    event = events_of(alice).get(action="thing.do")
    assert (event.actor, event.actor_name, event.address) == (alice, "alice", "192.0.2.9")
    assert event.details == {"colour": "blue"}
    assert event.target_path == "alice"
    assert client_ip() == ""


def test_it_is_append_only(alice: Any) -> None:
    event = record("thing.do", by=None)
    with pytest.raises(TypeError):
        event.save()
    with pytest.raises(TypeError):
        event.delete()
    with pytest.raises(TypeError):
        AuditEvent.objects.all().delete()
    with pytest.raises(TypeError):
        AuditEvent.objects.update(action="other")


def test_the_middleware_says_where_a_request_comes_from(rf: Any) -> None:
    seen = []
    OriginMiddleware(lambda request: seen.append(client_ip()))(rf.get("/", REMOTE_ADDR="192.0.2.3"))
    assert seen == ["192.0.2.3"]
