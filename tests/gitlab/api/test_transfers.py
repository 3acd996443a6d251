"""Transfers of projects and groups, and where to."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.namespaces.models import Namespace, Project
from gitlab.path_changes import services as path_changes
from tests.gitlab.api.conftest import Api, assert_refused
from tests.gitlab.path_changes.renaming import NamesOnly

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> NamesOnly:
    """One that renames."""
    names = NamesOnly()
    monkeypatch.setattr(path_changes.clients, "for_pages", lambda: names)
    return names


@pytest.fixture
def harbour(alice: Any, app: Any, make_group: Any) -> Any:
    return make_group("harbour", owner=alice)


def test_a_group_into_another_and_to_the_top(api: Api, alice: Any, harbour: Any) -> None:
    answer = api(alice).post("groups/acme/transfer", {"group_id": harbour.pk})
    assert answer.status_code == 201, answer.content
    assert answer.json()["full_path"] == "harbour/acme"
    assert answer.json()["parent_id"] == harbour.pk
    assert Project.objects.get().full_path == "harbour/acme/app"
    answer = api(alice).post("groups/harbour%2Facme/transfer")
    assert answer.json()["full_path"] == "acme"
    assert answer.json()["parent_id"] is None


def test_a_project_into_a_group(api: Api, alice: Any, app: Any, harbour: Any) -> None:
    answer = api(alice).post(f"groups/harbour/projects/{app.pk}")
    assert (answer.status_code, answer.json()["id"]) == (201, harbour.pk)
    answer = api(alice).post("groups/acme/projects/harbour%2Fapp")
    assert answer.status_code == 201
    assert Project.objects.get().full_path == "acme/app"


def test_where_to(api: Api, alice: Any, bob: Any, root: Any, app: Any, make_group: Any) -> None:
    for path in ("harbour/deep", "acme/inside"):
        make_group(path, owner=alice)
    make_group("theirs", owner=bob)
    client = api(alice)

    def found(path: str, client: Any = client) -> list[str]:
        return [one["full_path"] for one in client.get(path).json()]

    of_group, of_project = (
        "groups/acme/transfer_locations",
        "projects/acme%2Fapp/transfer_locations",
    )
    assert found(of_group) == ["harbour", "harbour/deep"]
    assert found("groups/acme%2Finside/transfer_locations") == ["harbour", "harbour/deep"]
    assert found(of_project) == ["acme/inside", "harbour", "harbour/deep"]
    assert found(f"{of_project}?search=deep") == ["harbour/deep"]
    assert "theirs" in found(of_group, api(root))
    shown = client.get(f"{of_group}?search=deep").json()[0]
    assert shown["full_name"] == "harbour / deep"
    assert shown["web_url"].endswith("/groups/harbour/deep")


def test_what_is_refused(
    api: Api, alice: Any, harbour: Any, registry: NamesOnly, make_group: Any
) -> None:
    client = api(alice)
    itself = Namespace.objects.get(full_path="acme").pk
    assert_refused(client.post("groups/acme/transfer", {"group_id": itself}), 400, "into itself")
    refused = client.post("groups/acme/transfer", {"group_id": itself})
    assert list(refused.json()["message"]) == ["group_id"]
    assert_refused(client.post("groups/acme/transfer"), 400, "there already")
    assert_refused(client.post("groups/acme/transfer", {"group_id": 10**9}), 404, "404 Group")
    assert_refused(client.post("groups/acme/transfer", {"group_id": "x"}), 400, "is invalid")
    registry.trouble = RegistryUnavailable("no answer")
    assert_refused(client.post("groups/acme/transfer", {"group_id": harbour.pk}), 503)


def test_who_may(
    api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any, harbour: Any,
    make_group: Any,
) -> None:  # fmt: skip
    theirs = make_group("theirs", owner=bob)
    Namespace.objects.update(visibility="private")
    for client, status, into in (
        (api(bob), 403, 403),
        (api(carol), 403, 404),
        (api(mallory), 404, 404),
        (api(), 401, 401),
    ):
        assert_refused(client.post("groups/acme/transfer"), status)
        assert_refused(client.post(f"groups/theirs/projects/{app.pk}"), into)
        assert_refused(client.get("groups/acme/transfer_locations"), status)
        assert_refused(client.get(f"projects/{app.pk}/transfer_locations"), status)
    assert_refused(api(alice).post("groups/acme/transfer", {"group_id": theirs.pk}), 404)
    theirs.members.create(user=alice, access_level=30)
    assert_refused(api(alice).post("groups/acme/transfer", {"group_id": theirs.pk}), 403)
    assert Project.objects.get().full_path == "acme/app"
