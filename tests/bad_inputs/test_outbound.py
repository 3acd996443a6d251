"""Addresses in what clients send are never followed: no process of Berth's calls anybody."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_inputs import checks
from tests.bad_inputs.attacks import Forge
from tests.bad_inputs.client import Answer, exchange, request
from tests.bad_inputs.server import PROJECT, WATCHED, Node
from tokens.access import Access

pytestmark = pytest.mark.xdist_group("bad-inputs")

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
FOREIGN = (
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.v1.tar+gzip",
)
UNKNOWN = "sha256:" + "5" * 64


@pytest.fixture
def bait() -> Iterator[socket.socket]:
    """Somebody who waits for a call."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture
def address(bait: socket.socket) -> str:
    return f"127.0.0.1:{bait.getsockname()[1]}"


def assert_nobody_called(node: Node, bait: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        bait.accept()
    assert node.calls() == []


def send(
    node: Node, method: str, path: str, token: str, body: bytes = b"", media_type: str = ""
) -> Answer:
    headers = [("Authorization", f"Bearer {token}")]
    if media_type:
        headers.append(("Content-Type", media_type))
    host = f"localhost:{node.registry[1]}"
    content = request(method, path, host, headers, body, chunked=False)
    return exchange(node.registry, content, head=method == "HEAD")


@pytest.mark.parametrize("code", ["socket", "name", "urllib", "file"])
def test_the_watch_sees_it(tmp_path: Path, bait: socket.socket, address: str, code: str) -> None:
    """Otherwise the tests below would say nothing."""
    calls = tmp_path / "calls"
    program = {
        "socket": f"import socket; socket.create_connection({bait.getsockname()!r})",
        "name": "import socket; socket.getaddrinfo('localhost', 80)",
        "urllib": f"import urllib.request as u\ntry: u.urlopen('http://{address}', timeout=0.01)\n"
        "except OSError: pass",
        "file": "open('/etc/passwd').close()",
    }[code]
    environment = {
        **os.environ, "PYTHONPATH": f"{WATCHED}:{PROJECT}", "WATCHED_CALLS": str(calls)
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    seen = {"socket": "socket.connect", "name": "socket.getaddrinfo", "urllib": "urllib.Request"}
    assert seen.get(code, "open") in calls.read_text()


def test_every_process_is_watched(node: Node) -> None:
    for name in ("web", "registry"):
        for pid in node.workers_of(name):
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            assert f"WATCHED_CALLS={node.calls_path}".encode() in environment
            opened = {each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir()}
            assert node.calls_path in opened


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "kid", "iss"])
def test_addresses_of_keys(
    node: Node, forge: Forge, bait: socket.socket, address: str, header: str
) -> None:
    pull = Access.repository(checks.PRIVATE, "pull")
    for scheme in ("http", "https", "ftp", "file"):
        url = f"{scheme}://{address}/keys"
        changes: dict[str, Any] = {"iss": url} if header == "iss" else {}
        headers = {"jwk": {"kty": "EC", "x5u": url}} if header == "jwk" else {header: url}
        for own in ({}, {"kid": None, "x5c": None}):
            kept = {k: v for k, v in {**own, **headers}.items() if header != "iss"}
            given = {key: value for key, value in kept.items() if value is not None}
            token = forge.sign(forge.claims(pull, **changes), **given)
            answer = send(node, "GET", f"/v2/{checks.PRIVATE}/manifests/v1", token)
            # With our own kid beside it, it is a good token all the same: the address counts
            # nothing.
            assert answer.status in (200, 401)
    assert_nobody_called(node, bait)


@pytest.mark.parametrize("media_type", FOREIGN)
def test_layers_elsewhere(
    node: Node, forge: Forge, bait: socket.socket, address: str, media_type: str
) -> None:
    token = forge.mint(Access.repository(checks.PRIVATE, "pull", "push", "delete"))
    config = node.fixtures["CFG"]
    urls = [f"http://{address}/layer", f"https://{address}/", "file:///etc/passwd"]
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config["digest"],
            "size": config["size"],
            "urls": urls,
        },
        "layers": [{"mediaType": media_type, "digest": UNKNOWN, "size": 10, "urls": urls}],
        "annotations": {"org.opencontainers.image.source": urls[0]},
    }
    path = f"/v2/{checks.PRIVATE}/manifests/elsewhere"
    put = send(node, "PUT", path, token, json.dumps(document).encode(), IMAGE)
    # What says where else it is need not be here; it is kept as it is written.
    assert put.status == 201
    got = send(node, "GET", path, token)
    assert json.loads(got.body) == document
    assert send(node, "GET", f"/v2/{checks.PRIVATE}/blobs/{UNKNOWN}", token).status == 404
    assert send(node, "DELETE", path, token).status == 202
    assert_nobody_called(node, bait)


def test_indexes_and_subjects_elsewhere(
    node: Node, forge: Forge, bait: socket.socket, address: str
) -> None:
    token = forge.mint(Access.repository(checks.PRIVATE, "pull", "push", "delete"))
    there = {"mediaType": IMAGE, "digest": UNKNOWN, "size": 10, "urls": [f"http://{address}/m"]}
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [there], "subject": there}
    path = f"/v2/{checks.PRIVATE}/manifests/index-elsewhere"
    put = send(node, "PUT", path, token, json.dumps(document).encode(), INDEX)
    assert put.status == 201
    assert send(node, "GET", f"/v2/{checks.PRIVATE}/manifests/{UNKNOWN}", token).status == 404
    assert send(node, "GET", f"/v2/{checks.PRIVATE}/referrers/{UNKNOWN}", token).status == 200
    digest = put.header("Docker-Content-Digest")
    assert send(node, "DELETE", f"/v2/{checks.PRIVATE}/manifests/{digest}", token).status == 202
    assert_nobody_called(node, bait)


def test_mounts_from_elsewhere(node: Node, forge: Forge, bait: socket.socket, address: str) -> None:
    token = forge.mint(Access.repository(checks.PRIVATE, "pull", "push"))
    uploads = f"/v2/{checks.PRIVATE}/blobs/uploads/"
    for origin in (address, f"{address}/acme/app", f"http://{address}/x", "//evil.example/x"):
        answer = send(node, "POST", f"{uploads}?mount={UNKNOWN}&from={origin}", token)
        assert answer.status in (202, 400)
    answer = send(node, "GET", f"/v2/{checks.PRIVATE}/manifests/v1?ns={address}", token)
    assert answer.status == 200
    assert_nobody_called(node, bait)


def test_who_logs_in_is_not_called_back(node: Node, bait: socket.socket, address: str) -> None:
    host = f"localhost:{node.web[1]}"
    for parameter in ("realm", "redirect_uri", "account", "client_id", "scope"):
        path = f"/jwt/auth?service=container_registry&{parameter}=http://{address}/x"
        headers = [("Referer", f"http://{address}/"), ("Origin", f"http://{address}")]
        content = request("GET", path, host, headers, b"", chunked=False)
        assert exchange(node.web, content).status in (200, 400, 401, 403)
    assert_nobody_called(node, bait)
