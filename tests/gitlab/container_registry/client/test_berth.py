"""The client of the registry, against a transport that plays it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import httpx
import jwt
import pytest

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client import connection
from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import Collected
from tests.gitlab.container_registry.client.played_network import PlayedNetwork

DIGEST = "sha256:" + "a" * 64


class Played:
    """Answers in turn, and keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def claims(self, number: int = -1) -> dict[str, object]:
        """What the token of a request says."""
        text = self.asked[number].headers["Authorization"].removeprefix("Bearer ")
        found: dict[str, object] = jwt.decode(text, options={"verify_signature": False})
        return found


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.time, "sleep", lambda seconds: None)


def _client(*answers: Any) -> Any:
    played = Played(*answers)
    return BerthRegistry("http://registry", transport=PlayedNetwork(played)), played


def test_details() -> None:
    registry, played = _client(
        httpx.Response(200, json={"name": "app", "path": "acme/app", "size_bytes": 5, "new": 1})
    )
    found = registry.repository("acme/app")
    assert found is not None
    assert (found.path, found.size_bytes, found.created_at) == ("acme/app", 5, None)
    assert (
        str(played.asked[0].url) == "http://registry/gitlab/v1/berth/repository/acme/app/?size=self"
    )


def test_a_token_is_for_one_path_and_names_nobody() -> None:
    registry, played = _client(httpx.Response(204))
    assert registry.delete_batch("acme/app", 50) == 0
    claims = played.claims()
    assert claims["access"] == [{"type": "repository", "name": "acme/app", "actions": ["delete"]}]
    assert "sub" not in claims
    assert claims["exp"] - claims["iat"] == 600


def test_what_is_not_there() -> None:
    registry, _ = _client(httpx.Response(404, json={"errors": []}))
    assert registry.repository("acme/app") is None
    assert registry.tags("acme/app").tags == []
    assert registry.tag("acme/app", "v1") is None
    assert registry.delete_tag("acme/app", "v1") is False
    assert registry.delete_manifest("acme/app", DIGEST) is False
    assert registry.delete_batch("acme/app") == 0
    assert registry.freed("acme/app").alone_bytes == 0
    assert registry.history("acme/app", "v1") == []


def test_a_page_of_tags() -> None:
    entry = {
        "name": "v1",
        "digest": DIGEST,
        "config_digest": DIGEST,
        "media_type": "application/vnd.oci.image.index.v1+json",
        "size_bytes": 7,
        "created_at": None,
        "published_at": "2026-11-24T10:00:00.000+00:00",
        "published_by": "bob",
        "platforms": [{"os": "linux", "architecture": "arm64", "variant": "v8"}],
    }
    link = (
        '</gitlab/v1/repositories/a/b/tags/list/?n=1&before=v1>; rel="previous", '
        '</gitlab/v1/repositories/a/b/tags/list/?n=1&last=v1>; rel="next"'
    )
    registry, played = _client(httpx.Response(200, json=[entry], headers={"Link": link}))
    page = registry.tags("a/b", n=1, name="v", sort="-published_at")
    assert (page.next_last, page.previous_before) == ("v1", "v1")
    (tag,) = page.tags
    assert [str(platform) for platform in tag.platforms] == ["linux/arm64/v8"]
    assert tag.short_digest == "a" * 12
    assert tag.published_at.year == 2026
    assert dict(played.asked[0].url.params) == {"n": "1", "name": "v", "sort": "-published_at"}


@pytest.mark.parametrize(("signed", "asked"), [(True, "true"), (False, "false")])
def test_signed_tags_or_others(signed: bool, asked: str) -> None:
    registry, played = _client(httpx.Response(200, json=[]))
    registry.tags("a/b", signed=signed)
    assert dict(played.asked[0].url.params) == {"n": "20", "signed": asked}


def test_what_is_left_of_an_image() -> None:
    registry, _ = _client(httpx.Response(202, json={"left": 12}))
    assert registry.delete_batch("acme/app") == 12


def test_a_failing_connection_is_tried_again() -> None:
    registry, played = _client(httpx.ConnectError("no"), httpx.Response(503), httpx.Response(204))
    assert registry.delete_batch("acme/app") == 0
    assert len(played.asked) == 3


def test_it_gives_up() -> None:
    for answer in (httpx.ReadTimeout("slow"), httpx.Response(502)):
        registry, played = _client(answer)
        with pytest.raises(RegistryUnavailable):
            registry.tags("acme/app")
        assert len(played.asked) == 3
    registry, played = _client(httpx.Response(500))
    with pytest.raises(RegistryUnavailable):
        registry.garbage()
    assert len(played.asked) == 1


def test_a_refusal_says_why() -> None:
    body = {"errors": [{"code": "DENIED", "message": "referenced"}]}
    registry, played = _client(httpx.Response(405, json=body))
    with pytest.raises(RegistryRefused) as refused:
        registry.delete_manifest("acme/app", DIGEST)
    assert (refused.value.status, refused.value.code) == (405, "DENIED")
    assert str(refused.value) == "referenced"
    assert len(played.asked) == 1


@pytest.mark.parametrize("body", ["", "[]", '{"errors": []}', '{"errors": ["x"]}'])
def test_a_refusal_in_another_form(body: str) -> None:
    registry, _ = _client(httpx.Response(400, text=body))
    with pytest.raises(RegistryRefused):
        registry.delete_tag("acme/app", "v1")


def test_a_token_never_follows_a_redirect() -> None:
    registry, played = _client(httpx.Response(307, headers={"Location": "http://elsewhere/"}))
    with pytest.raises(RegistryRefused):
        registry.repository("acme/app")
    assert [request.url.host for request in played.asked] == ["registry"]


def test_garbage() -> None:
    registry, played = _client(
        httpx.Response(200, json={"reviewed": 3, "removed": 2, "bytes": 9, "left_due": 1})
    )
    run = registry.review_garbage(10)
    assert (run.reviewed, run.removed, run.freed_bytes, run.left_due) == (3, 2, 9, 1)
    assert played.asked[0].method == "POST"
    assert played.claims()["access"] == [{"type": "registry", "name": "garbage", "actions": ["*"]}]


def test_an_answer_that_is_no_json() -> None:
    registry, _ = _client(httpx.Response(200, text="<html>"))
    with pytest.raises(RegistryUnavailable):
        registry.garbage()


def test_one_pool_for_each_purpose(settings: Any) -> None:
    assert clients.for_pages() is clients.for_pages()
    assert clients.for_pages() is not clients.for_jobs()


def test_what_people_ask_for_names_them() -> None:
    registry, played = _client(httpx.Response(202))
    registry.delete_tag("acme/app", "v1", by="bob")
    assert played.claims()["sub"] == "bob"
    registry.delete_tag("acme/app", "v1")
    assert "sub" not in played.claims()


def test_restoring_tags_and_images() -> None:
    registry, played = _client(httpx.Response(200, json={"tags": ["v1"]}))
    assert registry.restore_tags("acme/app", [4, 5], by="bob") == ["v1"]
    request = played.asked[-1]
    assert str(request.url) == "http://registry/gitlab/v1/berth/restore/acme/app/"
    assert request.content == b'{"tags": [4, 5]}'
    assert played.claims()["access"][0]["actions"] == ["push", "delete"]
    registry.restore_repository("acme/app", 9)
    assert played.asked[-1].content == b'{"repository": 9}'


def test_a_manifest_byte_by_byte_and_a_tag_that_points_at_it() -> None:
    registry, played = _client(
        httpx.Response(200, content=b'{"a":1}', headers={"Content-Type": "x/y"})
    )
    found = registry.manifest("acme/app", DIGEST)
    assert found is not None
    assert (found.media_type, found.payload) == ("x/y", b'{"a":1}')
    played.answers = [httpx.Response(201)]
    registry.point("acme/app", "v1", found, by="bob")
    request = played.asked[-1]
    assert (request.method, request.url.path) == ("PUT", "/v2/acme/app/manifests/v1")
    assert (request.content, request.headers["Content-Type"]) == (b'{"a":1}', "x/y")
    played.answers = [httpx.Response(404)]
    assert registry.manifest("acme/app", "v9") is None


@pytest.mark.parametrize(
    ("old", "new", "body", "target"),
    [
        ("acme/app", "acme/new", b'{"name": "new"}', "acme/*"),
        ("acme/app", "other/deep/app", b'{"namespace": "other/deep"}', "other/deep/*"),
        ("acme", "harbour", b'{"name": "harbour"}', "harbour"),
    ],
)
def test_rename(old: str, new: str, body: bytes, target: str) -> None:
    registry, played = _client(httpx.Response(202), httpx.Response(204))
    assert registry.rename(old, new, dry_run=True)
    assert registry.rename(old, new)
    url = f"http://registry/gitlab/v1/berth/repository/{old}/"
    assert [str(request.url) for request in played.asked] == [f"{url}?dry_run=true", url]
    assert played.asked[1].content == body
    claims = played.claims()
    assert "sub" not in claims
    assert [(entry["name"], entry["actions"]) for entry in claims["access"]] == [
        (old, ["pull", "push"]),
        (f"{old}/*", ["pull"]),
        (target, ["push"]),
    ]


def test_renaming_nothing_is_not_renaming_elsewhere() -> None:
    """docker's registry has no such address: its 404 is no answer about the image."""
    known = {"errors": [{"code": "NAME_UNKNOWN", "message": "unknown"}]}
    registry, _ = _client(httpx.Response(404, json=known))
    assert registry.rename("acme/app", "acme/new") is False
    registry, _ = _client(httpx.Response(404, text="404 page not found"))
    with pytest.raises(RegistryRefused):
        registry.rename("acme/app", "acme/new")


def test_deleted_tags() -> None:
    entry = {
        "path": "acme/app/web",
        "name": "v1",
        "interval": 4,
        "digest": DIGEST,
        "size_bytes": 7,
        "deleted_at": "2026-11-24T10:00:00.000+00:00",
        "deleted_by": "bob",
        "until": "2026-12-01T10:00:00.000+00:00",
    }
    registry, played = _client(httpx.Response(200, json=[entry]))
    ((tag,), behind) = registry.deleted_tags("acme/app", n=5)
    assert behind == 0
    assert (tag.path, tag.name, tag.size_bytes, tag.deleted_by) == ("acme/app/web", "v1", 7, "bob")
    assert (tag.until - tag.deleted_at).days == 7
    path = "/gitlab/v1/berth/deleted-tags/acme/app/"
    assert str(played.asked[0].url) == f"http://registry{path}?n=5"
    access = [{"type": "repository", "name": "acme/app", "actions": ["pull"]}]
    assert played.claims()["access"] == access


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    registry, _ = _client(
        httpx.Response(200, content=b'{"name": "a\\ud800b\\uD83D\\uDCA5", "path": "\\uDFFF"}')
    )
    found = registry.repository("acme/app")
    assert (found.name, found.path) == ("a\ufffdb\U0001f4a5", "\ufffd")
    registry, _ = _client(
        httpx.Response(403, content=b'{"errors": [{"code": "DENIED", "message": "\\ud800"}]}')
    )
    with pytest.raises(RegistryRefused, match="\ufffd"):
        registry.repository("acme/app")
    registry, _ = _client(httpx.Response(200, content=b"[" * 100_000))
    with pytest.raises(RegistryUnavailable):
        registry.repository("acme/app")


def test_what_is_shared_counts_what_the_token_covers() -> None:
    registry, played = _client(httpx.Response(200, json={"manifests": 1, "exact": False}))
    assert registry.freed("acme/app", seen=["acme/app", "acme/*"]).is_exact is False
    claims = played.claims()
    assert [entry["name"] for entry in claims["access"]] == ["acme/app", "acme/*"]
    assert "sub" not in claims


def _freed(alone: int, *, exact: bool = True) -> httpx.Response:
    return httpx.Response(200, json={"alone_bytes": alone, "shared_bytes": 1, "exact": exact})


def test_what_many_tags_free_is_asked_at_once() -> None:
    registry, played = _client(_freed(7))
    found = registry.freed_by_many("acme/app", [f"v{number}" for number in range(10_000)])
    assert (found.alone_bytes, found.is_exact) == (7, True)
    assert len(played.asked) == 1


@pytest.mark.parametrize(
    "first",
    [
        _freed(0, exact=False),
        httpx.Response(400, json={"errors": [{"code": "UNSUPPORTED", "message": "at most 1000"}]}),
        httpx.Response(413, json={"errors": [{"code": "MANIFEST_INVALID", "message": "long"}]}),
    ],
)
def test_what_is_too_many_is_asked_by_thousands(first: httpx.Response) -> None:
    """Of a registry that can't count them together, or of before."""
    registry, played = _client(first, _freed(5))
    found = registry.freed_by_many("acme/app", [f"v{number}" for number in range(2500)])
    assert (found.alone_bytes, found.shared_bytes, found.is_exact) == (15, 3, False)
    assert len(played.asked) == 4


def test_a_refusal_of_few_tags_is_one() -> None:
    refusal = {"errors": [{"code": "UNSUPPORTED", "message": "no"}]}
    registry, _ = _client(httpx.Response(400, json=refusal))
    with pytest.raises(RegistryRefused):
        registry.freed_by_many("acme/app", ["v1"])


def test_a_job_names_itself_in_its_token() -> None:
    registry, played = _client(
        httpx.Response(200, json=[{"name": "v1", "outcome": "pulled"}]),
        httpx.Response(200, json=[{"name": DIGEST, "outcome": "deleted"}]),
    )
    since = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
    (found,) = registry.delete_unmoved(
        "acme/app", [("v1", DIGEST)], project=7, cause="cleanup-3", unless_pulled_since=since
    )
    assert found.outcome == "pulled"
    assert json.loads(played.asked[0].content)["unless_pulled_since"] == since.timestamp()
    registry.delete_untagged("acme/app", [DIGEST], project=7, cause="cleanup-3")
    for number in (0, 1):
        (entry,) = played.claims(number)["access"]
        assert entry["meta"] == {"project_id": 7, "cause": "cleanup-3"}


def test_what_was_collected() -> None:
    found = {"waiting": 0, "removed": 3, "bytes": 70, "last_removed_at": "2026-11-29T12:00:00Z"}
    registry, played = _client(httpx.Response(200, json=found), httpx.Response(404))
    at = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
    assert registry.collected("cleanup-3") == Collected(0, 70, at)
    assert str(played.asked[0].url) == "http://registry/gitlab/v1/garbage/causes/cleanup-3"
    assert registry.collected("cleanup-3") is None
