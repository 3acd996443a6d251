"""``/namespaces/:id/storage``, ``/projects/:id/quota``, ``/groups/:id/quota``."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.responses import Used
from gitlab.namespaces.models import Namespace
from gitlab.quotas.models import Quota
from tests.gitlab.played_registry import PlayedRegistry

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(
    alice: Any, bob: Any, carol: Any, make_group: Any, make_project: Any, monkeypatch: Any
) -> Any:
    registry = PlayedRegistry()
    registry.used = {"acme": Used("acme", 96, 3, True)}
    monkeypatch.setattr(clients, "for_pages", lambda: registry)
    make_group("acme", owner=alice)
    return make_project("acme/app", owner=alice, developers=[bob], reporters=[carol])


@pytest.mark.parametrize("address", ["groups/acme/quota", "namespaces/acme/storage"])
def test_it_is_set_and_shown(api: Any, root: Any, alice: Any, app: Any, address: str) -> None:
    shown = {
        "full_path": "acme",
        "limits": [
            {
                "path": "acme",
                "max_bytes": 100,
                "max_images": None,
                "used_bytes": 96,
                "used_images": 3,
                "used_percent": 96,
                "set_by_administrator": True,
            }
        ],
    }
    answer = api(root).put(address, {"max_bytes": 100})
    assert (answer.status_code, answer.json()) == (200, shown)
    assert api(alice).get(address).json() == shown
    assert api(alice).put(address, {"max_bytes": 10}).status_code == 403


def test_what_is_not_given_stays(api: Any, alice: Any, app: Any) -> None:
    alices = api(alice)
    assert alices.put("projects/acme%2Fapp/quota", {"max_bytes": 5}).status_code == 200
    assert alices.put("projects/acme%2Fapp/quota", {"max_images": 6}).status_code == 200
    assert Quota.objects.values_list("max_bytes", "max_images").get() == (5, 6)
    assert alices.put("projects/acme%2Fapp/quota", {}).status_code == 400
    assert alices.put("projects/acme%2Fapp/quota", {"max_bytes": -1}).status_code == 400


def test_who_may(api: Any, bob: Any, carol: Any, mallory: Any, app: Any) -> None:
    project, group = "projects/acme%2Fapp/quota", "groups/acme/quota"
    assert api(bob).get(project).status_code == 200
    assert api(bob).put(project, {"max_bytes": 1}).status_code == 403
    assert api(carol).get(project).status_code == 403
    assert api(mallory).get(project).status_code == 404
    assert api(mallory).get(group).status_code in (403, 404)
    assert api().get(project).status_code in (401, 404)
    assert not Quota.objects.exists()
    assert Namespace.objects.filter(full_path="acme").exists()
