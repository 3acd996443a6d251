"""Requests that are hardly any: what is no HTTP, what would become a header, odd forms."""

from __future__ import annotations

import pytest

from tests.bad_inputs.client import exchange, request
from tests.bad_inputs.server import Node
from tests.bad_inputs.wire import PRIVATE, Wire, v1

pytestmark = pytest.mark.xdist_group("bad-inputs")

_UNDECODABLE = ["a/b; x*=nothing''%41", "a/b; charset*=utf-8''%ff", "a/b; charset*=utf-8''%00"]


@pytest.mark.engineless
@pytest.mark.parametrize(
    "path",
    [
        f"/v2/{PRIVATE}/tags/list?n=1&last=%0d%0aX-Evil:1",
        f"/v2/{PRIVATE}/tags/list?n=1&last=%E2%80%A8%0aX-Evil:1",
        f"/gitlab/v1/repositories/{PRIVATE}/tags/list/?n=1&name=%0d%0aX-Evil:1&sort=name",
        f"/v2/{PRIVATE}/referrers/sha256:{'0' * 64}?artifactType=%0d%0aX-Evil:1",
        f"/v2/{PRIVATE}%0d%0aX-Evil:1/tags/list",
        f"/v2/{PRIVATE}/manifests/v1%0d%0aX-Evil:1",
    ],
)
def test_nothing_that_is_asked_becomes_a_header(wire: Wire, path: str) -> None:
    answer = wire.send(wire.head("GET", path, close=True))
    assert answer.status in (200, 400, 404)
    assert not answer.header("X-Evil")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"GET /v2/ HTTP/9.9\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"PUT /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", 501),
        (b"GET /v2/ HTTP/1.1\r\nHost: x\r\nExpect: <b>cake</b>\r\n\r\n", 417),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_http_is_refused_without_a_page(wire: Wire, head: bytes, status: int) -> None:
    answer = wire.send(head)
    assert (answer.status, answer.header("Content-Type")) == (status, "application/json")
    assert answer.codes == ["UNSUPPORTED"]


def test_slashes_in_front_are_read_over(wire: Wire, node: Node) -> None:
    for slashes in ("//", "////"):
        path = f"{slashes}v2/{PRIVATE}/manifests/v1"
        assert wire.send(wire.head("GET", path, close=True)).body == v1(node)


@pytest.mark.parametrize("media_type", _UNDECODABLE)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET"])
def test_a_type_that_cant_be_decoded_is_no_fault_of_ours(
    wire: Wire, node: Node, method: str, media_type: str
) -> None:
    """Nobody is logged in yet: docker's own question is answered with a challenge."""
    for path in (f"/v2/{PRIVATE}/blobs/uploads/", f"/v2/{PRIVATE}/manifests/v1", "/v2/"):
        fields = [("Content-Type", media_type)]
        answer = exchange(node.registry, request(method, path, "x", fields, b"", chunked=False))
        assert answer.status in (401, 405), answer
    page = request(method, "/users/sign_in", f"localhost:{node.web[1]}", fields, b"", chunked=False)
    assert exchange(node.web, page).status < 500


def test_the_token_server_survives_odd_forms(node: Node) -> None:
    host = f"localhost:{node.web[1]}"
    form = ("Content-Type", "application/x-www-form-urlencoded")
    bodies = [
        b"", b"&" * 60_000, b"service=container_registry&" + b"scope=a&" * 3000, b"\xff\xfe",
        b"service=container_registry&grant_type=refresh_token&refresh_token=x",
        b"service=container_registry&grant_type=password&username=%00&password=x",
        b"service=container_registry&grant_type=password&username=%ff&password=%ff",
        b"x" * 70_000,
    ]  # fmt: skip
    for body in bodies:
        content = request("POST", "/jwt/auth", host, [form], body, chunked=False)
        answer = exchange(node.web, content)
        assert 400 <= answer.status < 500, (body[:80], answer)
        assert answer.header("Content-Type") == "application/json", (body[:80], answer)
        assert answer.codes
    for media_type in (
        "multipart/form-data; boundary=x", "application/json", "text/plain", *_UNDECODABLE
    ):  # fmt: skip
        content = request(
            "POST", "/jwt/auth", host, [("Content-Type", media_type)], b"--x--", chunked=False
        )
        answer = exchange(node.web, content)
        assert answer.status == 400
        assert answer.codes == ["UNSUPPORTED"]
    for method in ("PUT", "DELETE", "PATCH", "PROPFIND"):
        answer = exchange(node.web, request(method, "/jwt/auth", host, [], b"", chunked=False))
        assert answer.status == 405
        assert answer.header("Allow")
        assert answer.codes == ["UNSUPPORTED"]
    assert "Traceback" not in node.log_since()
