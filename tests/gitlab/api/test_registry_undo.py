"""Beyond GitLab: the history of a tag, what a deletion frees, and taking deletions back."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry import deletion
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.jobs.leases import Outcome
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def here(app: Any, web: Any, played: Any) -> str:
    """The address of an image whose tag v1 was moved once."""
    played.push("acme/app/web", "v1", "a")
    played.push("acme/app/web", "v1", "b")
    played.push("acme/app/web", "v2", "a")
    return f"projects/{app.pk}/registry/repositories/{web.pk}"


def test_history(api: Api, carol: Any, here: str) -> None:
    answer = api(carol).get(f"{here}/tags/v1/history")
    assert answer.status_code == 200, answer.content
    now, before = answer.json()
    assert (now["digest"][7], before["digest"][7]) == ("b", "a")
    assert now["until"] is None
    assert before["ended_by"] == now["pushed_by"] == "bob"
    assert before["restorable"] is True
    first = api(carol).get(f"{here}/tags/v1/history?per_page=1")
    assert [one["id"] for one in first.json()] == [now["id"]]
    following = first.headers["Link"].partition("/api/v4/")[2].partition(">")[0]
    assert [one["id"] for one in api(carol).get(following).json()] == [before["id"]]
    for tag in ("nothing", "-no"):
        assert_refused(api(carol).get(f"{here}/tags/{tag}/history"), 404, "404 Tag Not Found")


def test_a_tag_is_pointed_back(api: Api, bob: Any, carol: Any, here: str, played: Any) -> None:
    before = api(bob).get(f"{here}/tags/v1/history").json()[1]
    body = {"interval": before["id"]}
    assert_refused(api(carol).post(f"{here}/tags/v1/restore", body), 403)
    answer = api(bob).post(f"{here}/tags/v1/restore", body)
    assert answer.status_code == 201, answer.content
    assert answer.json()[0]["digest"] == before["digest"]
    assert played.now["acme/app/web"]["v1"].digest == before["digest"]
    refused = api(bob).post(f"{here}/tags/v1/restore", {"interval": 999})
    assert_refused(refused, 404, "404 Interval Not Found")
    assert_refused(api(bob).post(f"{here}/tags/v1/restore"), 400, "interval is missing")


def test_what_is_freed(api: Api, bob: Any, carol: Any, here: str, played: Any) -> None:
    found = api(bob).get(f"{here}/freed?tags=v1,v2").json()
    assert found == {
        "alone_bytes": 218 * 1024 * 1024,
        "shared_bytes": 40 * 1024 * 1024,
        "manifests": 3,
        "exact": True,
    }
    assert_refused(api(carol).get(f"{here}/freed"), 403)
    played.has_own_api = False
    assert_refused(api(bob).get(f"{here}/freed"), 422, "can't tell")


def test_deleted_tags_come_back(api: Api, bob: Any, carol: Any, here: str, app: Any) -> None:
    api(bob).delete(f"{here}/tags/v1")
    listed = api(bob).get(f"projects/{app.pk}/registry/deleted_tags").json()
    assert [(one["path"], one["name"]) for one in listed] == [("acme/app/web", "v1")]
    assert here.endswith(str(listed[0]["repository_id"]))
    assert listed[0]["deleted_by"] == "bob"
    assert_refused(api(carol).get(f"projects/{app.pk}/registry/deleted_tags"), 403)
    assert_refused(api(carol).post(f"{here}/restore", {"tags": ["v1"]}), 403)
    answer = api(bob).post(f"{here}/restore", {"tags": ["v1", "v2", "v9", "-no"]})
    assert answer.status_code == 201, answer.content
    assert answer.json() == {"back": ["v1"], "taken": ["v2"], "lost": ["v9"]}


def test_an_image_comes_back_from_the_queue(
    api: Api, alice: Any, bob: Any, here: str, web: Any, enqueued: list[Any]
) -> None:
    assert_refused(api(bob).post(f"{here}/restore"), 403)
    api(alice).delete(here)
    assert api(alice).post(f"{here}/restore").status_code == 201
    web.refresh_from_db()
    assert web.status is None


def test_an_image_comes_back_when_it_is_gone(
    api: Api, alice: Any, bob: Any, here: str, web: Any, app: Any, played: Any,
    enqueued: list[Any],
) -> None:  # fmt: skip
    api(alice).delete(here)
    while deletion.delete_repository(web.pk, played) is not Outcome.DONE:
        pass
    address = f"projects/{app.pk}/registry/deleted_repositories"
    listed = api(alice).get(address).json()
    assert [(one["id"], one["name"]) for one in listed] == [(web.pk, "web")]
    assert_refused(api(bob).get(address), 403)
    assert_refused(api(alice).post(f"{here}9/restore"), 404, "404 Container Repository Not Found")
    answer = api(alice).post(f"{here}/restore")
    assert answer.status_code == 201, answer.content
    assert set(played.now["acme/app/web"]) == {"v1", "v2"}
    assert api(alice).get(address).json() == []


def test_strangers_and_silence(api: Api, mallory: Any, bob: Any, here: str, played: Any) -> None:
    for client, status in ((api(mallory), 404), (api(), 401)):
        assert_refused(client.post(f"{here}/restore", {"tags": ["v1"]}), status)
        assert_refused(client.post(f"{here}/tags/v1/restore", {"interval": 1}), status)
        assert_refused(client.get(f"{here}/freed"), status)
    assert_refused(api(mallory).get(f"{here}/tags/v1/history"), 404)
    played.trouble = RegistryUnavailable("no answer")
    assert_refused(api(bob).get(f"{here}/tags/v1/history"), 503, "no answer")
