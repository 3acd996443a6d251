"""Who and what belong together: of a token, of a person, of a project."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gitlab.namespaces.models import Namespace
from tests.gitlab.api.conftest import Api, ApiClient, assert_refused

pytestmark = pytest.mark.django_db
SELF = "personal_access_tokens/self/associations"


def test_what_a_token_reaches(
    api: Api, alice: Any, bob: Any, app: Any, make_group: Any, make_project: Any
) -> None:
    make_group("open", owner=alice, reporters=[bob])
    make_project("bob/own", owner=bob)
    answer = api(bob).get(SELF)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert [(one["name"], one["access_levels"]) for one in found["groups"]] == [("open", 20)]
    assert [(one["path_with_namespace"], one["access_levels"]) for one in found["projects"]] == [
        ("acme/app", {"project_access_level": 30, "group_access_level": None}),
        ("bob/own", {"project_access_level": None, "group_access_level": 50}),
    ]
    assert found["projects"][0]["namespace"]["full_path"] == "acme"
    assert found["projects"][0]["name_with_namespace"] == "acme / app"
    high = api(bob).get(f"{SELF}?min_access_level=40").json()
    assert [one["path"] for one in high["projects"]] == ["own"]
    assert high["groups"] == []
    assert len(api(bob).get(f"{SELF}?per_page=1&page=2").json()["projects"]) == 1


def test_only_for_tokens(api: Api, bob: Any, app: Any, browser: Any, make_job: Any) -> None:
    assert_refused(api().get(SELF), 401)
    assert_refused(api(bob, "read_user").get(SELF), 403, "insufficient_scope")
    assert browser(bob).get(f"/api/v4/{SELF}").status_code == 401
    assert_refused(ApiClient(HTTP_JOB_TOKEN=make_job(app, bob)[1]).get(SELF), 403)


def test_queries_do_not_grow(api: Api, alice: Any, app: Any, make_project: Any) -> None:
    for name in ("one", "two", "three"):
        make_project(f"alice/{name}", owner=alice)
    client = api(alice)
    client.get("user")  # The first use of a token goes on record.
    for path in (SELF, f"projects/{app.pk}/users"):
        with CaptureQueriesContext(connection) as few:
            client.get(f"{path}?per_page=1")
        with CaptureQueriesContext(connection) as more:
            client.get(path)
        assert len(more) <= len(few) <= 10


def test_memberships(api: Api, root: Any, bob: Any, app: Any) -> None:
    acme = Namespace.objects.get(full_path="acme")
    acme.members.create(user=bob, access_level=10)
    found = api(root).get("users/bob/memberships").json()
    of_project = {
        "source_id": app.pk, "source_name": "app", "source_type": "Project", "access_level": 30,
    }  # fmt: skip
    of_group = {
        "source_id": acme.pk, "source_name": "acme", "source_type": "Namespace", "access_level": 10,
    }  # fmt: skip
    assert found == [of_project, of_group]
    assert api(root).get("users/bob/memberships?type=Project").json() == [of_project]
    assert api(root).get("users/bob/memberships?type=Namespace").json() == [of_group]
    assert_refused(api(root).get("users/nobody/memberships"), 404, "404 User")
    assert_refused(api(bob).get("users/bob/memberships"), 403)
    assert_refused(api().get("users/bob/memberships"), 401)


def test_people_of_a_project(
    api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any
) -> None:
    here = f"projects/{app.pk}/users"
    assert [one["username"] for one in api(carol).get(here).json()] == ["alice", "bob", "carol"]
    assert [one["id"] for one in api(carol).get(f"{here}?search=BO").json()] == [bob.pk]
    left = api(carol).get(f"{here}?skip_users={alice.pk},{carol.pk}").json()
    assert [one["id"] for one in left] == [bob.pk]
    assert_refused(api(mallory).get(here), 404)
    assert_refused(api().get(here), 404)


def test_groups_above_a_project(
    api: Api, alice: Any, bob: Any, mallory: Any, make_group: Any, make_project: Any
) -> None:
    make_group("top/deep", owner=alice, visibility="private")
    make_group("top/other", owner=alice, visibility="private")
    project = make_project("top/deep/app", owner=alice)
    here = f"projects/{project.pk}/groups"
    found = api(alice).get(here).json()
    assert [one["full_path"] for one in found] == ["top", "top/deep"]
    assert found[1]["full_name"] == "top / deep"
    assert len(api(alice).get(f"{here}?search=deep").json()) == 1
    assert len(api(alice).get(f"{here}?skip_groups={found[0]['id']}").json()) == 1
    assert_refused(api(mallory).get(here), 404)
