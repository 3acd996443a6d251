"""`/projects/:id/access_tokens` and `/groups/:id/access_tokens`: listed, made, rotated, revoked."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.gitlab.api.conftest import Api, ApiClient, assert_refused

pytestmark = pytest.mark.django_db

BODY = {"name": "robot", "scopes": ["api"], "access_level": 30, "description": "Pushes"}


def day(days: int) -> str:
    return (timezone.now().date() + dt.timedelta(days=days)).isoformat()


@pytest.mark.parametrize("where", ["projects/acme%2Fapp", "groups/acme"])
def test_it_works(api: Api, alice: Any, app: Any, where: str) -> None:
    here = f"{where}/access_tokens"
    client = api(alice)
    answer = client.post(here, {**BODY, "expires_at": day(20)})
    assert answer.status_code == 201, answer.content
    found = answer.json()
    text = found.pop("token")
    assert (found["name"], found["access_level"], found["scopes"]) == ("robot", 30, ["api"])
    assert (found["expires_at"], found["description"], found["active"]) == (day(20), "Pushes", True)
    assert found["user_id"] != alice.pk
    assert client.get(f"{here}/{found['id']}").json() == found
    assert client.get(here).json() == [found]
    bot = ApiClient(text)
    assert bot.get("user").json()["id"] == found["user_id"]
    assert bot.get("projects/acme%2Fapp").status_code == 200
    rotated = client.post(f"{here}/{found['id']}/rotate", {"expires_at": day(9)})
    assert rotated.status_code == 200, rotated.content
    assert rotated.json()["access_level"] == 30
    assert rotated.json()["expires_at"] == day(9)
    again = ApiClient(rotated.json()["token"])
    assert again.get("user").json()["id"] == found["user_id"]
    assert client.delete(f"{here}/{rotated.json()['id']}").status_code == 204
    assert_refused(again.get("user"), 401)
    assert client.get(f"{here}?state=active").json() == []
    assert len(client.get(f"{here}?state=inactive&search=ROB").json()) == 2


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"name": ""}, 400, "name is empty"),
        ({"scopes": ["sudo"]}, 400, "scopes"),
        ({"access_level": 31}, 400, "access_level does not have a valid value"),
        ({"expires_at": "2001-01-01"}, 400, "future"),
    ],
)
def test_not_made(
    api: Api, alice: Any, app: Any, change: dict[str, Any], status: int, says: str
) -> None:
    answer = api(alice).post("projects/acme%2Fapp/access_tokens", {**BODY, **change})
    assert_refused(answer, status, says)
    assert api(alice).get("projects/acme%2Fapp/access_tokens").json() == []


def test_nobody_gives_more_than_they_have(api: Api, alice: Any, bob: Any, app: Any) -> None:
    api(alice).put(f"projects/{app.pk}/members/{bob.pk}", {"access_level": 40})
    here = f"projects/{app.pk}/access_tokens"
    assert_refused(api(bob).post(here, {**BODY, "access_level": 50}), 403, "more than you have")
    assert api(bob).post(here, {**BODY, "access_level": 40}).status_code == 201


def test_who_may(api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any) -> None:
    here = "projects/acme%2Fapp/access_tokens"
    made = api(alice).post(here, BODY).json()
    one = f"{here}/{made['id']}"
    clients = [(api(bob), 403), (api(carol), 403), (api(mallory), 404), (api(), 401)]
    for client, status in clients:
        assert_refused(client.get(here), status)
        assert_refused(client.post(here, BODY), status)
        assert_refused(client.get(one), status)
        assert_refused(client.delete(one), status)
        assert_refused(client.post(f"{one}/rotate"), status)
    assert_refused(api(alice).get(f"groups/acme/access_tokens/{made['id']}"), 404)
    assert_refused(api(alice).post(f"{here}/999999/rotate"), 404)
    assert api(alice).get(one).json()["active"] is True


def test_queries_do_not_grow(api: Api, alice: Any, app: Any) -> None:
    client = api(alice)
    for _ in range(3):
        client.post("projects/acme%2Fapp/access_tokens", BODY)
    with CaptureQueriesContext(connection) as few:
        client.get("projects/acme%2Fapp/access_tokens?per_page=1")
    with CaptureQueriesContext(connection) as more:
        assert len(client.get("projects/acme%2Fapp/access_tokens").json()) == 3
    assert len(more) <= len(few) <= 7
