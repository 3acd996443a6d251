"""Which API the registry has: asked once, remembered, noticed when it changes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gitlab.container_registry.client import capabilities
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.container_registry.client.capabilities import (
    AFTER_SILENCE,
    ASKED_AGAIN,
    Capabilities,
)
from gitlab.container_registry.client.connection import Connection, RegistryRefused
from gitlab.container_registry.client.distribution import DistributionRegistry
from tests.gitlab.container_registry.client.played_network import PlayedNetwork


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> Any:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    found = Clock()
    monkeypatch.setattr(capabilities, "time", found)
    return found


@pytest.fixture
def registry() -> Any:
    """What it answers to ``GET /gitlab/v1/``, and how often it was asked."""

    class Registry:
        answer: httpx.Response | Exception = httpx.Response(404, text="404 page not found")
        asked = 0

        def __call__(self, request: pytest.FixtureRequest) -> Any:
            assert request.url.path == "/gitlab/v1/berth/"
            assert "Authorization" not in request.headers
            self.asked += 1
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    return Registry()


def known(registry: Any) -> Any:
    transport = PlayedNetwork(registry)
    return Capabilities(Connection("http://registry", attempts=1, transport=transport))


@pytest.mark.parametrize("status", [200, 401])
def test_one_that_has_it_is_believed(registry: Any, clock: Any, status: int) -> None:
    registry.answer = httpx.Response(status)
    found = known(registry)
    for _ in range(3):
        assert found.has_own_api is True
        clock.now += 10 * ASKED_AGAIN
    assert registry.asked == 1


def test_an_upgrade_is_noticed(registry: Any, clock: Any) -> None:
    found = known(registry)
    for _ in range(3):
        assert found.has_own_api is False
    assert registry.asked == 1
    registry.answer = httpx.Response(401)
    assert found.has_own_api is False
    clock.now += ASKED_AGAIN
    assert found.has_own_api is True
    assert registry.asked == 2


def test_one_that_never_answered_is_taken_for_ours_and_left_in_peace(
    registry: Any, clock: Any
) -> None:
    registry.answer = httpx.ConnectError("away")
    found = known(registry)
    for _ in range(3):
        assert found.has_own_api is True
    assert registry.asked == 1
    clock.now += AFTER_SILENCE
    registry.answer = httpx.Response(404)
    assert found.has_own_api is False


def test_silence_changes_nothing_that_is_known(registry: Any, clock: Any) -> None:
    found = known(registry)
    assert found.has_own_api is False
    registry.answer = httpx.ConnectError("away")
    clock.now += ASKED_AGAIN
    assert found.has_own_api is False


def test_an_odd_answer_is_no_answer(registry: Any, clock: Any) -> None:
    registry.answer = httpx.Response(418)
    assert known(registry).has_own_api is True


def test_another_registry_in_its_place_is_noticed(registry: Any, clock: Any) -> None:
    """Ours has become theirs: a 404 that is not in the protocol's form makes us ask again."""
    registry.answer = httpx.Response(401)
    found = known(registry)
    assert found.has_own_api is True
    transport = PlayedNetwork(lambda request: httpx.Response(404, text="404 page not found"))
    ours = BerthRegistry("http://registry", missing=found.forget, transport=transport)
    registry.answer = httpx.Response(404)
    for refused in (
        lambda: ours.repository("acme/app"),
        lambda: ours.delete_batch("acme/app"),
        ours.review_garbage,
    ):
        found.has_own_api  # noqa: B018
        with pytest.raises(RegistryRefused):
            refused()
        assert found.has_own_api is False
        found._has_own_api = True


def test_the_client_that_fits(registry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = known(registry)
    url = "http://registry.test"
    monkeypatch.setattr(clients.settings, "CONTAINER_REGISTRY_API_URL", url)
    monkeypatch.setitem(clients._known, (clients.os.getpid(), url), found)
    theirs = clients.for_pages()
    assert isinstance(theirs, DistributionRegistry)
    assert clients.for_pages() is theirs
    assert clients.for_jobs() is not theirs
    registry.answer = httpx.Response(401)
    found.forget()
    assert not isinstance(clients.for_pages(), DistributionRegistry)
    for key in [key for key in clients._clients if key[1] == url]:
        del clients._clients[key]
