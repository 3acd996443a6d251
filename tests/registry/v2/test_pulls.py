"""Manifests and small blobs that are answered before Django's handler.

That the answers are the view's own is compared with every request of the registry's tests; see
`tests.registry.base.assert_shortcut_agrees`. Here: when there is an answer, and when there must be
none.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from registry import digest as digests
from registry.services import blobs, database, manifests
from registry.storage import chosen as storage
from registry.v2 import pulls, shortcut
from tests.registry import images
from tests.registry.base import APP, Person, answer_at_once, mint
from tests.registry.services.test_database import kill_backend
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

PULL = Access.repository(APP, "pull")


def ask(path: str, *access: Access, method: str = "GET", **more: Any) -> pulls.Answer | None:
    environ = RequestFactory(HTTP_HOST="registry.example").generic(method, path).META
    environ["HTTP_AUTHORIZATION"] = f"Bearer {mint('carol', *access)}"
    return answer_at_once({**environ, **more})


def test_a_manifest_that_is_there() -> None:
    image = images.push_image(APP, "v1")
    for reference in ("v1", image.digest):
        found = ask(f"/v2/{APP}/manifests/{reference}", PULL)
        assert found is not None
        assert (found.status, found.body) == ("200 OK", image.payload)
        head = ask(f"/v2/{APP}/manifests/{reference}", PULL, method="HEAD")
        assert head is not None
        assert (head.headers, head.body) == (found.headers, b"")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"/v2/{APP}/manifests/v2", "MANIFEST_UNKNOWN"),
        ("/v2/acme/other/manifests/v1", "NAME_UNKNOWN"),
    ],
)
def test_a_manifest_that_is_not_there(path: str, code: str) -> None:
    images.push_image(APP, "v1")
    access = [PULL, Access.repository("acme/other", "pull")]
    found, head = ask(path, *access), ask(path, *access, method="HEAD")
    assert found is not None
    assert head is not None
    assert found.status == head.status == "404 Not Found"
    assert code.encode() in found.body
    assert (head.headers, head.body) == (found.headers, b"")


def push_small() -> tuple[str, bytes]:
    """The address and the content of a small blob."""
    content = images.content(2000)
    return f"/v2/{APP}/blobs/{images.push_blob(APP, content)}", content


def test_a_small_blob_that_is_there() -> None:
    path, content = push_small()
    found = ask(path, PULL)
    assert found is not None
    assert (found.status, found.body) == ("200 OK", content)


def test_an_empty_blob() -> None:
    digest = images.push_blob(APP, b"")
    found = ask(f"/v2/{APP}/blobs/{digest}", PULL)
    assert found is not None
    assert found.body == b""
    assert ("Content-Length", "0") in found.headers


def test_what_else_may_be_asked_of_a_blob_is_left_to_the_view() -> None:
    path, _ = push_small()
    for method in ("GET", "HEAD"):
        assert ask(path, PULL, method=method, HTTP_RANGE="bytes=0-1") is None
        assert ask(path, PULL, method=method, HTTP_IF_NONE_MATCH="*") is None
        assert ask(path[:-1], PULL, method=method) is None
    large = images.push_blob(APP, bytes(100_000))
    assert ask(f"/v2/{APP}/blobs/{large}", PULL) is None


PUSH = Access.repository(APP, "pull", "push")


@pytest.mark.parametrize("size", [0, 2000, 100_000])
@pytest.mark.parametrize("access", [PULL, PUSH])
def test_whether_a_blob_is_there(carol: Person, access: Access, size: int) -> None:
    """Of any size, and as the view says it."""
    path = f"/v2/{APP}/blobs/{images.push_blob(APP, images.content(size))}"
    found = ask(path, access, method="HEAD")
    assert found is not None
    assert (found.status, found.body) == ("200 OK", b"")
    seen = carol.send("HEAD", path)
    assert seen.status_code == 200
    said = {name.lower(): value for name, value in found.headers}
    assert said == {n.lower(): v for n, v in seen.items() if n.lower() in said}
    assert said["content-length"] == str(size)
    assert {"docker-content-digest", "etag", "content-type", "accept-ranges"} < said.keys()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("access", [PULL, PUSH])
def test_a_blob_that_is_not_there(method: str, access: Access) -> None:
    """What each push asks first, for each layer."""
    path, content = push_small()
    images.push_blob("acme/other", b"other")
    missing = [
        f"/v2/{APP}/blobs/{digests.of(b'none')}",
        f"/v2/{APP}/blobs/{digests.of(b'other')}",
        f"/v2/acme/none/blobs/{digests.of(content)}",
    ]
    for each in missing:
        found = ask(each, access, Access.repository("acme/none", "pull"), method=method)
        assert found is not None
        assert found.status == "404 Not Found"
        assert found.route == "v2/<name:name>/blobs/<reference:digest>"
        assert (b"BLOB_UNKNOWN" in found.body) is (method == "GET")
    blobs.delete(APP, digests.of(content), images.ALICE)
    found = ask(path, access, method=method)
    assert found is not None
    assert found.status == "404 Not Found"


def test_who_asks_for_a_promise_has_it_from_the_view(clock: Any, settings: Any) -> None:
    """It may have to be written down; not where the grace has just begun."""
    settings.REGISTRY_GC_REVIEW_DELAY = dt.timedelta(hours=10)
    path, _ = push_small()
    clock.advance(minutes=55)
    assert ask(path, PUSH, method="HEAD") is not None
    clock.advance(minutes=10)
    assert ask(path, PUSH, method="HEAD") is None
    assert ask(path, PULL, method="HEAD") is not None, "nobody has promised anything"
    image = images.push_image(APP, "v1")
    clock.advance(days=1)
    assert ask(f"/v2/{APP}/blobs/{image.config}", PUSH, method="HEAD") is not None, "it is needed"


@pytest.mark.parametrize("setting", ["redirect", "accel_prefix"])
def test_a_blob_that_leaves_in_another_way_is_left_to_the_view(setting: str, settings: Any) -> None:
    path, _ = push_small()
    settings.REGISTRY_STORAGE = {**settings.REGISTRY_STORAGE, setting: "/-/blobs"}
    assert ask(path, PULL) is None


def test_a_blob_whose_bytes_are_lost_is_left_to_the_view() -> None:
    path, content = push_small()
    storage.current().delete(digests.of(content))
    for access in (PULL, PUSH):
        assert ask(path, access) is None
        assert ask(path, access, method="HEAD") is None


@pytest.mark.parametrize(
    "path",
    [
        f"/v2/{APP}/manifests/sha256:abc",
        f"/v2/{APP}/manifests/.v1",
        f"/v2/{APP}/manifests/v1/",
        f"/v2/{APP}/manifests/v1%0A",
        f"/v2/{APP.upper()}/manifests/v1",
        f"/v2/{'a' * 256}/manifests/v1",
        f"/v2/{APP}/tags/list",
        "/v2/_catalog",
        "/v2",
        "/v2//",
    ],
)
def test_whatever_else_is_left_to_the_view(path: str) -> None:
    images.push_image(APP, "v1")
    everywhere = [Access.repository(name, "pull") for name in ("acme/other", "a" * 256)]
    assert ask(path, PULL, *everywhere) is None


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "OPTIONS", "get"])
def test_other_methods_are_left_to_the_view(method: str) -> None:
    images.push_image(APP, "v1")
    more = Access.repository(APP, "pull", "push", "delete")
    assert ask(f"/v2/{APP}/manifests/v1", more, method=method) is None


OTHER = Access.repository("acme/other", "pull")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", ["manifests", "blobs"])
@pytest.mark.parametrize(
    ("access", "authorization", "error"),
    [
        (None, None, ""),
        (None, "", ""),
        (None, "Bearer", 'error="invalid_token"'),
        (None, "Bearer x.y.z", 'error="invalid_token"'),
        (None, "Basic Y2Fyb2w6eA==", 'error="invalid_token"'),
        (OTHER, "theirs", 'error="insufficient_scope"'),
        (Access.repository(APP, "push"), "theirs", 'error="insufficient_scope"'),
    ],
)
def test_who_may_not_is_told_which_token_to_get(
    method: str, kind: str, access: Access | None, authorization: str | None, error: str
) -> None:
    """What every client of docker's, podman's and containerd's is told first."""
    image = images.push_image(APP, "v1")
    path = f"/v2/{APP}/{kind}/{image.config if kind == 'blobs' else 'v1'}"
    more = {} if authorization == "theirs" else {"HTTP_AUTHORIZATION": authorization}
    with CaptureQueriesContext(connections["registry"]) as queries:
        found = ask(path, *[access] if access else [], method=method, **more)
    assert found is not None
    assert found.status == "401 Unauthorized"
    assert not queries, "nothing is said of what is there"
    challenge = dict(found.headers)["WWW-Authenticate"]
    assert f'scope="repository:{APP}:pull"' in challenge
    assert error in challenge
    assert ("error=" in challenge) is bool(error)
    assert (b"UNAUTHORIZED" in found.body) is (method == "GET")


def test_the_first_question(carol: Person, nobody: Person) -> None:
    for person, status in ((carol, 200), (nobody, 401)):
        for method in ("GET", "HEAD"):
            seen = person.send(method, "/v2/")
            assert seen.status_code == status
            # That it is the same is compared in `send`.
            assert answer_at_once(seen.wsgi_request.META) is not None


def test_it_is_known_whom_others_wait_for() -> None:
    """A challenge and the first question ask nobody, unless somebody shows what may be a token."""
    environ = RequestFactory(HTTP_HOST="registry.example").get("/v2/").META
    for authorization in (None, "", "Bearer nonsense"):
        for path in ("/v2/", f"/v2/{APP}/manifests/v1"):
            more = {"PATH_INFO": path, "HTTP_AUTHORIZATION": authorization}
            question = shortcut.question({**environ, **more})
            assert question is not None
            assert question.is_quick is not (path == "/v2/" and bool(authorization))


def test_a_condition_and_a_request_without_a_host_are_left_to_the_view() -> None:
    images.push_image(APP, "v1")
    path = f"/v2/{APP}/manifests/v1"
    assert ask(path, PULL, HTTP_IF_NONE_MATCH="*") is None
    environ = RequestFactory().get(path).META
    environ.pop("HTTP_HOST", None)
    environ["HTTP_AUTHORIZATION"] = f"Bearer {mint('carol', PULL)}"
    assert answer_at_once(environ) is None


def test_what_was_deleted_is_not_answered() -> None:
    image = images.push_image(APP, "v1")
    path = f"/v2/{APP}/manifests/{image.digest}"
    assert ask(path, PULL) is not None
    manifests.delete(APP, image.digest, images.ALICE)
    gone = ask(path, PULL)
    assert gone is not None
    assert gone.status == "404 Not Found"


def test_a_failure_is_left_to_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries a lost connection again, and says what is wrong where that does not help."""
    images.push_image(APP, "v1")

    def fail(sql: str, parameters: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(database, "one", fail)
    assert ask(f"/v2/{APP}/manifests/v1", PULL) is None


def test_what_another_server_has_is_not_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait meanwhile: see `gitlab.server.gunicorn.event_loop`."""
    image = images.push_image(APP, "v1")
    environ = RequestFactory(HTTP_HOST="registry.example").get("/").META
    environ["HTTP_AUTHORIZATION"] = f"Bearer {mint('carol', PULL)}"

    def is_quick(path: str) -> bool:
        question = pulls.question({**environ, "PATH_INFO": f"/v2/{APP}/{path}"})
        assert question is not None
        return question.is_quick

    assert is_quick("manifests/v1")
    assert is_quick(f"blobs/{image.config}")
    monkeypatch.setattr(type(storage.current()), "is_here", False)
    assert is_quick("manifests/v1")
    assert not is_quick(f"blobs/{image.config}")


def test_several_are_found_in_one_go() -> None:
    """Each gets its own answer, and what is not for the shortcut holds up none of them."""
    image, other = images.push_image(APP, "v1"), images.push_image("acme/other", "v2")
    token = mint("carol", PULL, Access.repository("acme/other", "pull"))

    def question(path: str) -> pulls.Question | None:
        environ = RequestFactory(HTTP_HOST="registry.example").get(path).META
        return pulls.question({**environ, "HTTP_AUTHORIZATION": f"Bearer {token}"})

    paths = [
        f"/v2/{APP}/manifests/v1",
        f"/v2/{APP}/manifests/none",
        f"/v2/{APP}/blobs/{image.config}",
        f"/v2/{APP}/blobs/{digests.of(b'none')}",
        f"/v2/acme/other/manifests/{other.digest}",
    ]
    questions = [found for path in paths if (found := question(path))]
    assert len(questions) == len(paths)
    first, second, third, fourth, fifth = pulls.answers(questions)
    assert first
    assert second
    assert third
    assert fifth
    assert first.body == image.payload
    assert second.status == "404 Not Found"
    assert digests.of(third.body) == image.config
    assert fourth
    assert fourth.status == "404 Not Found"
    assert fifth.body == other.payload
    assert pulls.answers([]) == []


@pytest.mark.postgresql
@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_a_lost_connection_is_made_anew_for_the_next() -> None:
    """No request of Django's does so in the thread of the event loop."""
    image = images.push_image(APP, "v1")
    path = f"/v2/{APP}/manifests/v1"
    for _ in range(2):
        for _ in range(3):  # A statement that is known is sent in another way.
            found = ask(path, PULL)
            assert found is not None
            assert found.body == image.payload
        kill_backend()
        assert ask(path, PULL) is None
    assert ask(path, PULL) is not None
