"""Sessions that are over leave nothing, and nobody keeps a page of somebody."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from gitlab.accounts import sessions
from gitlab.accounts.models import User
from workers import tasks

pytestmark = pytest.mark.django_db


def test_those_that_are_over_are_swept_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "BATCH", 2)
    now = timezone.now()
    for number in range(5):
        Session.objects.create(
            session_key=f"over-{number}", session_data="", expire_date=now - dt.timedelta(days=1)
        )
    Session.objects.create(
        session_key="alive", session_data="", expire_date=now + dt.timedelta(days=1)
    )
    assert sessions.sweep(batches=1) == 2
    tasks.sweep_sessions()
    assert [row.pk for row in Session.objects.all()] == ["alive"]
    assert sessions.sweep() == 0


@pytest.mark.parametrize(
    "path", ["/", "/dashboard/groups", "/-/user_settings/profile", "/no/where"]
)
def test_a_page_of_somebody_is_kept_by_no_cache(alice: User, path: str) -> None:
    client = Client()
    assert "Cache-Control" not in client.get("/explore/projects").headers
    client.force_login(alice)
    assert "no-store" in client.get(path).headers["Cache-Control"]
