"""A registry that answers without an end, or with nonsense: all that is asked of it ends."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from gitlab.container_registry.client import connection, distribution, walk
from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.container_registry.client.connection import (
    MAX_ANSWER,
    AnswerTooLarge,
    Connection,
    RegistryRefused,
    RegistryUnavailable,
)
from gitlab.container_registry.client.distribution import (
    MAX_MANIFESTS,
    MAX_TAGS,
    MAX_TAGS_PAGES,
    DistributionRegistry,
)
from tests.gitlab.container_registry.client.distribution_played import INDEX, digest_of
from tests.gitlab.container_registry.client.played_network import PlayedNetwork

APP = "acme/app"
MEMORY = 50 * 1024 * 1024


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.time, "sleep", lambda seconds: None)


class Hostile:
    """Answers by the kind of what is asked: ``tags``, ``manifests``, ``blobs``, ``DELETE``."""

    def __init__(self, **answers: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.asked.append(f"{request.method} {request.url.path}")
        kind = next(part for part in ("tags", "manifests", "blobs") if part in request.url.path)
        if request.method == "HEAD":
            reference = request.url.path.rpartition("/")[2]
            return _head(reference)
        answer = self.answers.get("DELETE" if request.method == "DELETE" else kind)
        return answer(request) if answer else httpx.Response(404)

    def client(self) -> DistributionRegistry:
        return DistributionRegistry("http://registry", transport=PlayedNetwork(self))


def _head(reference: str) -> httpx.Response:
    return httpx.Response(200, headers={"Docker-Content-Digest": digest_of(reference.encode())})


def tags(*names: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda request: httpx.Response(200, json={"tags": names})


def manifest(value: Any) -> Callable[[httpx.Request], httpx.Response]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda request: httpx.Response(200, content=body, headers={"Content-Type": INDEX})


class Endless(httpx.SyncByteStream):
    """A body that never ends. `taken` are the bytes that were read of it."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Iterator[bytes]:
        for _ in itertools.count():
            self.taken += 65536
            yield b" " * 65536


class TestBytes:
    def test_an_answer_without_an_end_is_refused_and_not_read_to_it(self) -> None:
        body = Endless()
        played = PlayedNetwork(lambda request: httpx.Response(200, stream=body))
        with pytest.raises(AnswerTooLarge, match="more than 8,388,608 bytes") as refused:
            Connection("http://registry", transport=played).call("GET", "/", None, accept=(200,))
        assert isinstance(refused.value, RegistryRefused)
        assert body.taken <= MAX_ANSWER + 65536

    def test_so_is_a_refusal_without_an_end(self) -> None:
        played = PlayedNetwork(lambda request: httpx.Response(500, stream=Endless()))
        with pytest.raises(AnswerTooLarge):
            Connection("http://registry", transport=played).call("GET", "/", None, accept=(200,))

    def test_nothing_is_unpacked(self) -> None:
        bomb = gzip.compress(b" " * MEMORY)
        asked: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(
                200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(bomb)
            )

        registry = BerthRegistry("http://registry", transport=PlayedNetwork(answer))
        tracemalloc.start()
        try:
            with pytest.raises(RegistryUnavailable, match="not JSON"):
                registry.repository(APP)
            assert tracemalloc.get_traced_memory()[1] < MEMORY // 10
        finally:
            tracemalloc.stop()
        assert asked[0].headers["Accept-Encoding"] == "identity"

    def test_a_tag_whose_manifest_is_too_large_is_listed(self) -> None:
        hostile = Hostile(tags=tags("v1"), manifests=manifest(b" " * (MAX_ANSWER + 1)))
        registry = hostile.client()
        assert [tag.name for tag in registry.tags(APP).tags] == ["v1"]
        details = registry.repository(APP)
        assert details is not None
        assert (details.tags_count, details.size_bytes) == (1, None)

    def test_a_configuration_longer_than_it_says(self) -> None:
        config = {"digest": digest_of(b"c"), "size": 2, "mediaType": "text/plain"}
        image = json.dumps({"config": config, "layers": []}).encode()
        hostile = Hostile(
            tags=tags("v1"),
            manifests=lambda request: httpx.Response(200, content=image),
            blobs=lambda request: httpx.Response(200, stream=Endless()),
        )
        tag = hostile.client().tag(APP, "v1")
        assert tag is not None
        assert (tag.size_bytes, tag.platforms) == (2, ())


class TestCount:
    def test_pages_of_tags(self) -> None:
        numbers = itertools.count()

        def page(request: httpx.Request) -> httpx.Response:
            number = next(numbers)
            link = f'</v2/{APP}/tags/list?last={number}>; rel="next"'
            names = [f"t{number}-{n}" for n in range(3)]
            return httpx.Response(200, json={"tags": names}, headers={"Link": link})

        hostile = Hostile(tags=page)
        details = hostile.client().repository(APP, size=False)
        assert details is not None
        assert len(hostile.asked) == MAX_TAGS_PAGES
        assert details.tags_count == 3 * MAX_TAGS_PAGES

    def test_pages_that_lead_in_a_circle(self) -> None:
        link = {"Link": f'</v2/{APP}/tags/list?last=a>; rel="next"'}
        hostile = Hostile(
            tags=lambda request: httpx.Response(200, json={"tags": ["a"]}, headers=link)
        )
        details = hostile.client().repository(APP, size=False)
        assert details is not None
        assert (details.tags_count, len(hostile.asked)) == (1, 2)

    def test_tags_in_one_page(self) -> None:
        hostile = Hostile(tags=tags(*(f"t{number}" for number in range(MAX_TAGS + 10))))
        details = hostile.client().repository(APP, size=False)
        assert details is not None
        assert details.tags_count == MAX_TAGS

    def _endless_tree(self, request: httpx.Request) -> httpx.Response:
        """Every digest is an index of a hundred others."""
        seed = request.url.path.rpartition(":")[2]
        parts = [{"digest": digest_of(f"{seed}{n}".encode()), "size": 1} for n in range(100)]
        body = json.dumps({"manifests": parts}).encode()
        return httpx.Response(200, content=body, headers={"Content-Type": INDEX})

    def test_a_tree_of_indexes(self) -> None:
        hostile = Hostile(tags=tags("v1", "v2"), manifests=self._endless_tree)
        page = hostile.client().tags(APP)
        assert [tag.name for tag in page.tags] == ["v1", "v2"]
        asked = [line for line in hostile.asked if line.startswith("GET") and "manif" in line]
        assert len(asked) == MAX_MANIFESTS

    def test_deleting_a_tree_of_indexes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(distribution, "MAX_DELETED", 300)
        gone: list[str] = []

        def delete(request: httpx.Request) -> httpx.Response:
            gone.append(request.url.path)
            return httpx.Response(202)

        hostile = Hostile(
            tags=lambda request: httpx.Response(200, json={"tags": [] if gone else ["v1"]}),
            manifests=self._endless_tree,
            DELETE=delete,
        )
        assert hostile.client().delete_batch(APP) == 0
        assert len(gone) == 300

    def test_an_image_of_more_tags_than_are_listed_is_deleted_round_by_round(self) -> None:
        names = [f"t{number:06}" for number in range(MAX_TAGS + 20)]
        of_digest = {digest_of(name.encode()): name for name in names}

        def delete(request: httpx.Request) -> httpx.Response:
            names.remove(of_digest[request.url.path.rpartition("/")[2]])
            return httpx.Response(202)

        hostile = Hostile(
            tags=lambda request: httpx.Response(200, json={"tags": names}), DELETE=delete
        )
        assert hostile.client().delete_batch(APP, 5) == MAX_TAGS
        assert len(names) == MAX_TAGS + 15

    def test_a_project_that_is_never_given_up(self) -> None:
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            return httpx.Response(200, json={"closed": 1})

        registry = BerthRegistry("http://registry", transport=PlayedNetwork(answer))
        with pytest.raises(RegistryUnavailable, match="more and more"):
            registry.give_up("acme/app", 1)
        assert len(asked) == 1000

    def test_what_is_remembered_has_an_end(self) -> None:
        layers = [{"digest": f"sha256:{n:064x}", "size": 1} for n in range(30_000)]

        def image(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, content=json.dumps({"layers": layers}).encode())

        names = [f"v{number}" for number in range(8)]
        hostile = Hostile(tags=tags(*names), manifests=image)
        registry = hostile.client()
        registry.tags(APP)
        hostile.asked.clear()
        registry.tags(APP)
        again = [line for line in hostile.asked if line.startswith("GET") and "manif" in line]
        assert len(again) >= 5, "three of them fill the memory"


class TestTime:
    def test_a_walk_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A thousand seconds pass at each look at the clock."""
        seconds = itertools.count(0, 1000)
        monkeypatch.setattr(walk.time, "monotonic", lambda: next(seconds))
        hostile = Hostile(tags=tags("v1"))
        for ask in (
            lambda: hostile.client().repository(APP),
            lambda: hostile.client().tags(APP),
            lambda: hostile.client().tag(APP, "v1"),
            lambda: hostile.client().delete_batch(APP),
        ):
            with pytest.raises(RegistryUnavailable, match="takes too long"):
                ask()
        assert hostile.asked == []

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX-Long: ",
            b"",
        ],
        ids=["body", "header", "status line"],
    )
    def test_a_byte_now_and_then(self, head: bytes) -> None:
        """Each read is quick, and there is always one more: only the whole has an end."""
        over = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = threading.Thread(target=_drip, args=(listener, head, over))
            server.start()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            line = Connection(url, timeout=0.5, attempts=1)
            with pytest.raises(RegistryUnavailable, match="does not answer"):
                line.call("GET", "/", None, accept=(200,))
            over.set()
            server.join()


def _drip(listener: socket.socket, head: bytes, over: threading.Event) -> None:
    client, _ = listener.accept()
    with client:
        client.sendall(head)
        while not over.wait(0.01):
            try:
                client.sendall(b" " if head else b"H")
            except OSError:
                return


class TestNonsense:
    @pytest.mark.parametrize(
        "body", [b"[1]", b"3", b'"x"', b'{"tags": 3}', b'{"tags": {"a": 1}}', b"[" * 100_000]
    )
    def test_a_list_of_tags_that_is_none(self, body: bytes) -> None:
        hostile = Hostile(tags=lambda request: httpx.Response(200, content=body))
        with pytest.raises(RegistryUnavailable):
            hostile.client().tags(APP)

    def test_names_that_no_tag_can_have_are_left_out(self) -> None:
        hostile = Hostile(tags=tags("../..", "a/b", "", "x" * 129, "ok", 5, None))  # type: ignore[arg-type]
        details = hostile.client().repository(APP, size=False)
        assert details is not None
        assert details.tags_count == 1

    @pytest.mark.parametrize(
        "value",
        [
            {"config": {"digest": "sha256:" + "1" * 64, "size": "many"}},
            {"config": {"digest": "../../x", "size": 2}, "layers": []},
            {"config": {"digest": "sha256:" + "1" * 64, "platform": "linux"}},
            {"config": [], "layers": {}},
            {"layers": [{"digest": "sha256:" + "1" * 64, "size": 10**300}]},
            {"layers": [{"digest": "sha256:" + "1" * 64, "size": -5}]},
            {"artifactType": "x" * 100_000},
            [],
        ],
    )
    def test_manifests_that_are_none(self, value: Any) -> None:
        body = json.dumps(value).encode()
        hostile = Hostile(
            tags=tags("v1"), manifests=lambda request: httpx.Response(200, content=body)
        )
        tag = hostile.client().tag(APP, "v1")
        assert tag is not None
        assert 0 <= tag.size_bytes < 2**63
        assert len(tag.artifact_type) <= 255
        assert not [line for line in hostile.asked if "blobs" in line and ".." in line]

    def test_a_digest_that_is_none(self) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers={"Docker-Content-Digest": "sha256:" + "x" * 9000})

        registry = DistributionRegistry("http://registry", transport=PlayedNetwork(answer))
        assert registry.tag(APP, "v1") is None
