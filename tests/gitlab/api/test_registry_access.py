"""`/registry/access`: what one may do with an image, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.namespaces.models import Project
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def access(client: Any, name: str) -> tuple[list[str], str]:
    answer = client.get(f"registry/access?name={name}")
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found["name"] == name
    return found["actions"], found["reason"]


def test_by_role(api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any) -> None:
    assert access(api(alice), "acme/app/web") == (["pull", "push", "delete"], "")
    assert access(api(bob), "acme/app/web") == (["pull", "push"], "")
    actions, reason = access(api(carol), "acme/app/web")
    assert actions == ["pull"]
    assert "role Developer" in reason
    hidden, missing = (access(api(mallory), f"acme/{name}/web") for name in ("app", "nothing"))
    assert hidden[0] == missing[0] == []
    assert hidden[1].replace("app", "nothing") == missing[1]


def test_by_scope(api: Api, alice: Any, app: Any) -> None:
    assert access(api(alice, "read_api"), "acme/app")[0] == ["pull"]
    assert "write_registry" in access(api(alice, "read_api"), "acme/app")[1]


def test_what_stands_in_the_way(api: Api, alice: Any, app: Any, web: Any) -> None:
    api(alice).post(f"projects/{app.pk}/archive")
    actions, reason = access(api(alice), "acme/app/web")
    assert actions == ["pull"]
    assert "archived" in reason
    api(alice).post(f"projects/{app.pk}/unarchive")
    web.status = "delete_scheduled"
    web.save()
    assert "being deleted" in access(api(alice), "acme/app/web")[1]
    assert "levels below" in access(api(alice), "acme/app/a/b/c/d")[1]


def test_asking_makes_nothing(api: Api, alice: Any) -> None:
    assert access(api(alice), "alice/new")[0] == ["pull", "push"]
    assert not Project.objects.exists()


def test_what_is_refused(api: Api, alice: Any) -> None:
    assert_refused(api().get("registry/access?name=acme/app"), 401)
    assert_refused(api(alice, "read_user").get("registry/access?name=acme/app"), 403)
    for name in ("UP", "a//b", "%20", "a" * 256):
        assert_refused(api(alice).get(f"registry/access?name={name}"), 400, "name is")
    assert_refused(api(alice).get("registry/access"), 400, "name is missing")
