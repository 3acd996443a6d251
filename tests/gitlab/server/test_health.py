"""``/-/liveness``, ``/-/readiness`` and ``/-/health`` of the web process."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gitlab.server import health

pytestmark = pytest.mark.django_db(databases=["default", "registry"])
CANARY = "canary-of-the-broker"


@pytest.fixture
def client() -> Client:
    """A load balancer, which knows no name."""
    return Client(HTTP_HOST="10.1.2.3:8000")


def test_ready(client: Client) -> None:
    response = client.get("/-/readiness")
    assert response.status_code == 200
    checks = {f"{name}_check": [{"status": "ok"}] for name in ("db", "cache", "queue")}
    assert response.json() == {"status": "ok", **checks}
    assert response["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response


@pytest.mark.parametrize("name", ["db", "cache", "queue"])
def test_what_is_broken_is_named_and_no_more(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    def broken() -> None:
        raise DatabaseError(f"no connection to redis://:{CANARY}@host")

    with monkeypatch.context() as patch:
        patch.setitem(health.CHECKS, name, broken)
        with caplog.at_level(logging.INFO):
            response = client.get("/-/readiness")
        assert response.status_code == 503
        body = response.json()
        assert body["status"] == "failed"
        assert [
            key for key, value in body.items() if value != "failed" and value[0]["status"] != "ok"
        ] == [f"{name}_check"]
        assert CANARY not in caplog.text + response.content.decode()
        assert client.get("/-/liveness").status_code == 200
    assert client.get("/-/readiness").status_code == 200


def test_a_broker_that_is_not_there(client: Client, settings: Any) -> None:
    from pydantic import SecretStr

    berth = settings.CONFIG.berth.model_copy(
        update={"broker_url": SecretStr("redis://127.0.0.1:1/0")}
    )
    settings.CONFIG = settings.CONFIG.model_copy(update={"berth": berth})
    response = client.get("/-/readiness")
    assert response.status_code == 503
    assert response.json()["queue_check"][0]["status"] == "failed"


@pytest.mark.parametrize("path", ["/-/liveness", "/-/health"])
def test_liveness_touches_nothing(client: Client, path: str) -> None:
    with (
        CaptureQueriesContext(connections["default"]) as one,
        CaptureQueriesContext(connections["registry"]) as two,
    ):
        response = client.get(path)
    assert response.status_code == 200
    assert len(one) + len(two) == 0


def test_other_methods_and_paths_are_not_its(client: Client) -> None:
    assert client.post("/-/liveness").status_code != 200
    assert client.get("/-/liveness/").status_code != 200
