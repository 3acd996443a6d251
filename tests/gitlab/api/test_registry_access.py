"""`/registry/access` and `/registry/scope`: what one may do with images, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.access_tokens import job_tokens
from gitlab.namespaces.models import Project
from tests.gitlab.api.conftest import Api, ApiClient, assert_refused

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


ALL = "pull,push,delete,*"


def reasons(client: Any, scope: str) -> dict[str, str]:
    """By action the reason why it is not granted, "" where it is."""
    answer = client.get(f"registry/scope?scope={scope}")
    assert answer.status_code == 200, answer.content
    (found,) = answer.json()
    assert f"{found['type']}:{found['name']}:" == scope[: scope.rindex(":") + 1]
    for one in found["actions"]:
        assert one["granted"] is (one["reason"] == "")
    return {one["action"]: one["reason"] for one in found["actions"]}


def test_each_action_by_role(
    api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any
) -> None:
    scope = f"repository:acme/app/web:{ALL}"
    assert set(reasons(api(alice), scope).values()) == {""}
    of_bob = reasons(api(bob), scope)
    assert (of_bob["pull"], of_bob["push"]) == ("", "")
    assert of_bob["delete"] == "deleting images of acme/app takes the role Maintainer there"
    assert of_bob["*"] == of_bob["delete"]
    of_carol = reasons(api(carol), scope)
    assert of_carol["pull"] == ""
    assert of_carol["push"] == "pushing to acme/app takes the role Developer there"
    app.members.filter(user=carol).update(access_level=10)
    assert reasons(api(carol), scope)["pull"] == (
        "pulling from acme/app takes the role Reporter there"
    )
    hidden = reasons(api(mallory), scope)
    missing = reasons(api(mallory), f"repository:acme/nothing/web:{ALL}")
    assert {key: text.replace("app", "nothing") for key, text in hidden.items()} == missing
    assert hidden["pull"] == "there is no image acme/app/web here, or you may not see it"


def test_each_action_by_scope(api: Api, alice: Any, app: Any) -> None:
    found = reasons(api(alice, "read_api"), f"repository:acme/app:{ALL}")
    assert found == {
        "pull": "",
        "push": "the credential lacks a scope for pushing: it needs write_registry",
        "delete": "the credential lacks a scope for deleting: it needs api",
        "*": "the credential lacks a scope for deleting: it needs api",
    }


def test_what_the_project_is_like(api: Api, alice: Any, app: Any, web: Any) -> None:
    client = api(alice)
    scope = f"repository:acme/app/web:{ALL}"
    client.post(f"projects/{app.pk}/archive")
    found = reasons(client, scope)
    assert found.pop("pull") == ""
    assert set(found.values()) == {"acme/app is archived: its images can only be pulled"}
    client.post(f"projects/{app.pk}/unarchive")
    assert "levels below" in reasons(client, "repository:acme/app/a/b/c/d:pull")["pull"]
    web.status = "delete_scheduled"
    web.save()
    assert "is being deleted" in reasons(client, "repository:acme/app/web:push")["push"]
    client.put(f"projects/{app.pk}", {"container_registry_access_level": "disabled"})
    assert "registry is off" in reasons(client, scope)["pull"]


def test_a_job(api: Api, bob: Any, app: Any, make_job: Any, make_project: Any) -> None:
    other = make_project("acme/other", reporters=[bob])
    job, text = make_job(app, bob)
    client = ApiClient(HTTP_JOB_TOKEN=text)
    found = reasons(client, f"repository:acme/app/web:{ALL}")
    assert (found["pull"], found["push"], found["delete"]) == ("", "", "")
    assert "lacks a scope" in found["*"]
    assert "may not see it" in reasons(client, f"repository:{other.full_path}:pull")["pull"]
    job_tokens.finish_job(job.runner, job.pk, "success")
    assert_refused(client.get("registry/scope?scope=repository:acme/app:pull"), 401)


def test_other_scopes(api: Api, alice: Any, root: Any) -> None:
    catalog = "registry:catalog:*"
    assert reasons(api(root), catalog) == {"*": ""}
    assert "for administrators" in reasons(api(alice), catalog)["*"]
    assert "no action but *" in reasons(api(root), "registry:catalog:pull")["pull"]
    assert "nothing of the type" in reasons(api(root), "registry:garbage:*")["*"]
    assert "no action but" in reasons(api(alice), "repository:alice/new:fly")["fly"]
    assert "no name" in reasons(api(alice), "repository:UP:pull")["pull"]


def test_several_scopes(api: Api, alice: Any, app: Any) -> None:
    both = "repository:acme/app:pull%20repository:alice/new:pull,push"
    found = api(alice).get(f"registry/scope?scope={both}").json()
    assert [one["name"] for one in found] == ["acme/app", "alice/new"]
    assert all(action["granted"] for one in found for action in one["actions"])
    assert Project.objects.count() == 1
    many = "%20".join(f"repository:a/b{number}:pull" for number in range(21))
    assert_refused(api(alice).get(f"registry/scope?scope={many}"), 400, "scope is invalid")
    for wrong in ("repository", "a:b", "%20", ""):
        assert_refused(api(alice).get(f"registry/scope?scope={wrong}"), 400, "scope is")
    assert_refused(api().get("registry/scope?scope=repository:acme/app:pull"), 401)
    assert_refused(
        api(alice, "read_user").get("registry/scope?scope=repository:acme/app:pull"), 403
    )
