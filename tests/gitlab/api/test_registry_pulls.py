"""Beyond GitLab: how often an image was pulled."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import DailyPulls
from tests.gitlab.api.conftest import Api, assert_refused
from tests.gitlab.played_registry import digest

pytestmark = pytest.mark.django_db


@pytest.fixture
def here(app: Any, web: Any, played: Any) -> str:
    """The address of the pulls of an image that was pulled on two days."""
    played.push("acme/app/web", "v1", "a")
    played.daily["acme/app/web", ""] = [
        DailyPulls(dt.date(2026, 11, 20), "job", 9),
        DailyPulls(dt.date(2026, 11, 18), "anonymous", 4),
    ]
    played.daily["acme/app/web", digest("a")] = [DailyPulls(dt.date(2026, 11, 18), "job", 1)]
    return f"projects/{app.pk}/registry/repositories/{web.pk}/pulls"


def test_by_day_and_kind(api: Api, carol: Any, here: str) -> None:
    answer = api(carol).get(here)
    assert answer.status_code == 200, answer.content
    assert answer.json() == [
        {"day": "2026-11-20", "credential": "job", "pulls": 9},
        {"day": "2026-11-18", "credential": "anonymous", "pulls": 4},
    ]
    assert len(api(carol).get(f"{here}?days=1").json()) == 1
    (one,) = api(carol).get(f"{here}?tag_name=v1").json()
    assert one["pulls"] == 1


@pytest.mark.parametrize("query", ["days=0", "days=367", "days=x"])
def test_odd_questions_are_refused(api: Api, carol: Any, here: str, query: str) -> None:
    assert api(carol).get(f"{here}?{query}").status_code == 400


def test_who_may_and_what_is_not_there(
    api: Api, carol: Any, mallory: Any, here: str, played: Any
) -> None:
    for tag in ("nothing", "-no"):
        assert_refused(api(carol).get(f"{here}?tag_name={tag}"), 404, "404 Tag Not Found")
    for client, status in ((api(mallory), 404), (api(None), 404)):
        assert_refused(client.get(here), status)
    played.trouble = RegistryUnavailable("no answer")
    assert_refused(api(carol).get(here), 503, "no answer")
    played.has_own_api = False
    assert_refused(api(carol).get(here), 422, "counts no pulls")
