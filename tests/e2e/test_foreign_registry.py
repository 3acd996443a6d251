"""Debian's docker-registry takes our tokens unchanged: the token server is ours, the rest theirs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import components, images
from tests.e2e.clients import Skopeo
from tests.e2e.installation import Installation
from tokens import keys

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("containers")]


@pytest.fixture(params=["EC", "RSA"])
def foreign(
    request: pytest.FixtureRequest, make_installation: Any, tmp_path: Path
) -> Iterator[Installation]:
    """GitLab's side alone, and theirs as its registry."""
    program = components.require("docker-registry")
    key, certificate = keys.generate(rsa_bits=2048 if request.param == "RSA" else None)
    (tmp_path / "bundle.crt").write_bytes(certificate)
    port = components.free_port()
    berth: Installation = make_installation(
        BERTH__ROLES="web",
        REGISTRY_EXTERNAL_URL=f"http://localhost:{port}",
        GITLAB_RAILS__REGISTRY_API_URL=f"http://127.0.0.1:{port}",
        GITLAB_RAILS__INTERNAL_KEY=key.decode(),
        REGISTRY__INTERNAL_CERTIFICATE=certificate.decode(),
    )
    configuration = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(tmp_path / "theirs")},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": "theirs"},
        "auth": {
            "token": {
                "realm": f"{berth.url}/jwt/auth",
                "service": "container_registry",
                "issuer": "gitlab-issuer",
                "rootcertbundle": str(tmp_path / "bundle.crt"),
            }
        },
    }
    path = tmp_path / "registry.yml"
    path.write_text(json.dumps(configuration))  # JSON is YAML, too.
    with (tmp_path / "registry.log").open("wb") as log:
        theirs = subprocess.Popen([program, "serve", path], stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/v2/")
        yield berth
    finally:
        theirs.terminate()
        theirs.wait(10)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(url).status_code == 401:
                return
        time.sleep(0.1)
    raise AssertionError(f"{url}: no answer")


def test_it_accepts_our_tokens(foreign: Installation, skopeo: Skopeo, tmp_path: Path) -> None:
    challenge = httpx.get(f"{foreign.registry_url}/v2/").headers["WWW-Authenticate"]
    assert f'realm="{foreign.url}/jwt/auth"' in challenge
    assert foreign.request("GET", "/v2/").status_code == 200

    foreign.create_user("alice")
    skopeo.login(foreign.registry, "alice", foreign.root_password)
    there = images.write_layout(tmp_path / "there", images.many_layers(3))
    name = f"docker://{foreign.registry}/alice/app:1"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{there}", name)
    skopeo("copy", "--src-tls-verify=false", name, f"oci:{tmp_path}/back")
    assert images.layout_blobs(tmp_path / "back") == images.layout_blobs(there)

    # A token is good for what it says and for nothing else.
    token = foreign.token("repository:alice/app:pull", username="alice")
    refused = httpx.post(
        f"{foreign.registry_url}/v2/alice/app/blobs/uploads/",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert refused.status_code == 401
    assert "insufficient_scope" in refused.headers["WWW-Authenticate"]
