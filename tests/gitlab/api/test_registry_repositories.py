"""`/projects/:id/registry/repositories` and its like: images listed, shown, deleted."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def paths(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [found["path"] for found in answer.json()]


@pytest.fixture
def images(app: Any, web: Any, make_image: Any, played: Any) -> list[Any]:
    """The images acme/app, acme/app/web, acme/app/worker; two tags in the second one."""
    played.push("acme/app/web", "v1")
    played.push("acme/app/web", "v2", "b")
    return [make_image("acme/app", of=app), web, make_image("acme/app/worker", of=app)]


def test_the_shape(api: Api, alice: Any, app: Any, web: Any, settings: Any, played: Any) -> None:
    host = settings.CONTAINER_REGISTRY_HOST_PORT
    found = api(alice).get(f"projects/{app.pk}/registry/repositories").json()
    assert found == [
        {
            "id": web.pk,
            "name": "web",
            "path": "acme/app/web",
            "project_id": app.pk,
            "location": f"{host}/acme/app/web",
            "created_at": found[0]["created_at"],
            "cleanup_policy_started_at": None,
            "status": None,
            "delete_api_path": f"{settings.EXTERNAL_URL}/api/v4/projects/{app.pk}/registry/repositories/{web.pk}",
        }
    ]


def test_of_a_project(api: Api, alice: Any, app: Any, images: list[Any]) -> None:
    here = "projects/acme%2Fapp/registry/repositories"
    answer = api(alice).get(here)
    assert paths(answer) == ["acme/app", "acme/app/web", "acme/app/worker"]
    assert answer.json()[0]["name"] == ""
    assert answer.headers["X-Total"] == "3"
    assert paths(api(alice).get(f"{here}?per_page=1&page=2")) == ["acme/app/web"]
    assert paths(api(alice).get(f"{here}?pagination=keyset&per_page=1")) == ["acme/app"]
    more = api(alice).get(f"{here}?tags=true&tags_count=true").json()
    assert [one["tags_count"] for one in more] == [0, 2, 0]
    assert [tag["name"] for tag in more[1]["tags"]] == ["v1", "v2"]
    assert more[1]["tags"][0]["path"] == "acme/app/web:v1"
    assert more[1]["tags"][0]["location"].endswith("/acme/app/web:v1")
    assert "size" not in more[1]


def test_of_a_group(
    api: Api, alice: Any, bob: Any, images: list[Any], make_project: Any, make_image: Any
) -> None:
    make_project("acme/deep/thing", owner=alice)
    make_image("acme/deep/thing")
    make_project("acme/off", owner=alice, visibility="public", registry_access="disabled")
    make_image("acme/off")
    make_project("acme/open", owner=alice, visibility="public")
    make_image("acme/open")
    make_project("other/thing", visibility="public")
    make_image("other/thing")
    here = "groups/acme/registry/repositories"
    assert paths(api(alice).get(here)) == [
        "acme/app",
        "acme/app/web",
        "acme/app/worker",
        "acme/deep/thing",
        "acme/open",
    ]
    found = api(bob).get(f"{here}?tags_count=true").json()
    assert [one["path"] for one in found] == [
        "acme/app",
        "acme/app/web",
        "acme/app/worker",
        "acme/open",
    ]
    assert [one["tags_count"] for one in found] == [0, 2, 0, 0]
    # Bob only develops.
    assert not [one for one in found if "delete_api_path" in one]
    assert paths(api().get(here)) == ["acme/open"]


def test_who_may_see_a_group(api: Api, mallory: Any, make_group: Any, root: Any) -> None:
    make_group("hidden", owner=root, visibility="private")
    assert_refused(api(mallory).get("groups/hidden/registry/repositories"), 404)
    assert api(root).get("groups/hidden/registry/repositories").json() == []


def test_one(api: Api, alice: Any, carol: Any, mallory: Any, images: list[Any]) -> None:
    here = f"registry/repositories/{images[1].pk}"
    found = api(carol).get(f"{here}?tags=true&tags_count=true&size=true").json()
    assert (found["path"], found["tags_count"]) == ("acme/app/web", 2)
    assert found["size"] == 7 * 1024 * 1024
    assert "delete_api_path" not in found
    assert "tags" not in api(alice).get(here).json()
    for client in (api(mallory), api()):
        for pk in (images[1].pk, 999999):
            answer = client.get(f"registry/repositories/{pk}")
            assert_refused(answer, 404, "404 Container Repository Not Found")


def test_who_may_list(
    api: Api, app: Any, web: Any, played: Any, carol: Any, mallory: Any, make_person: Any
) -> None:
    from tests.gitlab.factories import _add_members

    here = f"projects/{app.pk}/registry/repositories"
    assert api(carol).get(here).status_code == 200
    guest = make_person("guest")
    _add_members(app, {"guests": [guest]})
    assert_refused(api(guest).get(here), 403)
    assert_refused(api(mallory).get(here), 404)
    assert_refused(api().get(here), 404)


def test_queries_do_not_grow(api: Api, bob: Any, images: list[Any]) -> None:
    client = api(bob)
    for here in ("projects/acme%2Fapp/registry/repositories", "groups/acme/registry/repositories"):
        client.get(here)
        with CaptureQueriesContext(connection) as few:
            client.get(f"{here}?per_page=1")
        with CaptureQueriesContext(connection) as more:
            assert len(client.get(f"{here}?tags_count=true").json()) == 3
        assert len(more) <= len(few) <= 8


def test_a_registry_that_does_not_answer(
    api: Api, alice: Any, images: list[Any], played: Any
) -> None:
    here = "projects/acme%2Fapp/registry/repositories"
    played.trouble = RegistryUnavailable("no answer")
    assert len(api(alice).get(here).json()) == 3
    silent = api(alice).get(f"{here}?tags=true")
    assert_refused(silent, 503, "no answer")
    assert silent.headers["Retry-After"] == "5"
    assert_refused(api(alice).get(f"registry/repositories/{images[0].pk}?size=true"), 503)
    played.trouble = RegistryRefused(403, "DENIED", "not yours")
    assert_refused(api(alice).get(f"{here}?tags_count=true"), 403, "not yours")


def test_deleted(
    api: Api, alice: Any, app: Any, web: Any, played: Any, enqueued: list[Any]
) -> None:
    here = f"projects/{app.pk}/registry/repositories/{web.pk}"
    answer = api(alice).delete(here)
    assert answer.status_code == 202
    assert api(alice).delete(here).status_code == 202
    listed = api(alice).get(f"projects/{app.pk}/registry/repositories").json()
    assert [one["status"] for one in listed] == ["delete_scheduled"]


def test_who_may_delete(
    api: Api, app: Any, web: Any, played: Any, alice: Any, bob: Any, carol: Any, mallory: Any,
    make_project: Any,
) -> None:  # fmt: skip
    here = f"projects/{app.pk}/registry/repositories/{web.pk}"
    for user in (bob, carol):
        assert_refused(api(user).delete(here), 403)
    assert_refused(api(mallory).delete(here), 404)
    assert_refused(api().delete(here), 401)
    assert_refused(api(alice, "read_api", "write_registry").delete(here), 403)
    other = make_project("acme/other", owner=alice)
    elsewhere = f"projects/{other.pk}/registry/repositories/{web.pk}"
    assert_refused(api(alice).delete(elsewhere), 404, "404 Container Repository Not Found")
    web.refresh_from_db()
    assert web.status is None
