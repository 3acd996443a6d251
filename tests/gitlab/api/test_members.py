"""`/projects/:id/members` and `/groups/:id/members`: listed, added, changed, removed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.namespaces.models import Member
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def levels(answer: Any) -> dict[str, int]:
    assert answer.status_code == 200, answer.content
    return {found["username"]: found["access_level"] for found in answer.json()}


def tomorrow() -> str:
    return (timezone.now().date() + dt.timedelta(days=1)).isoformat()


def test_the_shape(api: Api, alice: Any, bob: Any, mallory: Any, app: Any) -> None:
    answer = api(alice).post(
        f"projects/{app.pk}/members",
        {"user_id": mallory.pk, "access_level": 20, "expires_at": tomorrow()},
    )
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert found["id"] == mallory.pk
    assert found["username"] == "mallory"
    assert found["state"] == "active"
    assert found["access_level"] == 20
    assert found["expires_at"] == tomorrow()
    assert found["created_by"]["username"] == "alice"
    assert found["created_at"].endswith("Z")
    assert api(alice).get(f"projects/{app.pk}/members/{mallory.pk}").json() == found


def test_which_are_listed(api: Api, alice: Any, bob: Any, carol: Any, app: Any) -> None:
    client = api(alice)
    assert levels(client.get("projects/acme%2Fapp/members")) == {"bob": 30, "carol": 20}
    everybody = {"alice": 50, "bob": 30, "carol": 20}
    assert levels(client.get(f"projects/{app.pk}/members/all")) == everybody
    assert levels(client.get("groups/acme/members")) == {"alice": 50}
    assert levels(client.get("groups/acme/members/all")) == {"alice": 50}
    here = f"projects/{app.pk}/members/all"
    assert levels(client.get(f"{here}?query=BO")) == {"bob": 30}
    assert levels(client.get(f"{here}?user_ids[]={bob.pk}&user_ids[]={carol.pk}")) == {
        "bob": 30,
        "carol": 20,
    }
    assert levels(client.get(f"{here}?skip_users={bob.pk},{carol.pk}")) == {"alice": 50}
    page = client.get(f"{here}?per_page=2")
    assert page.headers["X-Total"] == "3"
    assert len(page.json()) == 2


def test_inherited_levels(api: Api, alice: Any, bob: Any, app: Any) -> None:
    api(alice).post("groups/acme/members", {"username": "bob", "access_level": 40})
    client = api(alice)
    assert client.get(f"projects/{app.pk}/members/{bob.pk}").json()["access_level"] == 30
    assert client.get(f"projects/{app.pk}/members/all/{bob.pk}").json()["access_level"] == 40
    assert levels(client.get(f"projects/{app.pk}/members/all"))["bob"] == 40
    assert_refused(client.get(f"projects/{app.pk}/members/{alice.pk}"), 404)
    assert client.get(f"projects/{app.pk}/members/all/{alice.pk}").json()["access_level"] == 50


def test_who_has_expired_is_none(api: Api, alice: Any, bob: Any, app: Any) -> None:
    Member.objects.filter(user=bob).update(expires_at=timezone.now().date())
    assert levels(api(alice).get(f"projects/{app.pk}/members")) == {"carol": 20}
    assert_refused(api(alice).get(f"projects/{app.pk}/members/{bob.pk}"), 404)


def test_of_a_personal_project(api: Api, alice: Any, make_project: Any) -> None:
    own = make_project("alice/own", owner=alice)
    assert levels(api(alice).get(f"projects/{own.pk}/members")) == {"alice": 50}
    assert levels(api(alice).get(f"projects/{own.pk}/members/all")) == {"alice": 50}


def test_who_may_list(api: Api, app: Any, carol: Any, mallory: Any, make_project: Any) -> None:
    assert api(carol).get(f"projects/{app.pk}/members").status_code == 200
    assert_refused(api(mallory).get(f"projects/{app.pk}/members"), 404)
    assert_refused(api().get(f"projects/{app.pk}/members"), 404)
    public = make_project("acme/open", visibility="public")
    assert api(mallory).get(f"projects/{public.pk}/members/all").status_code == 200
    assert_refused(api().get(f"projects/{public.pk}/members"), 403)


def test_queries_do_not_grow(api: Api, alice: Any, app: Any) -> None:
    client = api(alice)
    client.get(f"projects/{app.pk}/members/all")
    with CaptureQueriesContext(connection) as few:
        client.get(f"projects/{app.pk}/members/all?per_page=1")
    with CaptureQueriesContext(connection) as more:
        assert len(client.get(f"projects/{app.pk}/members/all").json()) == 3
    assert len(more) <= len(few) <= 7


def test_several_at_once(api: Api, alice: Any, bob: Any, mallory: Any, make_person: Any) -> None:
    api(alice).post("groups", {"name": "x", "path": "x"})
    body = {"user_id": f"{bob.pk},{mallory.pk}", "access_level": 30}
    assert api(alice).post("groups/x/members", body).json() == {"status": "success"}
    dora = make_person("dora")
    answer = api(alice).post("groups/x/members", {"username": "dora,bob", "access_level": 30})
    assert answer.json()["status"] == "error"
    assert set(answer.json()["message"]) == {"bob"}
    assert levels(api(alice).get("groups/x/members"))[dora.username] == 30


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"username": "mallory"}, 400, "access_level is missing"),
        ({"access_level": 30}, 400, "exactly one"),
        ({"username": "mallory", "access_level": 31}, 400, "does not have a valid value"),
        ({"username": "mallory", "user_id": 1, "access_level": 30}, 400, "exactly one"),
        ({"username": "nobody", "access_level": 30}, 404, "404 User Not Found"),
        ({"username": "bob", "access_level": 30}, 409, "Member already exists"),
        ({"username": "mallory", "access_level": 30, "expires_at": "2001-01-01"}, 400, "future"),
        ({"username": "mallory", "access_level": 30, "expires_at": "soon"}, 400, "expires_at"),
        ({"user_id": -1, "access_level": 30}, 400, "user_id"),
        ({"user_id": {"a": 1}, "access_level": 30}, 400, "user_id"),
    ],
)
def test_not_added(
    api: Api, alice: Any, app: Any, mallory: Any, body: Any, status: int, says: str
) -> None:
    assert_refused(api(alice).post(f"projects/{app.pk}/members", body), status, says)
    assert not Member.objects.filter(user=mallory).exists()


def test_changed(api: Api, alice: Any, bob: Any, app: Any) -> None:
    here = f"projects/{app.pk}/members/{bob.pk}"
    body = {"access_level": 40, "expires_at": tomorrow()}
    assert api(alice).put(here, body).json()["access_level"] == 40
    kept = api(alice).put(here, {"access_level": 30}).json()
    assert (kept["access_level"], kept["expires_at"]) == (30, tomorrow())
    assert api(alice).put(here, {"access_level": 30, "expires_at": ""}).json()["expires_at"] is None
    assert_refused(api(alice).put(here, {}), 400, "access_level is missing")
    stranger = f"projects/{app.pk}/members/{alice.pk}"
    assert_refused(api(alice).put(stranger, {"access_level": 30}), 404)


def test_removed(api: Api, alice: Any, bob: Any, carol: Any, app: Any) -> None:
    assert api(alice).delete(f"projects/{app.pk}/members/{carol.pk}").status_code == 204
    assert_refused(api(alice).delete(f"projects/{app.pk}/members/{carol.pk}"), 404)
    # Everybody may leave.
    assert api(bob).delete(f"projects/{app.pk}/members/{bob.pk}").status_code == 204
    assert levels(api(alice).get(f"projects/{app.pk}/members")) == {}
    assert_refused(api(alice).delete(f"groups/acme/members/{alice.pk}"), 409, "at least one owner")


def test_who_may_change(api: Api, bob: Any, carol: Any, mallory: Any, app: Any) -> None:
    here = f"projects/{app.pk}/members"
    body = {"username": "mallory", "access_level": 10}
    for user in (bob, carol):
        assert_refused(api(user).post(here, body), 403)
        assert_refused(api(user).put(f"{here}/{bob.pk}", {"access_level": 50}), 403)
        assert_refused(api(user).delete(f"{here}/{(carol if user is bob else bob).pk}"), 403)
    for client, status in ((api(mallory), 404), (api(), 401)):
        assert_refused(client.post(here, body), status)
        assert_refused(client.put(f"{here}/{bob.pk}", {"access_level": 50}), status)
        assert_refused(client.delete(f"{here}/{bob.pk}"), status)
    assert levels(api(bob).get(here)) == {"bob": 30, "carol": 20}


def test_nobody_gives_more_than_they_have(api: Api, alice: Any, bob: Any, app: Any) -> None:
    api(alice).put(f"projects/{app.pk}/members/{bob.pk}", {"access_level": 40})
    refused = api(bob).put(f"projects/{app.pk}/members/{bob.pk}", {"access_level": 50})
    assert_refused(refused, 403, "more than you have")
