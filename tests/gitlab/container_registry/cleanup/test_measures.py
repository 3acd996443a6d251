"""How many cleanups are under way, for whoever watches."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.container_registry import measures
from gitlab.container_registry.cleanup.models import CleanupRun

pytestmark = pytest.mark.django_db


def test_by_what_is_next(make_project: Any) -> None:
    before = timezone.now() - dt.timedelta(minutes=5)
    for name, status in (("a", "planning"), ("b", "running"), ("c", "running"), ("d", "finished")):
        CleanupRun.objects.create(
            project=make_project(f"acme/{name}"), status=status, turn_at=before
        )
    found = {
        labels["state"]: number
        for name, _, labels, number in measures._cleanups(timezone.now())
        if name == "berth_cleanups"
    }
    assert found == {"planning": 1, "approved": 0, "running": 2, "undoing": 0}
    (age,) = [n for name, _, _, n in measures._cleanups(timezone.now()) if name.endswith("seconds")]
    assert 300 <= age < 900
    CleanupRun.objects.all().delete()
    assert all(number == 0 for *_, number in measures._cleanups(timezone.now()))
