"""`/deploy_tokens`, of a project and of a group: listed, shown, made, revoked."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.access_tokens.models import DeployToken
from tests.gitlab.api.conftest import Api, ApiClient, assert_refused
from tests.people import basic

pytestmark = pytest.mark.django_db

BODY = {"name": "ci", "scopes": ["read_registry", "write_registry"]}


def day(days: int) -> str:
    return (timezone.now().date() + dt.timedelta(days=days)).isoformat()


@pytest.mark.parametrize("where", ["projects/acme%2Fapp", "groups/acme"])
def test_the_shape(api: Api, alice: Any, app: Any, where: str) -> None:
    client = api(alice)
    answer = client.post(f"{where}/deploy_tokens", {**BODY, "expires_at": f"{day(3)}T00:00:00Z"})
    assert answer.status_code == 201, answer.content
    found = answer.json()
    text = found.pop("token")
    assert text.startswith("gldt-")
    assert found == {
        "id": found["id"],
        "name": "ci",
        "username": f"gitlab+deploy-token-{found['id']}",
        "expires_at": f"{day(3)}T00:00:00.000Z",
        "revoked": False,
        "expired": False,
        "scopes": ["read_registry", "write_registry"],
    }
    assert client.get(f"{where}/deploy_tokens/{found['id']}").json() == found
    assert client.get(f"{where}/deploy_tokens").json() == [found]
    login = "/jwt/auth?service=container_registry"
    header = basic(found["username"], text)
    assert Client().get(login, HTTP_AUTHORIZATION=header).status_code == 200
    # It opens nothing here.
    assert_refused(ApiClient(text).get("projects/acme%2Fapp"), 401)
    assert client.delete(f"{where}/deploy_tokens/{found['id']}").status_code == 204
    assert Client().get(login, HTTP_AUTHORIZATION=header).status_code == 401
    assert client.get(f"{where}/deploy_tokens?active=true").json() == []
    assert client.get(f"{where}/deploy_tokens?active=false").json()[0]["revoked"] is True


def test_all_of_them(api: Api, root: Any, alice: Any, app: Any) -> None:
    api(alice).post("projects/acme%2Fapp/deploy_tokens", BODY)
    api(alice).post("groups/acme/deploy_tokens", {**BODY, "username": "robot"})
    found = api(root).get("deploy_tokens?active=true").json()
    assert found[0]["username"] == "robot"
    assert len(found) == 2
    assert_refused(api(alice).get("deploy_tokens"), 403)
    assert_refused(api().get("deploy_tokens"), 401)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "name is empty"),
        ({"scopes": []}, "scopes is empty"),
        ({"scopes": ["api"]}, "scopes"),
        ({"username": "alice"}, "person"),
        ({"username": "a b"}, "username"),
        ({"expires_at": "2001-01-01"}, "future"),
        ({"expires_at": "soon"}, "expires_at is invalid"),
        ({"expires_at": "soonT"}, "expires_at is invalid"),
    ],
)
def test_not_made(api: Api, alice: Any, app: Any, change: dict[str, Any], says: str) -> None:
    answer = api(alice).post("projects/acme%2Fapp/deploy_tokens", {**BODY, **change})
    assert_refused(answer, 400, says)
    assert not DeployToken.objects.exists()


def test_who_may(api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any) -> None:
    made = api(alice).post("projects/acme%2Fapp/deploy_tokens", BODY).json()
    here = "projects/acme%2Fapp/deploy_tokens"
    clients = [(api(bob), 403), (api(carol), 403), (api(mallory), 404), (api(), 401)]
    for client, status in clients:
        assert_refused(client.get(here), status)
        assert_refused(client.post(here, BODY), status)
        assert_refused(client.get(f"{here}/{made['id']}"), status)
        assert_refused(client.delete(f"{here}/{made['id']}"), status)
    assert_refused(api(alice).get(f"groups/acme/deploy_tokens/{made['id']}"), 404)
    assert_refused(api(alice).delete(f"{here}/999999"), 404)
    assert DeployToken.objects.filter(revoked_at=None).count() == 1


def test_queries_do_not_grow(api: Api, alice: Any, app: Any) -> None:
    client = api(alice)
    for _ in range(3):
        client.post("projects/acme%2Fapp/deploy_tokens", BODY)
    with CaptureQueriesContext(connection) as few:
        client.get("projects/acme%2Fapp/deploy_tokens?per_page=1")
    with CaptureQueriesContext(connection) as more:
        assert len(client.get("projects/acme%2Fapp/deploy_tokens").json()) == 3
    assert len(more) <= len(few) <= 7
