"""`/groups`: listed, made, shown, changed, deleted; the groups and projects below them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gitlab.namespaces.models import Namespace
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def paths(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [found["full_path"] for found in answer.json()]


@pytest.fixture
def acme(make_group: Any, alice: Any, bob: Any, carol: Any) -> Any:
    """A private group with two below it and one below those."""
    found = make_group(
        "acme", owner=alice, visibility="private", developers=[bob], reporters=[carol]
    )
    make_group("acme/tools", owner=alice, visibility="private")
    make_group("acme/apps", owner=alice, visibility="private")
    make_group("acme/apps/deep", owner=alice, visibility="private")
    return found


def test_the_shape(api: Api, alice: Any, acme: Any) -> None:
    found = api(alice).get("groups/acme%2Fapps%2Fdeep").json()
    assert found["full_path"] == "acme/apps/deep"
    assert found["full_name"] == "acme / apps / deep"
    assert found["path"] == "deep"
    assert found["visibility"] == "private"
    assert found["web_url"].endswith("/groups/acme/apps/deep")
    assert found["parent_id"] == Namespace.objects.get(full_path="acme/apps").pk
    assert "statistics" not in found
    assert api(alice).get(f"groups/{found['id']}").json() == found


def test_who_may_see_one(api: Api, acme: Any, bob: Any, mallory: Any, root: Any) -> None:
    assert api(bob).get("groups/acme").status_code == 200
    assert api(root).get(f"groups/{acme.pk}").status_code == 200
    for client in (api(mallory), api()):
        for reference in ("acme", acme.pk, "nothing", 999999, "mallory"):
            assert_refused(client.get(f"groups/{reference}"), 404, "404 Group Not Found")


def test_which_are_listed(
    api: Api, acme: Any, make_group: Any, alice: Any, bob: Any, mallory: Any, root: Any
) -> None:
    make_group("open", owner=root)
    mine = ["acme", "acme/apps", "acme/apps/deep", "acme/tools"]
    assert sorted(paths(api(alice).get("groups"))) == mine
    assert sorted(paths(api(bob).get("groups"))) == mine
    assert sorted(paths(api(alice).get("groups?all_available=true"))) == [*mine, "open"]
    assert paths(api(mallory).get("groups")) == []
    assert paths(api(mallory).get("groups?all_available=true")) == ["open"]
    assert paths(api().get("groups")) == ["open"]
    assert len(paths(api(root).get("groups"))) == 5
    assert paths(api(alice).get("groups?search=DEEP")) == ["acme/apps/deep"]
    assert paths(api(alice).get("groups?top_level_only=true")) == ["acme"]
    assert paths(api(alice).get("groups?owned=true&order_by=path&sort=desc")) == mine[::-1]
    assert paths(api(bob).get("groups?owned=true")) == []
    assert sorted(paths(api(bob).get("groups?min_access_level=30"))) == mine
    assert paths(api(bob).get("groups?min_access_level=40")) == []
    left = paths(api(alice).get(f"groups?skip_groups[]={acme.pk}&order_by=path"))
    assert "acme" not in left
    assert len(left) == 3
    assert paths(api(root).get("groups?visibility=public")) == ["open"]
    keyset = api(alice).get("groups?order_by=path&sort=asc&pagination=keyset&per_page=2")
    assert paths(keyset) == mine[:2]


def test_what_is_below(
    api: Api, acme: Any, make_project: Any, alice: Any, bob: Any, mallory: Any
) -> None:
    make_project("acme/web", owner=alice)
    make_project("acme/apps/deep/far", owner=alice)
    client = api(bob)
    assert paths(client.get("groups/acme/subgroups")) == ["acme/apps", "acme/tools"]
    assert paths(client.get("groups/acme/descendant_groups?order_by=path")) == [
        "acme/apps",
        "acme/apps/deep",
        "acme/tools",
    ]
    here = client.get("groups/acme/projects").json()
    assert [found["path"] for found in here] == ["web"]
    deep = client.get(f"groups/{acme.pk}/projects?include_subgroups=true&order_by=path").json()
    assert sorted(found["path"] for found in deep) == ["far", "web"]
    for below in ("subgroups", "descendant_groups", "projects"):
        assert_refused(api(mallory).get(f"groups/acme/{below}"), 404, "404 Group Not Found")


def test_queries_do_not_grow(api: Api, acme: Any, bob: Any) -> None:
    client = api(bob)
    client.get("groups")
    with CaptureQueriesContext(connection) as few:
        client.get("groups?per_page=1")
    with CaptureQueriesContext(connection) as more:
        assert len(client.get("groups?per_page=4").json()) == 4
    assert len(more) <= len(few) <= 6


def test_made(api: Api, alice: Any, acme: Any) -> None:
    body = {"name": "New One", "path": "New-One", "visibility": "public", "description": "Yes"}
    answer = api(alice).post("groups", body)
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert (found["full_path"], found["name"]) == ("new-one", "New One")
    assert (found["visibility"], found["description"]) == ("public", "Yes")
    below = api(alice).post("groups", {"name": "x", "path": "x", "parent_id": acme.pk}).json()
    assert below["full_path"] == "acme/x"
    assert below["visibility"] == "private"
    members = api(alice).get("groups/new-one/members").json()
    assert [(one["username"], one["access_level"]) for one in members] == [("alice", 50)]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "name is missing, path is missing"),
        ({"name": "x", "path": "acme"}, 400, "already taken"),
        ({"name": "x", "path": "api"}, 400, "reserved"),
        ({"name": "x", "path": "x", "parent_id": 999999}, 404, "404 Group Not Found"),
        ({"name": "x", "path": "x", "parent_id": "acme"}, 400, "parent_id is invalid"),
        ({"name": "x" * 256, "path": "x"}, 400, "255"),
    ],
)
def test_not_made(api: Api, alice: Any, acme: Any, body: Any, status: int, says: str) -> None:
    assert_refused(api(alice).post("groups", body), status, says)


def test_who_may_make_one(api: Api, acme: Any, bob: Any, mallory: Any, make_person: Any) -> None:
    body = {"name": "x", "path": "x", "parent_id": acme.pk}
    assert_refused(api().post("groups", body), 401)
    assert_refused(api(bob).post("groups", body), 403)
    assert_refused(api(mallory).post("groups", body), 404)
    guest = make_person("guest", external=True)
    assert_refused(api(guest).post("groups", {"name": "x", "path": "x"}), 403)


def test_changed(api: Api, alice: Any, acme: Any, played: Any) -> None:
    body = {"name": "ACME", "description": "Us", "visibility": "internal", "path": "acme"}
    found = api(alice).put("groups/acme", body).json()
    assert (found["name"], found["description"], found["visibility"]) == ("ACME", "Us", "internal")
    assert_refused(api(alice).put("groups/acme", {"path": "b", "name": "B"}), 400, "alone")
    moved = api(alice).put(f"groups/{acme.pk}", {"path": "emca"})
    assert moved.status_code == 200, moved.content
    assert moved.json()["full_path"] == "emca"
    assert api(alice).get("groups/emca%2Fapps%2Fdeep").status_code == 200


def test_who_may_change(api: Api, acme: Any, bob: Any, mallory: Any) -> None:
    assert_refused(api().put("groups/acme", {"name": "x"}), 401)
    assert_refused(api(bob).put("groups/acme", {"name": "x"}), 403)
    assert_refused(api(mallory).put("groups/acme", {"name": "x"}), 404)


def test_deleted(
    api: Api, acme: Any, make_project: Any, alice: Any, bob: Any, mallory: Any, enqueued: list[Any]
) -> None:
    project = make_project("acme/tools/web", owner=alice)
    assert_refused(api(bob).delete("groups/acme"), 403)
    assert_refused(api(mallory).delete("groups/acme"), 404)
    assert_refused(api(alice).delete("groups/acme"), 409, "still has 1 project")
    assert api(alice).delete(f"projects/{project.pk}").status_code == 202
    assert api(alice).delete("groups/acme").status_code == 202
    assert_refused(api(alice).get("groups/acme"), 404)


def test_statistics(api: Api, acme: Any, played: Any, alice: Any, bob: Any) -> None:
    played.push("acme", "v1")
    found = api(alice).get("groups/acme?statistics=true").json()
    assert found["statistics"]["storage_size"] == 7 * 1024 * 1024
    listed = api(alice).get("groups?statistics=true").json()
    assert {one["path"]: one["statistics"]["storage_size"] for one in listed}["tools"] == 0
    assert "statistics" not in api(bob).get("groups/acme?statistics=true").json()
