"""`/projects/:id/registry/repositories/:repository_id/tags`: listed, shown, deleted, in bulk."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import quote

import pytest

from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.models import BulkTagDeletion
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [found["name"] for found in answer.json()]


@pytest.fixture
def here(app: Any, web: Any, played: Any) -> str:
    """The address of five tags."""
    for number in range(5):
        played.push(
            "acme/app/web", f"v{number}", "abcde"[number], config_digest=f"sha256:{'9' * 64}"
        )
    return f"projects/{app.pk}/registry/repositories/{web.pk}/tags"


def test_the_shape(api: Api, alice: Any, here: str, settings: Any) -> None:
    host = settings.CONTAINER_REGISTRY_HOST_PORT
    listed = api(alice).get(f"{here}?per_page=1").json()
    plain = {"name": "v0", "path": "acme/app/web:v0", "location": f"{host}/acme/app/web:v0"}
    assert listed == [plain]
    assert api(alice).get(f"{here}/v0").json() == {
        **plain,
        "revision": "9" * 64,
        "short_revision": "9" * 9,
        "digest": f"sha256:{'a' * 64}",
        "created_at": None,
        "total_size": 5 * 1024 * 1024,
    }


def test_by_number(api: Api, alice: Any, here: str) -> None:
    answer = api(alice).get(f"{here}?per_page=2")
    assert names(answer) == ["v0", "v1"]
    assert answer.headers["X-Total"] == "5"
    assert answer.headers["X-Total-Pages"] == "3"
    assert 'rel="next"' in answer.headers["Link"]
    assert names(api(alice).get(f"{here}?per_page=2&page=2")) == ["v2", "v3"]
    last = api(alice).get(f"{here}?per_page=2&page=3")
    assert names(last) == ["v4"]
    assert last.headers["X-Next-Page"] == ""
    beyond = api(alice).get(f"{here}?per_page=2&page=9")
    assert names(beyond) == []
    assert beyond.headers["X-Total"] == "5"
    assert names(api(alice).get(f"{here}?sort=desc&per_page=2&page=2")) == ["v2", "v1"]
    assert_refused(api(alice).get(f"{here}?per_page=100&page=200"), 405, "keyset")


def test_the_walk_to_a_page_has_steps(
    api: Api, alice: Any, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gitlab.api import registry_tags

    monkeypatch.setattr(registry_tags, "_STEP", 1)
    assert names(api(alice).get(f"{here}?per_page=2&page=2")) == ["v2", "v3"]
    assert names(api(alice).get(f"{here}?per_page=1&page=6")) == []


def test_by_key(api: Api, alice: Any, here: str) -> None:
    seen: list[str] = []
    address = f"{here}?pagination=keyset&per_page=2"
    while address:
        answer = api(alice).get(address)
        seen += names(answer)
        assert "X-Total" not in answer.headers
        address = answer.headers.get("Link", "").partition("/api/v4/")[2].partition(">")[0]
    assert seen == ["v0", "v1", "v2", "v3", "v4"]


def test_who_may_read(api: Api, carol: Any, mallory: Any, here: str) -> None:
    assert len(names(api(carol).get(here))) == 5
    assert api(carol).get(f"{here}/v1").status_code == 200
    for client in (api(mallory), api()):
        assert_refused(client.get(here), 404)
        assert_refused(client.get(f"{here}/v1"), 404)


@pytest.mark.parametrize("tag", ["nothing", "-v1", "v" * 129, "a/b", "v1%", "v1\u00e9", "%2e%2e"])
def test_no_such_tag(api: Api, alice: Any, here: str, tag: str) -> None:
    address = f"{here}/{quote(tag, safe='')}"
    assert_refused(api(alice).get(address), 404, "404 Tag Not Found")
    assert_refused(api(alice).delete(address), 404, "404 Tag Not Found")


def test_deleted(api: Api, bob: Any, here: str, played: Any) -> None:
    assert api(bob).delete(f"{here}/v1").status_code == 200
    assert played.calls == [("delete", "acme/app/web", "v1", "bob")]
    assert_refused(api(bob).delete(f"{here}/v1"), 404, "404 Tag Not Found")
    assert names(api(bob).get(here)) == ["v0", "v2", "v3", "v4"]


def test_not_deleted(
    api: Api, bob: Any, here: str, web: Any, played: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    played.trouble = RegistryUnavailable("no answer")
    assert_refused(api(bob).delete(f"{here}/v1"), 503, "no answer")
    played.trouble = None

    def refuse(*args: Any, **kwargs: Any) -> bool:
        raise RegistryRefused(403, "DENIED", "the tag is protected")

    monkeypatch.setattr(played, "delete_tag", refuse)
    assert_refused(api(bob).delete(f"{here}/v1"), 403, "the tag is protected")
    web.status = "delete_scheduled"
    web.save()
    assert_refused(api(bob).delete(f"{here}/v1"), 409, "being deleted")


def test_who_may_delete(api: Api, carol: Any, mallory: Any, here: str, played: Any) -> None:
    assert_refused(api(carol).delete(f"{here}/v1"), 403)
    assert_refused(api(mallory).delete(f"{here}/v1"), 404)
    assert_refused(api().delete(f"{here}/v1"), 401)
    assert played.calls == []


@pytest.mark.parametrize("where", ["query", "json", "form"])
def test_in_bulk(api: Api, alice: Any, here: str, enqueued: list[Any], where: str) -> None:
    client = api(alice)
    if where == "query":
        answer = client.delete(f"{here}?name_regex_delete=v.%2B&keep_n=2&older_than=1h")
    elif where == "json":
        body = {"name_regex_delete": "v.+", "keep_n": 2, "older_than": "1h"}
        answer = client.delete(here, body)
    else:
        form = "name_regex_delete=v.%2B&keep_n=2&older_than=1h"
        answer = client.delete(here, form, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 202, answer.content
    row = BulkTagDeletion.objects.get()
    assert (row.name_regex_delete, row.keep_n, row.by) == ("v.+", 2, alice)
    assert row.older_than == dt.timedelta(hours=1)
    assert row.status == "scheduled"


def test_in_bulk_once_an_hour(api: Api, alice: Any, here: str, enqueued: list[Any]) -> None:
    assert api(alice).delete(f"{here}?name_regex_delete=.*").status_code == 202
    again = api(alice).delete(f"{here}?name_regex=.*")
    assert_refused(again, 400, "at most once an hour")
    before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=61)
    BulkTagDeletion.objects.update(requested_at=before)
    assert api(alice).delete(f"{here}?name_regex=.*").status_code == 202


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "name_regex_delete, name_regex are missing"),
        ("keep_n=1", "name_regex_delete, name_regex are missing"),
        ("name_regex_delete=a&name_regex=b", "exactly one"),
        ("name_regex_delete=(", "no regular expression"),
        ("name_regex_delete=.*&name_regex_keep=[", "name_regex_keep"),
        ("name_regex_delete=(?<=a)b", "no regular expression"),
        ("name_regex_delete=(?:a{1,1000}){1,1000}", "no regular expression"),
        ("name_regex_delete=" + "a" * 256, "name_regex_delete is invalid"),
        ("name_regex_delete=.*&keep_n=-1", "keep_n is invalid"),
        ("name_regex_delete=.*&keep_n=many", "keep_n is invalid"),
        ("name_regex_delete=.*&older_than=soon", "older_than is invalid"),
        ("name_regex_delete=.*&older_than=99999999999d", "older_than is invalid"),
        ("name_regex_delete=.*&older_than=9999999y", "older_than is invalid"),
    ],
)
def test_criteria_that_are_none(api: Api, alice: Any, here: str, query: str, says: str) -> None:
    assert_refused(api(alice).delete(f"{here}?{quote(query, safe='=&')}"), 400, says)
    assert not BulkTagDeletion.objects.exists()


def test_who_may_in_bulk(api: Api, bob: Any, carol: Any, mallory: Any, here: str) -> None:
    address = f"{here}?name_regex_delete=.*"
    for user in (bob, carol):
        assert_refused(api(user).delete(address), 403)
    assert_refused(api(mallory).delete(address), 404)
    assert_refused(api().delete(address), 401)
    assert not BulkTagDeletion.objects.exists()
