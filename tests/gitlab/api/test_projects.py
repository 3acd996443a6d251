"""`/projects`: listed, made, shown, changed, archived, moved, deleted."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.namespaces.models import Project
from tests.gitlab.api.conftest import Api, assert_refused
from tests.people import basic

pytestmark = pytest.mark.django_db


def paths(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [project["path_with_namespace"] for project in answer.json()]


@pytest.fixture
def many(make_project: Any, alice: Any) -> list[Any]:
    """Public projects p0 … p6, made in this order."""
    made = [
        make_project(f"acme/p{number}", owner=alice, visibility="public") for number in range(7)
    ]
    for number, project in enumerate(made):
        at = dt.datetime(2026, 11, 1 + number, tzinfo=dt.UTC)
        Project.objects.filter(pk=project.pk).update(created_at=at)
    return made


def test_the_shape(api: Api, alice: Any, app: Any, settings: Any) -> None:
    found = api(alice).get(f"projects/{app.pk}").json()
    assert found["id"] == app.pk
    assert found["path_with_namespace"] == "acme/app"
    assert found["name_with_namespace"] == "acme / app"
    assert found["namespace"]["full_path"] == "acme"
    assert found["namespace"]["kind"] == "group"
    assert found["visibility"] == "private"
    assert found["archived"] is False
    assert found["container_registry_access_level"] == "enabled"
    assert found["container_registry_enabled"] is True
    assert found["container_registry_image_prefix"] == (
        f"{settings.CONTAINER_REGISTRY_HOST_PORT}/acme/app"
    )
    assert found["permissions"]["group_access"]["access_level"] == 50
    assert found["permissions"]["project_access"] is None
    assert found["_links"]["self"].endswith(f"/api/v4/projects/{app.pk}")
    assert found["created_at"].endswith("Z")
    assert "owner" not in found
    assert "statistics" not in found


def test_of_a_person(api: Api, alice: Any, make_project: Any) -> None:
    make_project("alice/own", owner=alice)
    assert api(alice).get("projects/alice%2Fown").json()["owner"]["username"] == "alice"


@pytest.mark.parametrize("reference", ["{pk}", "acme%2Fapp", "ACME%2fApp", "%61cme%2Fapp"])
def test_by_id_and_by_path(api: Api, alice: Any, app: Any, reference: str) -> None:
    answer = api(alice).get(f"projects/{reference.format(pk=app.pk)}")
    assert answer.json()["id"] == app.pk


def test_who_may_see_one(api: Api, app: Any, bob: Any, carol: Any, mallory: Any, root: Any) -> None:
    for user in (bob, carol, root):
        assert api(user).get(f"projects/{app.pk}").status_code == 200
    for client in (api(mallory), api()):
        for reference in (app.pk, "acme%2Fapp", 999999, "acme%2Fnothing"):
            answer = client.get(f"projects/{reference}")
            assert_refused(answer, 404)
            assert answer.json() == {"message": "404 Project Not Found"}


def test_a_slash_that_is_one_leads_elsewhere(api: Api, alice: Any, app: Any) -> None:
    assert_refused(api(alice).get("projects/acme/app"), 404)


def test_listed_by_number(api: Api, many: list[Any]) -> None:
    answer = api().get("projects?per_page=3")
    assert paths(answer) == ["acme/p6", "acme/p5", "acme/p4"]
    headers = answer.headers
    assert (headers["X-Total"], headers["X-Total-Pages"]) == ("7", "3")
    assert (headers["X-Page"], headers["X-Per-Page"]) == ("1", "3")
    assert (headers["X-Next-Page"], headers["X-Prev-Page"]) == ("2", "")
    assert '<http://testserver/api/v4/projects?page=2&per_page=3>; rel="next"' in headers["Link"]
    assert 'rel="last"' in headers["Link"]
    last = api().get("projects?per_page=3&page=3")
    assert paths(last) == ["acme/p0"]
    assert last.headers["X-Next-Page"] == ""
    assert last.headers["X-Prev-Page"] == "2"
    assert 'rel="next"' not in last.headers["Link"]
    beyond = api().get("projects?per_page=3&page=4")
    assert paths(beyond) == []
    assert beyond.headers["X-Total"] == "7"


def test_the_head_of_a_list(api: Api, many: list[Any]) -> None:
    answer = api()("HEAD", "projects")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["X-Total"] == "7"


def test_links_keep_the_question_and_no_token(api: Api, many: list[Any]) -> None:
    link = api().get("projects?per_page=2&search=p&visibility=public").headers["Link"]
    assert "search=p&visibility=public&page=2" in link
    from tests.gitlab import factories
    from tests.people import person

    text = factories.token(person("bob"))
    answer = api().get(f"projects?per_page=2&private_token={text}")
    assert len(paths(answer)) == 2
    assert text not in answer.headers["Link"]


def test_listed_by_key(api: Api, many: list[Any]) -> None:
    seen: list[str] = []
    address = "projects?pagination=keyset&order_by=id&sort=asc&per_page=3"
    for _ in range(3):
        answer = api().get(address)
        seen += paths(answer)
        assert "X-Total" not in answer.headers
        link = answer.headers.get("Link", "")
        address = link.partition("/api/v4/")[2].partition(">")[0]
    assert seen == [f"acme/p{number}" for number in range(7)]
    assert address == ""


@pytest.mark.parametrize("order", ["id", "name", "path", "created_at", "updated_at"])
@pytest.mark.parametrize("keyset", ["", "&pagination=keyset"])
def test_each_order_in_both_directions(api: Api, many: list[Any], order: str, keyset: str) -> None:
    up = paths(api().get(f"projects?order_by={order}&sort=asc{keyset}"))
    down = paths(api().get(f"projects?order_by={order}&sort=desc{keyset}"))
    assert up == down[::-1]
    assert len(up) == 7
    if order != "updated_at":
        assert up[0] == "acme/p0"


def test_totals_of_long_lists_are_left_out(
    api: Api, many: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from gitlab.api import pagination

    monkeypatch.setattr(pagination, "COUNTED", 5)
    answer = api().get("projects?per_page=2")
    assert "X-Total" not in answer.headers
    assert "X-Total-Pages" not in answer.headers
    assert 'rel="last"' not in answer.headers["Link"]
    assert 'rel="next"' in answer.headers["Link"]


def test_too_far_behind(api: Api, many: list[Any]) -> None:
    assert_refused(api().get("projects?page=1000&per_page=100"), 405, "keyset")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("per_page=100000", 200), ("per_page=0", 400), ("page=0", 400), ("page=x", 400),
        ("page=99999999999999999999", 400), ("pagination=nonsense", 400), ("order_by=secret", 400),
        ("sort=up", 400), ("pagination=keyset&cursor=nonsense", 400), ("archived=maybe", 400),
        ("pagination=keyset&cursor=%5B%5B%5D%2C1%5D", 400), ("search=%00", 400),
        ("pagination=keyset&order_by=id&cursor=%5B99999999999999999999999%5D", 200),
        ("search=%25_", 200), ("id_after=99999999999999999999", 400), ("unknown=1", 200),
        ("last_activity_after=yesterday", 400), ("last_activity_after=2026-11-01T00:00:00Z", 200),
        ("last_activity_after=0001-01-01T00:00:00%2B23:00", 400), ("min_access_level=31", 400),
    ],
)  # fmt: skip
def test_what_may_be_asked(api: Api, many: list[Any], query: str, status: int) -> None:
    answer = api().get(f"projects?{query}")
    assert answer.status_code == status, answer.content
    if status != 200:
        assert_refused(answer, status)


def test_who_sees_which(
    api: Api, make_project: Any, app: Any, alice: Any, bob: Any, carol: Any, mallory: Any, root: Any
) -> None:
    make_project("acme/open", owner=alice, visibility="public")
    make_project("alice/own", owner=alice, visibility="internal")
    everything = {"acme/app", "acme/open", "alice/own"}
    for user in (alice, root, bob, carol):
        assert set(paths(api(user).get("projects"))) == everything
    assert set(paths(api(mallory).get("projects"))) == everything - {"acme/app"}
    assert paths(api().get("projects")) == ["acme/open"]
    assert paths(api(bob).get("projects?membership=true")) == ["acme/app"]
    assert paths(api(bob).get("projects?owned=true")) == []
    assert set(paths(api(alice).get("projects?owned=true"))) == everything
    assert paths(api(bob).get("projects?min_access_level=40")) == []
    assert paths(api(bob).get("projects?min_access_level=30")) == ["acme/app"]
    assert paths(api(root).get("projects?membership=true")) == []
    assert paths(api(alice).get("projects?search=OWN")) == ["alice/own"]
    assert paths(api(alice).get("projects?visibility=private")) == ["acme/app"]
    assert paths(api(alice).get("users/alice/projects")) == ["alice/own"]
    assert paths(api(mallory).get(f"users/{alice.pk}/projects")) == ["alice/own"]
    assert paths(api().get("users/alice/projects")) == []
    assert_refused(api().get("users/nobody/projects"), 404, "404 User Not Found")


def test_simple_ones(api: Api, many: list[Any]) -> None:
    found = api().get("projects?simple=true&per_page=1").json()[0]
    assert "permissions" not in found
    assert found["path_with_namespace"] == "acme/p6"


def test_queries_do_not_grow(api: Api, make_project: Any, many: list[Any], bob: Any) -> None:
    from django.db import connection

    client = api(bob)
    client.get("projects")
    with CaptureQueriesContext(connection) as few:
        client.get("projects?per_page=1")
    make_project("other/thing", visibility="public")
    with CaptureQueriesContext(connection) as more:
        assert len(client.get("projects?per_page=8").json()) == 8
    assert len(more) <= len(few) <= 7


def test_made(api: Api, alice: Any, app: Any) -> None:
    answer = api(alice).post(
        "projects",
        {
            "name": "My Tool",
            "namespace_id": app.namespace_id,
            "visibility": "public",
            "description": "Does it",
            "container_registry_access_level": "private",
        },
    )
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert found["path_with_namespace"] == "acme/my-tool"
    assert found["name"] == "My Tool"
    assert found["container_registry_access_level"] == "private"
    assert found["creator_id"] == alice.pk
    own = api(alice).post("projects", {"path": "mine"}).json()
    assert own["path_with_namespace"] == "alice/mine"
    assert own["visibility"] == "private"


def test_made_by_a_form(api: Api, alice: Any) -> None:
    answer = api(alice).post(
        "projects", "path=mine&visibility=public", content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 201
    assert answer.json()["visibility"] == "public"
    assert api(alice).post("projects?path=other").status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 400, "name, path are missing"),
        ({"name": "!!!"}, 400, "missing"),
        ({"path": "UP per"}, 400, "docker accepts nothing else"),
        ({"path": "tags"}, 400, "reserved"),
        ({"path": "app", "namespace_id": "acme"}, 400, "already taken"),
        ({"path": "x", "namespace_id": 999999}, 404, "404 Namespace Not Found"),
        ({"path": "x", "namespace_id": "mallory"}, 403, "else's own namespace"),
        ({"path": "x", "visibility": "secret"}, 400, "visibility does not have a valid value"),
        ({"path": "x", "description": "x" * 501}, 400, "500"),
        ({"path": "x" * 256}, 400, "path"),
        ({"path": ["x"]}, 400, "path is invalid"),
        ({"path": None}, 400, "path is empty"),
        ({"path": "a\u0000b"}, 400, "character"),
        ({"path": "x", "container_registry_access_level": "open"}, 400, "valid value"),
        (
            {"path": "x", "container_expiration_policy_attributes": {"keep_n": 3}},
            400,
            "One of 1, 5, 10, 25, 50, 100.",
        ),
    ],
)  # fmt: skip
def test_not_made(
    api: Api, alice: Any, mallory: Any, app: Any, body: Any, status: int, says: str
) -> None:
    before = Project.objects.count()
    assert_refused(api(alice).post("projects", body), status, says)
    assert Project.objects.count() == before


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("{", "application/json", 400),
        ("", "application/json", 400),
        ("[1, 2]", "application/json", 400),
        ('"text"', "application/json", 400),
        ("[" * 100_000, "application/json", 400),
        ('{"path": ' + "[" * 100_000, "application/json", 400),
        ('{"path": "\\ud800"}', "application/json", 400),
        ('{"\\u0000": 1}', "application/json", 400),
        (b'{"path": "\xff"}', "application/json", 400),
        ('{"path": NaN}', "application/json", 400),
        ("<a/>", "text/xml", 415),
        ("path=x", "text/plain", 415),
        ("x" * (1024 * 1024 + 1), "application/json", 413),
        ("no boundary", "multipart/form-data", 400),
        ("&".join(f"a{n}=1" for n in range(2000)), "application/x-www-form-urlencoded", 400),
    ],
)  # fmt: skip
def test_bodies_that_are_none(api: Api, alice: Any, body: Any, kind: str, status: int) -> None:
    answer = api(alice).post("projects", body, content_type=kind)
    assert_refused(answer, status)
    assert len(answer.content) < 1000


def test_a_body_without_an_end(api: Api, alice: Any) -> None:
    """Whoever serves has to say that it ends a chunked body."""
    assert_refused(api(alice).post("projects", HTTP_TRANSFER_ENCODING="chunked"), 411)
    terminated = {"wsgi.input_terminated": True}
    strange = api(alice).post("projects", HTTP_TRANSFER_ENCODING="gzip, chunked", **terminated)
    assert_refused(strange, 411)


class _Chunked:
    """The server's stream of a chunked body: it may end, or break off."""

    def __init__(self, body: bytes | Exception) -> None:
        self.body = body

    def read(self, size: int) -> bytes:
        if isinstance(self.body, Exception):
            raise self.body
        found, self.body = self.body[:size], self.body[size:]
        return found

    readline = read


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b'{"path": "chunked"}', 201, ""),
        (b"", 400, "missing"),
        (b"x" * (1024 * 1024 + 1), 413, "Too Large"),
        (OSError("broken"), 400, "broke off"),
    ],
)
def test_a_chunked_body(api: Api, alice: Any, body: Any, status: int, says: str) -> None:
    server: dict[str, Any] = {
        "wsgi.input": _Chunked(body),
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_LENGTH": "",
        "CONTENT_TYPE": "application/json",
    }
    answer = api(alice).post("projects", **server)
    assert answer.status_code == status, answer.content
    assert says in answer.content.decode()


def test_who_may_make_one(api: Api, app: Any, bob: Any, carol: Any, mallory: Any) -> None:
    body = {"path": "new", "namespace_id": "acme"}
    assert_refused(api().post("projects", body), 401)
    assert_refused(api(mallory).post("projects", body), 403)
    # They belong to one project of the group alone.
    assert_refused(api(bob).post("projects", body), 403)
    assert_refused(api(bob, "read_api").post("projects", body), 403, "insufficient_scope")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(bob)
    refused = browser.post("/api/v4/projects", {"path": "new"}, content_type="application/json")
    assert_refused(refused, 403, "CSRF")
    assert not Project.objects.filter(path="new").exists()


def test_made_for_somebody(api: Api, root: Any, alice: Any, bob: Any) -> None:
    answer = api(root).post(f"projects/user/{bob.pk}", {"name": "gift"})
    assert answer.status_code == 201
    assert answer.json()["path_with_namespace"] == "bob/gift"
    assert_refused(api(alice).post(f"projects/user/{bob.pk}", {"name": "gift"}), 403)
    assert_refused(api(root).post("projects/user/999999", {"name": "gift"}), 404)


def test_changed(api: Api, alice: Any, app: Any) -> None:
    answer = api(alice).put(
        "projects/acme%2Fapp",
        {
            "name": "The App",
            "description": "New",
            "path": "app",
            "container_registry_access_level": "disabled",
            "keep_untagged": True,
        },
    )
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["name"], found["description"]) == ("The App", "New")
    assert found["container_registry_access_level"] == "disabled"
    assert found["container_registry_enabled"] is False
    assert found["keep_untagged"] is True
    again = api(alice).put(f"projects/{app.pk}", {"container_registry_enabled": True}).json()
    assert again["container_registry_access_level"] == "enabled"
    assert api(alice).put(f"projects/{app.pk}", {}).status_code == 200


def test_another_path(api: Api, alice: Any, app: Any, web: Any, played: Any) -> None:
    both = api(alice).put(f"projects/{app.pk}", {"path": "new", "name": "New"})
    assert_refused(both, 400, "alone")
    answer = api(alice).put(f"projects/{app.pk}", {"path": "new"})
    assert answer.status_code == 200, answer.content
    assert answer.json()["path_with_namespace"] == "acme/new"
    web.refresh_from_db()
    assert web.path == "acme/new/web"
    played.trouble = RegistryUnavailable("no answer")
    silent = api(alice).put(f"projects/{app.pk}", {"path": "newer"})
    assert_refused(silent, 503, "no answer")
    assert silent.headers["Retry-After"] == "5"


def test_who_may_change(api: Api, app: Any, bob: Any, carol: Any, mallory: Any) -> None:
    body = {"description": "Mine"}
    assert_refused(api().put(f"projects/{app.pk}", body), 401)
    assert_refused(api(mallory).put(f"projects/{app.pk}", body), 404)
    for user in (bob, carol):
        assert_refused(api(user).put(f"projects/{app.pk}", body), 403)
    app.refresh_from_db()
    assert app.description == ""


def test_archived(api: Api, alice: Any, bob: Any, app: Any, web: Any) -> None:
    assert_refused(api(bob).post(f"projects/{app.pk}/archive"), 403)
    answer = api(alice).post("projects/acme%2Fapp/archive")
    assert answer.status_code == 201
    assert answer.json()["archived"] is True
    scope = "/jwt/auth?service=container_registry&scope=repository:acme/app/web:pull,push"
    token = Client().get(scope, HTTP_AUTHORIZATION=basic("bob")).json()["token"]
    import jwt

    access = jwt.decode(token, options={"verify_signature": False})["access"]
    assert [entry["actions"] for entry in access] == [["pull"]]
    assert paths(api(alice).get("projects?archived=true")) == ["acme/app"]
    assert paths(api(alice).get("projects?archived=false")) == []
    assert api(alice).post(f"projects/{app.pk}/unarchive").json()["archived"] is False


def test_transferred(api: Api, alice: Any, bob: Any, app: Any, played: Any) -> None:
    assert_refused(api(bob).put(f"projects/{app.pk}/transfer", {"namespace": "bob"}), 403)
    assert_refused(api(alice).put(f"projects/{app.pk}/transfer", {}), 400, "namespace is missing")
    missing = api(alice).put(f"projects/{app.pk}/transfer", {"namespace": "nothing"})
    assert_refused(missing, 404, "404 Namespace Not Found")
    assert_refused(api(alice).put(f"projects/{app.pk}/transfer", {"namespace": "bob"}), 403)
    answer = api(alice).put(f"projects/{app.pk}/transfer", {"namespace": "alice"})
    assert answer.status_code == 200, answer.content
    assert answer.json()["path_with_namespace"] == "alice/app"


def test_deleted(
    api: Api, app: Any, alice: Any, bob: Any, mallory: Any, enqueued: list[Any]
) -> None:
    assert_refused(api().delete(f"projects/{app.pk}"), 401)
    assert_refused(api(mallory).delete(f"projects/{app.pk}"), 404)
    assert_refused(api(bob).delete(f"projects/{app.pk}"), 403)
    answer = api(alice).delete("projects/acme%2Fapp")
    assert answer.status_code == 202
    assert answer.json() == {"message": "202 Accepted"}
    assert_refused(api(alice).get(f"projects/{app.pk}"), 404)
    assert_refused(api(alice).delete(f"projects/{app.pk}"), 404)


def test_statistics(
    api: Api, app: Any, alice: Any, mallory: Any, played: Any, make_project: Any
) -> None:
    make_project("acme/open", owner=alice, visibility="public", registry_access="private")
    played.push("acme/app", "v1")
    found = api(alice).get(f"projects/{app.pk}?statistics=true").json()["statistics"]
    assert found["container_registry_size"] == found["storage_size"] == 7 * 1024 * 1024
    listed = api(alice).get("projects?statistics=true").json()
    assert {project["path"]: project["statistics"]["storage_size"] for project in listed} == {
        "app": 7 * 1024 * 1024,
        "open": 0,
    }
    stranger = api(mallory).get("projects?statistics=true").json()
    assert [project["statistics"]["storage_size"] for project in stranger] == [None]
    played.trouble = RegistryUnavailable("no answer")
    found = api(alice).get(f"projects/{app.pk}?statistics=true").json()
    assert found["statistics"]["storage_size"] is None


def test_nothing_is_html(api: Api, alice: Any, app: Any) -> None:
    answer = api(alice).put(f"projects/{app.pk}", {"name": "<script>"}, HTTP_ACCEPT="text/html")
    assert answer.headers["Content-Type"] == "application/json"
    assert json.loads(answer.content)["name"] == "<script>"
