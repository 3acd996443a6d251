"""What a node needs while it is asked for much: memory, descriptors, connections."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.bad_inputs.attacks import Forge
from tests.bad_inputs.client import request
from tests.bad_inputs.server import Node
from tests.bad_inputs.wire import MIB, PRIVATE, Wire
from tokens.access import Access

pytestmark = pytest.mark.xdist_group("bad-inputs")


def _grown(node: Node, before: int) -> float:
    return (node.rss("registry") - before) / MIB


@pytest.mark.engineless
def test_an_upload_of_tiny_chunks_takes_no_memory(wire: Wire, node: Node) -> None:
    """A million chunks of a byte: what each one costs must not add up."""
    location = wire.upload()
    node.settle()
    before = node.rss("registry")
    peak = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], _grown(node, before))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    framed = b"1\r\nx\r\n" * 900_000 + b"0\r\n\r\n"
    head = wire.head("PATCH", location, "Transfer-Encoding: chunked", close=True)
    answer = wire.send(head + framed)
    done.set()
    watcher.join()
    assert answer.status == 202
    assert answer.header("Range") == "0-899999"
    assert peak[0] < 32


@pytest.mark.engineless
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_takes_no_memory(wire: Wire, node: Node, chunked: bool) -> None:
    location = wire.upload()
    node.settle()
    before = node.rss("registry")
    size = 64 * MIB
    piece = bytes(MIB)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    peak = 0.0
    with socket.create_connection(node.registry, 30) as connection:
        connection.sendall(wire.head("PATCH", location, framing, close=True))
        for _ in range(size // MIB):
            connection.sendall(b"%x\r\n%s\r\n" % (MIB, piece) if chunked else piece)
            peak = max(peak, _grown(node, before))
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        assert b"202" in connection.recv(1000)
    assert peak < 32
    assert wire.send(wire.head("DELETE", location, close=True)).status == 204


def test_many_clients_leave_no_connections_behind(wire: Wire, node: Node) -> None:
    """Each thread keeps one connection to the database; they don't pile up, and nothing fails."""
    failures: list[object] = []

    def work() -> None:
        for _ in range(10):
            for path in (f"/v2/{PRIVATE}/manifests/v1", f"/v2/{PRIVATE}/tags/list"):
                answer = wire.send(wire.head("GET", path, close=True))
                if answer.status != 200:
                    failures.append(answer)

    def crowd() -> int:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        node.settle()
        return node.descriptors("registry")

    first = crowd()
    assert crowd() <= first + 8
    assert not failures
    if node.urls["registry"].startswith("postgresql"):
        count = node.rows(
            "registry",
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%'",
        )
        assert count == [(0,)]


@pytest.mark.postgresql
def test_a_database_that_restarts_is_a_short_refusal(wire: Wire, node: Node) -> None:
    """Every connection is cut: requests are answered with 503 and a wait, then as before."""
    path = f"/v2/{PRIVATE}/manifests/v1"
    threads = [
        threading.Thread(target=lambda: wire.send(wire.head("GET", path, close=True)), daemon=True)
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    node.rows(
        "registry",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    good = 0
    for _ in range(200):
        answer = wire.send(wire.head("GET", path, close=True))
        assert answer.status in (200, 503), answer
        if answer.status == 503:
            assert answer.codes == ["UNAVAILABLE"]
            assert 1 <= int(answer.header("Retry-After")) <= 60
        good = good + 1 if answer.status == 200 else 0
    assert good >= 50


def test_many_wrong_tokens_take_no_memory(wire: Wire, node: Node, forge: Forge) -> None:
    """What is refused is not remembered."""
    before = node.rss("registry")
    for number in range(300):
        token = forge.mint(Access.repository(PRIVATE, "pull"))[:-4] + f"{number:04}"
        headers = [("Authorization", f"Bearer {token}")]
        content = request("GET", "/v2/", wire.host, headers, b"", chunked=False)
        assert wire.send(content).status == 401
    assert _grown(node, before) < 8
