"""``manage.py registry_export``: what has happened as JSON lines, before its time ends."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from registry.models import Event, Tag
from registry.services import exporting, retention, tags
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import ALICE
from tests.registry.services.test_retention import event, receipt

pytestmark = pytest.mark.django_db(databases=["registry"])


def export(*arguments: str) -> tuple[list[dict[str, Any]], str]:
    """The rows, and what was said beside them."""
    out, said = io.StringIO(), io.StringIO()
    call_command("registry_export", *arguments, stdout=out, stderr=said)
    return [json.loads(line) for line in out.getvalue().splitlines()], said.getvalue()


@pytest.mark.parametrize(
    ("kind", "make", "address"),
    [
        ("events", event, "/gitlab/v1/events/"),
        ("receipts", receipt, "/gitlab/v1/garbage/receipts/"),
    ],
)
def test_a_line_is_what_the_api_says(
    kind: str, make: Any, address: str, gitlab: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, whatever the page in memory, and from where one has stopped."""
    monkeypatch.setattr(exporting, "PAGE", 2)
    ids = [make(days).pk for days in (30, 20, 10, 5, 1)]
    rows, said = export(kind)
    assert rows == gitlab.send("GET", address).json()
    assert [row["id"] for row in rows] == ids
    assert said == f"5 exported; the last id is {ids[-1]}.\n"
    assert [row["id"] for row in export(kind, f"--after={ids[2]}")[0]] == ids[3:]
    before = (timezone.now() - dt.timedelta(days=7)).isoformat()
    assert [row["id"] for row in export(kind, f"--before={before}")[0]] == ids[:3]
    rows, said = export(kind, f"--after={ids[-1]}")
    assert (rows, said) == ([], f"0 exported; the last id is {ids[-1]}.\n")


def test_the_history_of_tags(clock: Any, settings: Any) -> None:
    """With `--before` what has ended by then: all that a sweep may take."""
    one = images.push_image(APP, "latest").digest
    clock.advance(days=10)
    two = images.push_image(APP, "latest").digest
    clock.advance(days=10)
    other = images.push_image("acme/other", "ä".encode().hex()).digest
    tags.delete(APP, "latest", ALICE)
    rows, _ = export("tag-history")
    assert [(row["repository"], row["tag"], row["digest"]) for row in rows] == [
        (APP, "latest", one), (APP, "latest", two), ("acme/other", "c3a4", other),
    ]  # fmt: skip
    assert [row["until"] is None for row in rows] == [False, False, True]
    assert (rows[1]["pushed_by"], rows[1]["ended_by"]) == ("alice", "alice")
    clock.advance(days=10)
    settings.REGISTRY_TAG_HISTORY_KEPT = dt.timedelta(days=15)
    before = (clock.now() - settings.REGISTRY_TAG_HISTORY_KEPT).isoformat()
    exported = {row["id"] for row in export("tag-history", f"--before={before}")[0]}
    known = set(Tag.objects.values_list("pk", flat=True))
    retention.sweep(100)
    assert known - set(Tag.objects.values_list("pk", flat=True)) == exported != set()


def test_a_page_at_a_time_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PAGE", 3)
    Event.objects.bulk_create([Event(action="push", repository=APP) for _ in range(10)])
    asked: list[tuple[int, int]] = []
    page = exporting._KINDS["events"]

    def noting(after: int, limit: int) -> list[Any]:
        asked.append((after, limit))
        return page[0](after, limit)

    monkeypatch.setitem(exporting._KINDS, "events", (noting, *page[1:]))
    first = next(exporting.rows("events"))["id"]
    assert asked == [(0, 3)]
    assert len(list(exporting.rows("events", after=first))) == 9
    assert {limit for _, limit in asked} == {3}


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", ""])
def test_a_moment_that_is_none(text: str) -> None:
    with pytest.raises(CommandError, match="a moment is"):
        call_command("registry_export", "events", f"--before={text}")
