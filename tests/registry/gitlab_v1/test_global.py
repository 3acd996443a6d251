"""Events, the review of garbage and its receipts: GitLab's own jobs alone may ask."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from registry.errors import Code
from registry.models import Receipt, UploadSession
from registry.services import tags, uploads
from registry.storage.filesystem import FilesystemStore
from tests.e2e.installation import wait_until
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

EVENTS = "/gitlab/v1/events/"
REVIEWS = "/gitlab/v1/garbage/reviews/"
QUEUE = "/gitlab/v1/garbage/"
RECEIPTS = "/gitlab/v1/garbage/receipts/"


@pytest.fixture
def _at_once(settings: Any) -> None:
    """Neither grace nor undo: everything is due when it is queued."""
    settings.REGISTRY_GC_REVIEW_DELAY = settings.UNDO_WINDOW = dt.timedelta(0)


def settled_events(gitlab: Person, count: int) -> list[Any]:
    """The first `count` events.

    On PostgreSQL an event waits for older transactions, also for those of the tests beside this one
    in other databases of the same server.
    """

    def read() -> list[Any] | None:
        found: list[Any] = gitlab.send("GET", EVENTS).json()
        return found if len(found) >= count else None

    return list(wait_until(read, interval=0.05))


@pytest.mark.django_db(databases=["default", "registry"], transaction=True)
def test_events_in_order(gitlab: Person, alice: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_image(APP, "v2")
    alice.send("DELETE", f"/v2/{APP}/manifests/v1")
    found = settled_events(gitlab, 3)
    assert [event["action"] for event in found] == ["push", "push", "delete"]
    first = found[0]
    assert (first["repository"], first["tag"], first["digest"]) == (APP, "v1", image.digest)
    assert (first["media_type"], first["size"]) == (image.media_type, image.size)
    assert first["actor"] == "alice"
    assert found[2]["user"]
    assert first["at"].endswith("+00:00")
    page = gitlab.send("GET", f"{EVENTS}?n=1&after={first['id']}").json()
    assert [event["id"] for event in page] == [found[1]["id"]]
    assert gitlab.send("GET", f"{EVENTS}?after={found[2]['id']}").json() == []


@pytest.mark.usefixtures("_at_once")
def test_a_review(gitlab: Person, store: FilesystemStore) -> None:
    images.push_image(APP, "v1")
    tags.delete(APP, "v1", images.ALICE)
    assert gitlab.send("GET", QUEUE).json()["due"] == 1
    removed = freed = 0
    for _ in range(4):
        response = gitlab.send("POST", REVIEWS)
        assert response.status_code == 200
        body = response.json()
        removed += body["removed"]
        freed += body["bytes"]
    assert removed == 3
    assert freed > 100
    assert (body["left_due"], body["next_due_at"]) == (0, None)
    assert list(store.blobs()) == []
    receipts = gitlab.send("GET", RECEIPTS).json()
    assert [receipt["kind"] for receipt in receipts] == ["manifest", "blob", "blob"]
    assert receipts[0]["last_referrer"] == "v1"
    assert sum(receipt["bytes"] for receipt in receipts if receipt["kind"] == "blob") == freed
    page = gitlab.send("GET", f"{RECEIPTS}?n=1&after={receipts[0]['id']}").json()
    assert page == [receipts[1]]
    assert Receipt.objects.count() == 3


def test_a_review_says_when_the_next_is_due(gitlab: Person) -> None:
    images.push_blob(APP, images.content())
    body = gitlab.send("POST", REVIEWS).json()
    assert (body["reviewed"], body["left_due"]) == (0, 0)
    due = dt.datetime.fromisoformat(body["next_due_at"])
    assert due > dt.datetime.now(dt.UTC) + dt.timedelta(hours=23)


@pytest.mark.usefixtures("_at_once")
def test_a_review_has_a_limit(gitlab: Person) -> None:
    for _ in range(4):
        images.push_blob(APP, images.content())
    body = gitlab.send("POST", f"{REVIEWS}?n=3").json()
    assert (body["reviewed"], body["left_due"]) == (3, 1)


def test_a_review_removes_uploads_whose_time_is_over(gitlab: Person, clock: Any) -> None:
    uploads.append(uploads.start(APP, images.ALICE), [b"x"], None)
    assert gitlab.send("POST", REVIEWS).json()["expired_uploads"] == 0
    clock.advance(days=8)
    assert gitlab.send("POST", REVIEWS).json()["expired_uploads"] == 1
    assert not UploadSession.objects.exists()


@pytest.mark.parametrize("path", [EVENTS, RECEIPTS])
@pytest.mark.parametrize(
    "query",
    ["after=x", "after=-1", "after=1.5", "after=" + "9" * 19, "after=%D9%A1", "n=x", "n=-1"],
)
def test_odd_cursors_are_refused(gitlab: Person, path: str, query: str) -> None:
    assert_refused(gitlab.send("GET", f"{path}?{query}"), Code.PAGINATION_NUMBER_INVALID)


@pytest.mark.parametrize("path", [EVENTS, RECEIPTS])
def test_a_page_of_nothing(gitlab: Person, path: str) -> None:
    for query in ("n=0", "after=999999999999999999", "after="):
        response = gitlab.send("GET", f"{path}?{query}")
        assert response.status_code in (200, 400)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", EVENTS, "registry:events:*"),
        ("GET", QUEUE, "registry:garbage:*"),
        ("GET", RECEIPTS, "registry:garbage:*"),
        ("POST", REVIEWS, "registry:garbage:*"),
    ],
)
def test_it_checks_access(
    nobody: Person, gitlab: Person, method: str, path: str, scope: str
) -> None:
    assert_challenged(nobody.send(method, path), scope)
    _, kind, _ = scope.split(":")
    for token in (
        mint("alice", Access.repository(APP, "pull", "push", "delete")),
        mint(None, Access.repository("acme/*", "*")),
        mint("root", Access("registry", "catalog", ("*",))),
        mint("root", Access("registry", kind, ("pull",))),
        mint("root", Access("repository", kind, ("*",))),
    ):
        response = nobody.send(method, path, token=token)
        assert_challenged(response, scope, "insufficient_scope")
    assert gitlab.send(method, path).status_code == 200
    other = "GET" if method == "POST" else "POST"
    assert_refused(gitlab.send(other, path), Code.UNSUPPORTED)
