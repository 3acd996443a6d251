"""A project's setting for what no tag points at: from the page to the registry."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gitlab.container_registry import untagged
from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services
from gitlab.refusals import Forbidden
from tests.gitlab.container_registry.client.played_network import PlayedNetwork

pytestmark = pytest.mark.django_db


class Told:
    """A registry that is told; `missing` are paths of which it has no image."""

    has_own_api = True

    @property
    def own(self) -> Any:
        return self if self.has_own_api else None

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.missing: set[str] = set()

    def keep_untagged(self, path: str, keep: bool) -> bool:
        if path in self.missing:
            return False
        self.calls.append((path, keep))
        return True


def test_nothing_is_told_of_what_is_known(web: Any) -> None:
    registry = Told()
    assert untagged.tell(registry) == 0
    assert registry.calls == []


def test_it_is_told_once_and_again_when_it_changes(web: Any, app: Any, alice: Any) -> None:
    registry = Told()
    services.update_project(alice, app, keep_untagged=True)
    assert untagged.tell(registry) == 1
    assert untagged.tell(registry) == 0
    services.update_project(alice, app, keep_untagged=False)
    assert untagged.tell(registry) == 1
    assert registry.calls == [("acme/app/web", True), ("acme/app/web", False)]


def test_an_image_that_comes_later_is_told_too(
    web: Any, app: Any, alice: Any, make_image: Any
) -> None:
    registry = Told()
    registry.missing = {"acme/app/new"}
    services.update_project(alice, app, keep_untagged=True)
    untagged.tell(registry)
    make_image("acme/app/new", of=app)
    assert untagged.tell(registry) == 0
    registry.missing = set()
    assert untagged.tell(registry) == 1
    assert registry.calls[-1] == ("acme/app/new", True)


def test_a_registry_that_does_not_answer_is_told_the_next_time(
    web: Any, app: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Any, keep: Any) -> None:
        raise RegistryUnavailable("away")

    registry = Told()
    services.update_project(alice, app, keep_untagged=True)
    monkeypatch.setattr(registry, "keep_untagged", fail)
    with pytest.raises(RegistryUnavailable):
        untagged.tell(registry)
    assert not ContainerRepository.objects.filter(keeps_untagged=True).exists()


def test_who_may(web: Any, app: Any, alice: Any, bob: Any, browser: Any) -> None:
    with pytest.raises(Forbidden):
        services.update_project(bob, app, keep_untagged=True)
    url = "/acme/app/edit"
    page = browser(alice).get(url)
    assert page.status_code == 200
    assert 'name="keep_untagged"' in page.content.decode()
    data = {
        "name": app.name,
        "description": "",
        "visibility": app.visibility,
        "registry_access": app.registry_access,
        "keep_untagged": "on",
    }
    browser(alice).post(url, data)
    app.refresh_from_db()
    assert app.keep_untagged
    browser(alice).post(url, {key: data[key] for key in data if key != "keep_untagged"})
    app.refresh_from_db()
    assert not app.keep_untagged


def test_what_the_registry_hears() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if "web" in request.url.path:
            return httpx.Response(204)
        unknown = {"code": "NAME_UNKNOWN", "message": "no such repository"}
        return httpx.Response(404, json={"errors": [unknown]})

    registry = BerthRegistry("http://registry", transport=PlayedNetwork(answer))
    assert registry.keep_untagged("acme/app/web", True)
    assert not registry.keep_untagged("acme/app/none", True)
    assert asked[0].method == "PATCH"
    assert asked[0].content == b'{"collect_untagged": false}'
