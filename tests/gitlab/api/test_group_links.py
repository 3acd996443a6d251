"""`/projects/:id/share` and `/groups/:id/share`: groups that are invited."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.namespaces.models import GroupLink, Member
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def day(days: int) -> str:
    return (timezone.now().date() + dt.timedelta(days=days)).isoformat()


@pytest.fixture
def guild(root: Any, mallory: Any, make_group: Any) -> Any:
    """A group in which Mallory maintains."""
    return make_group("guild", owner=root, maintainers=[mallory])


def test_a_project(api: Api, app: Any, guild: Any, alice: Any, mallory: Any) -> None:
    here = f"projects/{app.pk}/share"
    given = {"group_id": guild.pk, "group_access": 30, "expires_at": day(3)}
    assert_refused(api(mallory).get(f"projects/{app.pk}"), 404, "Not Found")
    answer = api(alice).post(here, given)
    assert answer.status_code == 201, answer.content
    assert answer.json() == {
        "id": GroupLink.objects.get().pk,
        "project_id": app.pk,
        "group_id": guild.pk,
        "group_access": 30,
        "expires_at": day(3),
    }
    shown = api(mallory).get(f"projects/{app.pk}").json()
    assert shown["shared_with_groups"] == [
        {
            "group_id": guild.pk,
            "group_name": "guild",
            "group_full_path": "guild",
            "group_access_level": 30,
            "expires_at": day(3),
        }
    ]
    gone = api(alice).delete(f"{here}/{guild.pk}")
    assert gone.status_code == 204
    assert api(mallory).get(f"projects/{app.pk}").status_code == 404
    assert api(alice).delete(f"{here}/{guild.pk}").status_code == 404


def test_a_group(api: Api, app: Any, guild: Any, alice: Any, mallory: Any) -> None:
    answer = api(alice).post("groups/acme/share", {"group_id": guild.pk, "group_access": 20})
    assert answer.status_code == 201, answer.content
    assert answer.json()["full_path"] == "acme"
    assert [one["group_id"] for one in answer.json()["shared_with_groups"]] == [guild.pk]
    assert api(mallory).get(f"projects/{app.pk}").status_code == 200
    assert "shared_with_groups" not in api(alice).get("groups").json()[0]
    assert api(alice).delete(f"groups/acme/share/{guild.pk}").status_code == 204
    assert api(mallory).get(f"projects/{app.pk}").status_code == 404


def test_members_with_all(api: Api, app: Any, guild: Any, alice: Any, mallory: Any) -> None:
    GroupLink.objects.create(project=app, group=guild, group_access=20)
    here = f"projects/{app.pk}/members"

    def listed(address: str) -> dict[str, int]:
        found = api(alice).get(address).json()
        return {one["username"]: one["access_level"] for one in found}

    assert listed(f"{here}/all")["mallory"] == 20
    assert "mallory" not in listed(here)
    assert api(alice).get(f"{here}/all/{mallory.pk}").json()["access_level"] == 20
    assert api(alice).get(f"{here}/{mallory.pk}").status_code == 404


def test_who_may(api: Api, app: Any, guild: Any, bob: Any, carol: Any, mallory: Any) -> None:
    given = {"group_id": guild.pk, "group_access": 20}
    for address in (f"projects/{app.pk}/share", "groups/acme/share"):
        assert api().post(address, given).status_code == 401
        for user in (bob, carol):
            assert api(user).post(address, given).status_code == 403
            assert api(user).delete(f"{address}/{guild.pk}").status_code == 403
    assert api(mallory).post(f"projects/{app.pk}/share", given).status_code == 404
    assert api(bob, "read_api").post(f"projects/{app.pk}/share", given).status_code == 403
    assert not GroupLink.objects.exists()


def test_what_is_refused(
    api: Api, app: Any, guild: Any, alice: Any, root: Any, make_group: Any
) -> None:
    here = f"projects/{app.pk}/share"
    secret = make_group("secret", owner=root, visibility="private")
    for given, status, says in (
        ({"group_access": 20}, 400, "group_id is missing"),
        ({"group_id": guild.pk}, 400, "group_access is missing"),
        ({"group_id": guild.pk, "group_access": 25}, 400, "group_access"),
        ({"group_id": guild.pk, "group_access": 20, "expires_at": day(0)}, 400, "expires_at"),
        ({"group_id": secret.pk, "group_access": 20}, 404, "Group Not Found"),
        ({"group_id": app.namespace.pk, "group_access": 20}, 400, "belongs here already"),
    ):
        assert_refused(api(alice).post(here, given), status, says)
    assert not GroupLink.objects.exists()
    given = {"group_id": guild.pk, "group_access": 20}
    assert api(alice).post(here, given).status_code == 201
    assert_refused(api(alice).post(here, given), 409, "already shared")


def test_nobody_gives_more_than_they_have(api: Api, app: Any, guild: Any, bob: Any) -> None:
    Member.objects.filter(user=bob, project=app).update(access_level=40)
    given = {"group_id": guild.pk, "group_access": 50}
    assert api(bob).post(f"projects/{app.pk}/share", given).status_code == 403


def test_projects_of_a_group_that_is_invited(
    api: Api, app: Any, guild: Any, mallory: Any, make_project: Any, root: Any
) -> None:
    """Behind the last day of the invitation no more."""
    make_project("guild/own", owner=root)
    make_project("guild/deep/inner", owner=root)
    link = GroupLink.objects.create(group=guild, project=app, group_access=30)

    def listed(user: Any, query: str = "") -> list[str]:
        answer = api(user).get(f"groups/guild/projects?order_by=path&sort=asc&{query}")
        assert answer.status_code == 200, answer.content
        return [one["path_with_namespace"] for one in answer.json()]

    assert listed(mallory) == ["acme/app", "guild/own"]
    assert listed(mallory, "with_shared=false") == ["guild/own"]
    deep = listed(mallory, "include_subgroups=true")
    assert deep == ["acme/app", "guild/deep/inner", "guild/own"]
    assert listed(mallory, "pagination=keyset&order_by=id&per_page=1") == ["acme/app"]
    link.expires_at = timezone.now().date()
    link.save()
    assert listed(mallory) == ["guild/own"]
