"""A push that takes longer than a token lives: it finishes, and no request under way is cut.

Clients believe a token of less than a minute to live one, so the lifetime is a minute and the push
takes longer. The three push side by side.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import images
from tests.e2e.clients import Docker, Podman, Skopeo
from tests.e2e.components import free_port
from tests.e2e.images import Image
from tests.e2e.installation import Installation
from tests.e2e.slow_line import SlowLine

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]

LIFETIME = 60
RATE = 40_000
"""Bytes a second of each connection."""

LONGER = LIFETIME + 8
"""Seconds that a layer takes on such a line."""


@pytest.fixture
def berth(make_installation: Any) -> Iterator[Installation]:
    """An installation at the end of a slow line, whose tokens end when they say."""
    port = free_port()
    line = SlowLine(port, RATE)
    line.start()
    yield make_installation(
        REGISTRY_EXTERNAL_URL=f"http://localhost:{line.port}",
        REGISTRY__REGISTRY_HTTP_ADDR=f"127.0.0.1:{port}",
        GITLAB_RAILS__REGISTRY_API_URL=f"http://127.0.0.1:{port}",
        BERTH__TOKEN_EXPIRE_DELAY=str(LIFETIME / 60),
        BERTH__TOKEN_LEEWAY="1s",
    )
    line.stop()


def image(name: str) -> Image:
    """An image whose layer takes longer on the line than a token lives."""
    return Image((images.layer({name: os.urandom(RATE * LONGER)}),))


def test_a_push_that_outlives_its_token(
    berth: Installation, docker: Docker, podman: Podman, skopeo: Skopeo, tmp_path: Path
) -> None:
    for client in (docker, podman, skopeo):
        client.login(berth.registry, "root", berth.root_password)
    made = {name: image(name) for name in ("docker", "podman", "skopeo")}
    names = {name: f"{berth.registry}/root/{name}:1" for name in made}
    docker.load(made["docker"], names["docker"])
    archive = images.write_docker_archive(made["podman"], tmp_path / "podman.tar", names["podman"])
    podman("load", "--input", archive)
    layout = images.write_layout(tmp_path / "layout", made["skopeo"])
    pushes: dict[str, Callable[[], object]] = {
        "docker": lambda: docker("push", "--quiet", names["docker"]),
        "podman": lambda: podman("push", "--tls-verify=false", "--quiet", names["podman"]),
        "skopeo": lambda: skopeo(
            "copy", "--dest-tls-verify=false", f"oci:{layout}", f"docker://{names['skopeo']}"
        ),
        "raw": lambda: push_by_hand(berth),
    }
    took: dict[str, float] = {}
    failures: dict[str, BaseException] = {}

    def run(name: str, push: Callable[[], object]) -> None:
        started = time.monotonic()
        try:
            push()
        except BaseException as error:
            failures[name] = error
        took[name] = time.monotonic() - started

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in pushes.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(280)
    assert not failures
    assert set(took) == set(pushes)
    # Otherwise nothing was shown. A second try would take twice as long.
    assert all(LIFETIME + 2 < seconds < 2 * LIFETIME for seconds in took.values()), took
    for name, pushed in made.items():
        scope = f"repository:root/{name}:pull"
        manifest = berth.request("GET", f"/v2/root/{name}/manifests/1", scope).json()
        assert manifest["config"]["digest"] == pushed.id
        for layer in manifest["layers"]:
            blob = berth.request("GET", f"/v2/root/{name}/blobs/{layer['digest']}", scope)
            assert images.digest_of(blob.content) == layer["digest"]


def push_by_hand(berth: Installation) -> None:
    """One PATCH that outlives its token, then the old token, then a new one."""
    scope = "repository:root/raw:pull,push"
    url = f"{berth.registry_url}/v2/root/raw/blobs/uploads/"
    body = os.urandom(RATE * LONGER)
    old = {"Authorization": f"Bearer {berth.token(scope)}"}
    with httpx.Client(timeout=200) as client:
        location = client.post(url, headers=old).headers["Location"]
        sent = client.patch(berth.registry_url + location, headers=old, content=body)
        assert sent.status_code == 202, sent.text
        finish = f"{berth.registry_url}{sent.headers['Location']}"
        finish += f"&digest={images.digest_of(body)}"
        for refused in (client.put(finish, headers=old), client.get(finish, headers=old)):
            assert refused.status_code == 401
            assert "WWW-Authenticate" in refused.headers
        new = {"Authorization": f"Bearer {berth.token(scope)}"}
        assert client.get(finish, headers=new).headers["Range"] == f"0-{len(body) - 1}"
        assert client.put(finish, headers=new).status_code == 201
