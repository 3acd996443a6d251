"""What a registry says of its database and store."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gitlab.container_registry.client import chosen
from gitlab.container_registry.client.connection import Connection, RegistryUnavailable
from tests.gitlab.container_registry.client.played_network import PlayedNetwork

pytestmark = pytest.mark.engineless


@pytest.fixture
def answering(monkeypatch: Any) -> Any:
    def made(answer: Any) -> None:
        def say(request: httpx.Request) -> httpx.Response:
            assert request.url.path == "/-/readiness"
            assert "Authorization" not in request.headers
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]

        line = Connection("http://registry", attempts=1, transport=PlayedNetwork(say))
        monkeypatch.setattr(chosen, "_line", lambda *_: line)

    return made


def test_all_is_well(answering: Any) -> None:
    body = {
        "status": "ok",
        "database_check": [{"status": "ok"}],
        "storage_check": [{"status": "ok"}],
    }
    answering(httpx.Response(200, json=body))
    assert chosen.readiness() == {"database": "", "storage": ""}


def test_what_is_wrong(answering: Any) -> None:
    failed = [{"status": "failed", "message": "it is full"}]
    answering(httpx.Response(503, json={"status": "failed", "storage_check": failed}))
    assert chosen.readiness() == {"storage": "it is full"}
    answering(httpx.Response(503, json={"storage_check": [{"status": "failed"}], "x": "y"}))
    assert chosen.readiness() == {"storage": "it failed"}


@pytest.mark.parametrize(
    "answer", [httpx.Response(404, text="not found"), httpx.Response(200, json=[1])]
)
def test_one_that_does_not_say(answering: Any, answer: Any) -> None:
    answering(answer)
    assert chosen.readiness() == {}


@pytest.mark.parametrize(
    "answer", [httpx.ConnectError("no"), httpx.Response(500), httpx.Response(200, text="<p>")]
)
def test_silence(answering: Any, answer: Any) -> None:
    answering(answer)
    with pytest.raises(RegistryUnavailable):
        chosen.readiness()
