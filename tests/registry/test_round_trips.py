"""How often a small write waits for PostgreSQL, once the server knows each of its statements."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from registry import media_types
from tests.registry import images
from tests.registry.base import APP, Person
from tests.round_trips import RoundTrips
from tokens.access import Access

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.django_db(databases=["registry"], transaction=True),
]

OTHER = "acme/other"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], int]:
    """The round trips of an act."""
    round_trips = RoundTrips(monkeypatch)

    def count(act: Callable[[], Any]) -> int:
        round_trips.begin()
        assert act().status_code in (201, 202)
        return round_trips.count

    return count


def test_a_manifest(bob: Person, waits: Any) -> None:
    """What holds and asks, revocations among it; its row; what follows on it, with the commit. The
    row of one that is known goes with what follows.
    """
    config, layer = b"{}", b"layer"
    for body in (config, layer):
        images.push_blob(APP, body)

    def push(number: int, mark: str = "") -> Any:
        document = images.document(config, [layer], annotations={"mark": mark})
        path = f"/v2/{APP}/manifests/v{number}"
        return bob.send(
            "PUT", path, json.dumps(document).encode(), content_type=media_types.OCI_MANIFEST
        )

    for number in range(4):
        push(number, str(number))
    assert waits(lambda: push(5, "5")) == 3
    for number in range(3):
        push(6 + number, "5")
    assert waits(lambda: push(9, "5")) == 2


def test_a_blob(bob: Person, waits: Any) -> None:
    """One question, with revocations; where the upload stands; its rows; the commit, after the
    bytes are looked at once more.
    """
    path = f"/v2/{APP}/blobs/uploads/"
    begun: list[str] = []

    def start() -> Any:
        response = bob.send("POST", path)
        begun.append(response["Location"])
        return response

    def finish(body: bytes) -> Any:
        return bob.send("PUT", f"{begun.pop()}&digest={images.digests.of(body)}", body)

    for number in range(4):
        start()
        finish(b"%d" % number)
    assert waits(start) == 1
    assert waits(lambda: finish(b"the last")) == 3


def test_a_mount(bob: Person, waits: Any) -> None:
    """What holds, asks whether it may, with revocations among it, and does it; with the commit."""
    images.push_blob(APP, b"first")
    also = (Access.repository(OTHER, "pull"),)
    digests = [images.push_blob(OTHER, f"blob {number}".encode()) for number in range(5)]

    def mount(digest: str) -> Any:
        query = f"?mount={digest}&from={OTHER}"
        return bob.send("POST", f"/v2/{APP}/blobs/uploads/{query}", also=also)

    for digest in digests[:4]:
        mount(digest)
    assert waits(lambda: mount(digests[4])) == 1
