"""`/registry/protection/…`, of a project and of a group: rules of images and of tags."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry.protection import services
from gitlab.container_registry.protection.models import RepositoryRule, TagRule
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db

OF_PROJECT, OF_GROUP = "projects/acme%2Fapp", "groups/acme"
IMAGES, OLDER, TAGS = (
    f"registry/protection/{kind}" for kind in ("repository/rules", "rules", "tag/rules")
)
PUSH, DELETE = "minimum_access_level_for_push", "minimum_access_level_for_delete"
IMAGE_RULE = {
    "repository_path_pattern": "acme/app/web*",
    PUSH: "maintainer",
    DELETE: "admin",
}
TAG_RULE = {"tag_name_pattern": "^v.*", PUSH: "maintainer", DELETE: "owner"}


def _owner(app: Any, where: str) -> dict[str, int]:
    if where == OF_GROUP:
        return {"group_id": app.namespace_id}
    return {"project_id": app.pk}


@pytest.mark.parametrize("address", [IMAGES, OLDER])
def test_repository_rules_as_gitlab_has_them(api: Api, alice: Any, app: Any, address: str) -> None:
    client = api(alice)
    answer = client.post(f"{OF_PROJECT}/{address}", IMAGE_RULE)
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert found == {"id": found["id"], "project_id": app.pk, **IMAGE_RULE}
    assert client.get(f"{OF_PROJECT}/{address}").json() == [found]
    one = f"{OF_PROJECT}/{address}/{found['id']}"
    changed = client("PATCH", one, {PUSH: "", "repository_path_pattern": "acme/app/*"})
    assert changed.status_code == 200, changed.content
    wanted = {**found, PUSH: None, "repository_path_pattern": "acme/app/*"}
    assert changed.json() == wanted
    assert client.get(f"{OF_PROJECT}/{IMAGES}").json() == [wanted]
    assert client.delete(one).status_code == 204
    assert_refused(client.delete(one), 404)
    assert client.get(f"{OF_PROJECT}/{address}").json() == []


@pytest.mark.parametrize("where", [OF_PROJECT, OF_GROUP])
def test_tag_rules_as_gitlab_has_them(api: Api, alice: Any, app: Any, where: str) -> None:
    client = api(alice)
    answer = client.post(f"{where}/{TAGS}", TAG_RULE)
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert found == {"id": found["id"], **_owner(app, where), **TAG_RULE}
    one = f"{where}/{TAGS}/{found['id']}"
    changed = client("PATCH", one, {DELETE: "admin"})
    assert changed.json() == {**found, DELETE: "admin"}
    immutable = client("PATCH", one, {PUSH: "", DELETE: ""})
    assert immutable.json() == {**found, PUSH: None, DELETE: None}
    assert TagRule.objects.get().is_immutable
    assert client.get(f"{where}/{TAGS}").json() == [immutable.json()]
    assert client.delete(one).status_code == 204


def test_a_groups_repository_rules_are_ours(api: Api, alice: Any, app: Any) -> None:
    client = api(alice)
    rule = {**IMAGE_RULE, "repository_path_pattern": "acme/*/web"}
    found = client.post(f"{OF_GROUP}/{IMAGES}", rule).json()
    assert found == {"id": found["id"], "group_id": app.namespace_id, **rule}
    # A project's list has its own.
    assert client.get(f"{OF_PROJECT}/{IMAGES}").json() == []
    one = f"{OF_GROUP}/{IMAGES}/{found['id']}"
    assert client("PATCH", one, {PUSH: "owner"}).json()[PUSH] == "owner"
    assert client.delete(one).status_code == 204
    assert_refused(client.get(f"{OF_GROUP}/{OLDER}"), 404)


@pytest.mark.parametrize("body", [{PUSH: "", DELETE: ""}, {PUSH: None, DELETE: None}])
def test_an_immutable_rule_names_no_level(api: Api, alice: Any, app: Any, body: Any) -> None:
    answer = api(alice).post(f"{OF_PROJECT}/{TAGS}", {"tag_name_pattern": "^v", **body})
    assert answer.status_code == 201
    assert (answer.json()[PUSH], answer.json()[DELETE]) == (None, None)


@pytest.mark.parametrize(
    ("address", "body", "says"),
    [
        (IMAGES, {PUSH: "maintainer"}, "repository_path_pattern is missing"),
        (IMAGES, {"repository_path_pattern": "acme/app"}, f"{PUSH}, {DELETE} are missing"),
        (IMAGES, {**IMAGE_RULE, PUSH: "developer"}, f"{PUSH} does not have a valid value"),
        (IMAGES, {**IMAGE_RULE, DELETE: 40}, f"{DELETE} does not have a valid value"),
        (TAGS, {**TAG_RULE, PUSH: "nobody"}, f"{PUSH} does not have a valid value"),
        (TAGS, {"tag_name_pattern": "^v", PUSH: "owner"}, f"{DELETE} is missing"),
        (TAGS, {PUSH: "owner", DELETE: "owner"}, "tag_name_pattern is missing"),
    ],
)
def test_what_is_missing_or_has_no_possible_value(
    api: Api, alice: Any, app: Any, address: str, body: Any, says: str
) -> None:
    answer = api(alice).post(f"{OF_PROJECT}/{address}", body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]
    assert not RepositoryRule.objects.exists()
    assert not TagRule.objects.exists()


@pytest.mark.parametrize(
    ("address", "body", "says"),
    [
        (IMAGES, IMAGE_RULE, "There is a rule with this pattern already."),
        (
            IMAGES,
            {**IMAGE_RULE, "repository_path_pattern": "other/app"},
            "It should start with acme/app.",
        ),
        (IMAGES, {**IMAGE_RULE, PUSH: "", DELETE: ""}, "Say who may push, or who may delete."),
        (TAGS, TAG_RULE, "There is a rule with this pattern already."),
        (TAGS, {**TAG_RULE, "tag_name_pattern": "(?=v)"}, "invalid perl operator: (?="),
        (TAGS, {**TAG_RULE, "tag_name_pattern": "v" * 101}, "At most 100 characters."),
    ],
)
def test_what_a_rule_cannot_be(
    api: Api, alice: Any, app: Any, address: str, body: Any, says: str
) -> None:
    client = api(alice)
    for kind, good in ((IMAGES, IMAGE_RULE), (TAGS, TAG_RULE)):
        assert client.post(f"{OF_PROJECT}/{kind}", good).status_code == 201
    answer = client.post(f"{OF_PROJECT}/{address}", body)
    assert answer.status_code == 422
    assert says in " ".join(answer.json()["message"])
    assert (RepositoryRule.objects.count(), TagRule.objects.count()) == (1, 1)


def test_a_change_to_what_it_cannot_be_changes_nothing(api: Api, alice: Any, app: Any) -> None:
    client = api(alice)
    found = client.post(f"{OF_PROJECT}/{IMAGES}", {**IMAGE_RULE, DELETE: ""}).json()
    one = f"{OF_PROJECT}/{IMAGES}/{found['id']}"
    assert client("PATCH", one, {PUSH: ""}).status_code == 422
    assert client("PATCH", one, {PUSH: "everybody"}).status_code == 400
    assert client.get(f"{OF_PROJECT}/{IMAGES}").json() == [found]
    assert client("PATCH", one, {}).json() == found


@pytest.mark.parametrize("address", [IMAGES, TAGS])
def test_who_may(
    api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any, address: str
) -> None:
    body = IMAGE_RULE if address == IMAGES else TAG_RULE
    pk = api(alice).post(f"{OF_PROJECT}/{address}", body).json()["id"]
    one = f"{OF_PROJECT}/{address}/{pk}"
    for somebody, status in ((bob, 403), (carol, 403), (mallory, 404), (None, 401)):
        client = api(somebody)
        assert_refused(client.get(f"{OF_PROJECT}/{address}"), status)
        assert_refused(client.post(f"{OF_PROJECT}/{address}", body), status)
        assert_refused(client("PATCH", one, {PUSH: "owner"}), status)
        assert_refused(client.delete(one), status)
    assert_refused(api(alice, "read_api").post(f"{OF_PROJECT}/{address}", body), 403)
    assert_refused(api(bob).get(f"{OF_GROUP}/{address}"), 403)


def test_one_of_another_project_is_not_there(
    api: Api, alice: Any, app: Any, make_project: Any
) -> None:
    other = make_project("acme/other", owner=alice)
    rule = services.create_tag_rule(alice, other, tag_name_pattern="^v")
    assert_refused(api(alice).delete(f"{OF_PROJECT}/{TAGS}/{rule.pk}"), 404)
    assert_refused(api(alice)("PATCH", f"{OF_PROJECT}/{TAGS}/{rule.pk}", {PUSH: "owner"}), 404)


def test_many_rules_cost_as_many_queries_as_one(
    api: Api, alice: Any, app: Any, django_assert_max_num_queries: Any
) -> None:
    client = api(alice)
    for number in range(5):
        services.create_repository_rule(
            alice,
            app,
            repository_path_pattern=f"acme/app/{number}",
            minimum_access_level_for_push=40,
        )
    client.get("user")  # The first use of a token goes on record.
    with django_assert_max_num_queries(8):
        assert len(client.get(f"{OF_PROJECT}/{IMAGES}").json()) == 5


def test_it_tells_what_keeps_one_from_deleting(api: Api, alice: Any, app: Any) -> None:
    services.create_repository_rule(
        alice, app, repository_path_pattern="acme/app*", minimum_access_level_for_delete=60
    )
    found = api(alice).get("registry/access?name=acme/app/web").json()
    assert found["actions"] == ["pull", "push"]
    assert found["reason"] == (
        'acme/app/web is protected by rule "acme/app*": deleting takes an administrator'
    )


def test_it_tells_what_keeps_one_from_pushing(api: Api, alice: Any, app: Any) -> None:
    services.create_repository_rule(
        alice, app, repository_path_pattern="acme/app*", minimum_access_level_for_push=60
    )
    found = api(alice).get("registry/access?name=acme/app/web").json()
    assert found["actions"] == ["pull", "delete"]
    assert found["reason"].endswith("pushing takes an administrator")
