"""Audit events are kept for ever or for a time, and handed out before."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from gitlab.audit import export, retention
from gitlab.audit.models import AuditEvent
from gitlab.audit.services import record
from workers import tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def old() -> list[int]:
    """The ids of events from so many days ago, the oldest first."""
    now = timezone.now()
    events = [
        AuditEvent(action="thing.do", at=now - dt.timedelta(days=days), details={"day": days})
        for days in (50, 40, 30, 20, 10)
    ]
    return [event.pk for event in AuditEvent.objects.bulk_create(events)]


def left() -> list[int]:
    """The ids of what the tests have planted."""
    planted = AuditEvent.objects.filter(action="thing.do").order_by("pk")
    return list(planted.values_list("pk", flat=True))


def test_they_are_kept_for_ever_unless_a_time_is_set(settings: Any, old: list[int]) -> None:
    assert dt.timedelta(0) == settings.AUDIT_EVENTS_KEPT
    tasks.sweep_audit_events()
    assert left() == old


def test_those_whose_time_is_over_go_in_batches(
    settings: Any, old: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the audit says itself how many went, with each batch."""
    settings.AUDIT_EVENTS_KEPT = dt.timedelta(days=15)
    monkeypatch.setattr(retention, "BATCH", 3)
    assert retention.sweep(batches=1) == 3
    assert left() == old[3:]
    tasks.sweep_audit_events()
    assert left() == old[4:]
    assert retention.sweep() == 0
    told = AuditEvent.objects.filter(action="audit_event.expire").order_by("pk")
    assert [event.details["removed"] for event in told] == [3, 1]
    assert {(event.actor, event.actor_name) for event in told} == {(None, "")}


def test_a_batch_goes_with_its_record_or_not_at_all(
    settings: Any, old: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIT_EVENTS_KEPT = dt.timedelta(days=15)

    def fail(*arguments: Any, **details: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(retention, "record", fail)
    with pytest.raises(KeyboardInterrupt):
        retention.sweep()
    assert left() == old


def run(*arguments: str) -> tuple[list[dict[str, Any]], str]:
    out, said = io.StringIO(), io.StringIO()
    call_command("audit", "export", *arguments, stdout=out, stderr=said)
    return [json.loads(line) for line in out.getvalue().splitlines()], said.getvalue()


def test_each_is_a_line(old: list[int], alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    last = record("thing.tell", by=alice, target=alice, address="192.0.2.9", colour="grün")
    rows, said = run(f"--after={old[0] - 1}")
    assert [row["id"] for row in rows if row["action"] == "thing.do"] == old
    assert rows[-1] == {
        "id": last.pk,
        "at": last.at.isoformat(timespec="microseconds"),
        "actor": "alice",
        "actor_id": alice.pk,
        "action": "thing.tell",
        "target_type": "user",
        "target_id": alice.pk,
        "target_path": "alice",
        "details": {"colour": "grün"},
        "address": "192.0.2.9",
        "credential": "",
        "request_id": last.request_id,
        "project_id": None,
        "namespace_id": None,
        "person_id": alice.pk,
        "position": None,
        "digest": "",
    }
    assert f"the last id is {last.pk}." in said
    assert [row["id"] for row in run(f"--after={last.pk - 1}")[0]] == [last.pk]


def test_what_is_exported_before_a_moment_is_what_a_sweep_takes(
    settings: Any, old: list[int]
) -> None:
    settings.AUDIT_EVENTS_KEPT = dt.timedelta(days=15)
    before = (timezone.now() - settings.AUDIT_EVENTS_KEPT).isoformat()
    exported = [row["id"] for row in run(f"--before={before}")[0]]
    retention.sweep()
    assert exported == old[:4]
    assert left() == old[4:]
    with pytest.raises(CommandError, match="a moment is"):
        run("--before=soon")
