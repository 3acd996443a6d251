"""A push as it happens: what a page shows that looks again by itself, and what it costs."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import Arriving, PushedTag, UnderWay
from tests.gitlab.played_registry import digest

pytestmark = [pytest.mark.django_db, pytest.mark.engineless]

PROJECT = "/acme/app/-/pushes"
PART = {"HX-Request": "true"}
NOW = dt.datetime(2026, 11, 20, 12, 0, 30, tzinfo=dt.UTC)


@pytest.fixture
def web(app: Any, make_image: Any) -> Any:
    return make_image("acme/app/web", of=app)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Tells `NOW` until a test says otherwise."""
    moment = {"now": NOW}
    monkeypatch.setattr(timezone, "now", lambda: moment["now"])
    return moment


@pytest.fixture
def going_on(played: Any) -> Any:
    at = NOW - dt.timedelta(minutes=3)
    state = UnderWay(
        (Arriving("acme/app/web", 3, 42 * 1024**2, 1, 5 * 1024**2, at, ("bob",)),),
        (PushedTag("acme/app/web", "v1", digest("a"), "carol", at),),
        12,
    )
    played.going_on = {"acme/app": state, "acme/app/web": state}
    return played


def test_a_project_tells_layer_by_layer(browser: Any, carol: Any, web: Any, going_on: Any) -> None:
    page = browser(carol).get(PROJECT, headers=PART).content.decode()
    assert "<b>bob</b> is pushing" in page
    assert "3 layers" in page
    assert "42.0 MiB" in page
    assert "1 on its way" in page
    assert f'href="/acme/app/container_registry/{web.pk}/tags/v1"' in page
    assert "12 pulls today" in page
    assert "<html" not in page
    assert f'hx-get="{PROJECT}"' in page


def test_an_image_tells_its_own(browser: Any, carol: Any, web: Any, going_on: Any) -> None:
    page = browser(carol).get(f"{PROJECT}/{web.pk}", headers=PART).content.decode()
    assert "is pushing" in page
    assert browser(carol).get(f"/acme/other/-/pushes/{web.pk}").status_code == 404


def test_without_javascript_it_is_a_page(browser: Any, carol: Any, web: Any, going_on: Any) -> None:
    for path in (PROJECT, f"{PROJECT}/{web.pk}"):
        page = browser(carol).get(path).content.decode()
        assert "<html" in page
        assert "is pushing" in page
    assert f'href="{PROJECT}"' in browser(carol).get("/acme/app").content.decode()


def test_who_may_not_read_images_learns_nothing(
    browser: Any, mallory: Any, web: Any, going_on: Any
) -> None:
    for path in (PROJECT, f"{PROJECT}/{web.pk}"):
        assert browser(mallory).get(path, headers=PART).status_code == 404
        assert browser(None).get(path, headers=PART).status_code == 302


def test_while_nothing_changes_there_is_nothing_to_send(
    browser: Any, carol: Any, web: Any, going_on: Any, clock: Any
) -> None:
    client = browser(carol)
    first = client.get(PROJECT, headers=PART)
    assert first.headers["ETag"].startswith("W/")
    assert {"private", "no-cache"} <= {
        each.strip() for each in first.headers["Cache-Control"].split(",")
    }
    known = {**PART, "If-None-Match": first.headers["ETag"]}
    again = client.get(PROJECT, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    # Who has the whole page has not got the part.
    assert client.get(PROJECT, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200
    clock["now"] = NOW + dt.timedelta(minutes=1)
    assert client.get(PROJECT, headers=known).status_code == 200, "times are told in words"
    clock["now"] = NOW
    going_on.going_on["acme/app"] = UnderWay()
    assert client.get(PROJECT, headers=known).status_code == 200


@pytest.mark.parametrize(
    ("trouble", "said"),
    [(RegistryUnavailable("gone"), "looks again"), (RegistryRefused(500, "X", "no"), "be said")],
)
def test_trouble_is_said_and_looked_at_again(
    browser: Any, carol: Any, web: Any, played: Any, trouble: Exception, said: str
) -> None:
    played.trouble = trouble
    page = browser(carol).get(PROJECT, headers=PART).content.decode()
    assert said in page
    assert 'hx-trigger="every 5s"' in page


def test_another_registry_does_not_tell(browser: Any, carol: Any, web: Any, played: Any) -> None:
    played.has_own_api = False
    assert "does not tell" in browser(carol).get(PROJECT, headers=PART).content.decode()
