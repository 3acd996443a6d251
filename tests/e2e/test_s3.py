"""docker through Berth on a real S3 server: push, pull, redirects, garbage, a store that
goes away.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import images
from tests.e2e.clients import Docker
from tests.e2e.components import require
from tests.e2e.installation import Installation, wait_until
from tests.e2e.seaweedfs import SECRET_KEY, SeaweedFS, Server

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]
SCOPE = "repository:root/app:pull,push,delete"
MIB = 1024 * 1024


@pytest.fixture
def prefix() -> str:
    """This test's part of the bucket."""
    return f"e2e/{uuid.uuid4().hex}"


def push(docker: Docker, berth: Installation, image: images.Image, tag: str = "1") -> str:
    """Push `image`; its full name."""
    docker.login(berth.registry, "root", berth.root_password)
    name = f"{berth.registry}/root/app:{tag}"
    docker.load(image, name)
    docker("push", "--quiet", name)
    return name


def layer_of(berth: Installation, tag: str = "1") -> tuple[str, int]:
    """Digest and size of an image's first layer."""
    manifest = berth.request("GET", f"/v2/root/app/manifests/{tag}", SCOPE).json()
    return manifest["layers"][0]["digest"], manifest["layers"][0]["size"]


@pytest.mark.parametrize("redirect", ["false", "true"])
def test_push_pull_and_collect(
    docker: Docker, make_installation: Any, s3: SeaweedFS, prefix: str, redirect: str
) -> None:
    berth: Installation = make_installation(
        **s3.settings(prefix, REGISTRY__STORAGE__REDIRECT=redirect),
        # Longer than a push takes on a busy machine.
        BERTH__GC_REVIEW_DELAY="10s",
        BERTH__UNDO_WINDOW="2s",
    )
    image = images.large(40)
    name = push(docker, berth, image)
    assert berth.bytes_on_disk() == 0
    assert s3.unfinished(prefix) == []
    stored = s3.objects(prefix)
    assert len(stored) == len(image.layers) + 1
    assert all(key.startswith(f"{prefix}/blobs/sha256/") for key in stored)

    docker.remove_images()
    docker("pull", "--quiet", name)
    assert docker.inspect(name)["Id"] == image.id

    digest, size = layer_of(berth)
    path = f"/v2/root/app/blobs/{digest}"
    head = berth.request("HEAD", path, SCOPE)
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(size))
    answer = berth.request("GET", path, SCOPE, headers={"Range": "bytes=5-14"})
    if redirect == "true":
        assert answer.status_code == 307
        assert answer.headers["Location"].startswith(s3.endpoint)
        assert "X-Amz-Expires=300" in answer.headers["Location"]
        assert "max-age" not in answer.headers["Cache-Control"]
        answer = httpx.get(answer.headers["Location"], headers={"Range": "bytes=5-14"})
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes 5-14/{size}"
    assert len(answer.content) == 10

    assert berth.request("DELETE", "/v2/root/app/manifests/1", SCOPE).status_code == 202
    wait_until(lambda: s3.objects(prefix) == {}, timeout=120)
    assert SECRET_KEY not in berth.log()


def test_chunks_mounts_and_a_layer_that_was_lost(
    make_installation: Any, s3: SeaweedFS, prefix: str
) -> None:
    """What docker does not do by itself: several PATCH, a mount, a push that heals."""
    berth: Installation = make_installation(**s3.settings(prefix))
    body = os.urandom(20 * MIB)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    location = berth.request("POST", "/v2/root/app/blobs/uploads/", SCOPE).headers["Location"]
    for start in (0, 9 * MIB, 9 * MIB + 5):
        end = {0: 9 * MIB, 9 * MIB: 9 * MIB + 5}.get(start, len(body))
        sent = berth.request(
            "PATCH", location, SCOPE, content=body[start:end],
            headers={"Content-Range": f"{start}-{end - 1}"},
        )  # fmt: skip
        assert sent.status_code == 202
        location = sent.headers["Location"]
    done = berth.request("PUT", f"{location}&digest={digest}", SCOPE)
    assert done.status_code == 201
    (key,) = s3.objects(prefix)
    assert berth.request("GET", f"/v2/root/app/blobs/{digest}", SCOPE).content == body

    mounted = berth.request(
        "POST", f"/v2/root/other/blobs/uploads/?mount={digest}&from=root/app",
        SCOPE, "repository:root/other:pull,push",
    )  # fmt: skip
    assert mounted.status_code == 201
    assert list(s3.objects(prefix)) == [key]

    s3.client().delete_object(Bucket="registry", Key=key)
    assert berth.request("HEAD", f"/v2/root/app/blobs/{digest}", SCOPE).status_code == 404
    again = berth.request(
        "POST", f"/v2/root/app/blobs/uploads/?digest={digest}", SCOPE, content=body
    )
    assert again.status_code == 201
    assert berth.request("HEAD", f"/v2/root/app/blobs/{digest}", SCOPE).status_code == 200


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server that a test may stop."""
    require("seaweedfs")
    server = Server(tmp_path / "seaweedfs")
    yield server
    server.stop()


def test_a_store_that_goes_away_and_comes_back(make_installation: Any, own: Server) -> None:
    running = own.start()
    berth: Installation = make_installation(**running.settings("health"))

    def ready() -> int:
        return httpx.get(f"{berth.registry_url}/-/readiness", timeout=20).status_code

    # Each of the server's processes has a look of its own.
    assert [ready() for _ in range(8)] == [200] * 8
    assert httpx.get(f"{berth.url}/-/readiness").status_code == 200
    own.stop(keep=True)
    wait_until(lambda: {ready() for _ in range(8)} == {503}, timeout=60)
    assert httpx.get(f"{berth.registry_url}/-/liveness").status_code == 200
    refused = berth.request(
        "POST", f"/v2/root/app/blobs/uploads/?digest=sha256:{'0' * 64}", SCOPE, content=b"x"
    )
    assert refused.status_code == 503
    assert refused.json()["errors"][0]["code"] == "UNAVAILABLE"
    assert int(refused.headers["Retry-After"]) <= 60
    own.start()
    wait_until(lambda: {ready() for _ in range(8)} == {200}, timeout=30)
    assert SECRET_KEY not in berth.log()
