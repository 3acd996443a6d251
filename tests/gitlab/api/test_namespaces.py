"""`/namespaces`: where somebody may make a project, and whether a path is taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def paths(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [found["full_path"] for found in answer.json()]


@pytest.fixture
def tools(make_group: Any, alice: Any) -> Any:
    return make_group("acme/tools", owner=alice, visibility="private")


def test_the_shape(api: Api, alice: Any, tools: Any) -> None:
    found = api(alice).get(f"namespaces/{tools.pk}").json()
    assert found["full_path"] == "acme/tools"
    assert found["parent_id"] == tools.parent_id
    assert found["kind"] == "group"
    assert api(alice).get("namespaces/acme%2Ftools").json() == found


def test_which_are_listed(api: Api, alice: Any, bob: Any, root: Any, tools: Any) -> None:
    assert paths(api(alice).get("namespaces")) == ["acme", "acme/tools", "alice"]
    assert paths(api(alice).get("namespaces?search=tool")) == ["acme/tools"]
    assert paths(api(alice).get("namespaces?owned_only=true")) == ["alice"]
    assert paths(api(alice).get("namespaces?top_level_only=true")) == ["acme", "alice"]
    assert paths(api(bob).get("namespaces")) == ["bob"]
    assert set(paths(api(root).get("namespaces"))) == {"acme", "acme/tools", "alice", "bob", "root"}
    assert_refused(api().get("namespaces"), 401)


def test_who_may_see_one(api: Api, bob: Any, tools: Any) -> None:
    assert_refused(api(bob).get(f"namespaces/{tools.pk}"), 404, "404 Namespace Not Found")
    assert_refused(api(bob).get("namespaces/999999"), 404, "404 Namespace Not Found")
    assert api(bob).get("namespaces/bob").json()["kind"] == "user"


def test_exists(api: Api, alice: Any, bob: Any, tools: Any) -> None:
    ask = api(alice).get
    assert ask("namespaces/acme/exists").json() == {"exists": True, "suggests": ["acme1"]}
    assert ask("namespaces/nothing/exists").json() == {"exists": False, "suggests": []}
    assert ask("namespaces/tools/exists").json()["exists"] is False
    below = ask(f"namespaces/tools/exists?parent_id={tools.parent_id}").json()
    assert below == {"exists": True, "suggests": ["tools1"]}
    assert_refused(ask("namespaces/tools/exists?parent_id=x"), 400)
    assert_refused(api(bob).get(f"namespaces/x/exists?parent_id={tools.pk}"), 404)
    assert_refused(api().get("namespaces/acme/exists"), 401)
