"""A project's pulls by kind of credential: for its maintainers, whatever the registry says."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import DailyPulls
from tests.gitlab.played_registry import *  # noqa: F403

pytestmark = pytest.mark.django_db

PAGE = "/acme/app/-/audit_events/pulls"
TODAY = dt.date(2026, 11, 29)


@pytest.fixture
def page(client: Any, alice: Any, make_project: Any, make_image: Any, played: Any) -> Any:
    """The page, as its maintainer sees it."""
    project = make_project("acme/app", owner=alice)
    make_image("acme/app", of=project)
    make_image("acme/app/web", of=project)
    client.force_login(alice)

    def get() -> str:
        answer = client.get(PAGE)
        assert answer.status_code == 200
        return str(answer.content.decode())

    return get


def test_counts_by_kind_of_credential(page: Any, played: Any) -> None:
    played.daily["acme/app", ""] = [
        DailyPulls(TODAY, "deploy_token", 1200),
        DailyPulls(TODAY - dt.timedelta(days=1), "deploy_token", 34),
        DailyPulls(TODAY, "anonymous", 5),
    ]
    text = page()
    assert "1,239" in text
    assert "1,234 with a deploy token, 5 by visitors" in text
    assert "acme/app/web" in text.replace("<wbr>", "")


def test_the_audit_log_leads_there(client: Any, page: Any) -> None:
    assert PAGE in client.get("/acme/app/-/audit_events").content.decode()


def test_a_registry_that_counts_none(page: Any, played: Any) -> None:
    played.has_own_api = False
    assert "counts no pulls" in page()


def test_a_registry_that_does_not_answer(page: Any, played: Any) -> None:
    played.pulls = lambda *a, **k: (_ for _ in ()).throw(RegistryUnavailable("away"))
    text = page()
    assert "The registry does not answer" in text
    assert "counts no pulls" not in text


@pytest.mark.parametrize(("who", "status"), [("bob", 403), ("mallory", 404)])
def test_for_maintainers(
    client: Any, alice: Any, bob: Any, mallory: Any, make_project: Any, who: str, status: int
) -> None:
    make_project("acme/app", owner=alice, developers=[bob])
    client.force_login({"bob": bob, "mallory": mallory}[who])
    assert client.get(PAGE).status_code == status
