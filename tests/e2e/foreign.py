"""GitLab's side of Berth with docker's own registry: Debian's ``docker-registry``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.e2e import components
from tests.e2e.images import Image, digest_of
from tests.e2e.installation import Installation, wait_until
from tokens import keys

EVENTS_SECRET = "what-the-registry-says-with-its-notifications"


class Foreign(Installation):
    """GitLab's side, with the process of their registry and the certificate that it trusts."""

    theirs: subprocess.Popen[bytes]
    bundle: Path


@contextmanager
def installation(folder: Path, *, rsa: bool = False) -> Iterator[Foreign]:
    """Web and worker of Berth, whose registry is theirs, with tokens and notifications between."""
    program = components.require("docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate = keys.generate(rsa_bits=2048 if rsa else None)
    (folder / "bundle.crt").write_bytes(certificate)
    port = components.free_port()
    berth = Foreign(
        folder / "berth",
        BERTH__ROLES="web",
        BERTH__PROCESSES="1",
        BERTH__EVENTS_SECRET=EVENTS_SECRET,
        REGISTRY_EXTERNAL_URL=f"http://localhost:{port}",
        GITLAB_RAILS__REGISTRY_API_URL=f"http://127.0.0.1:{port}",
        GITLAB_RAILS__INTERNAL_KEY=key.decode(),
        REGISTRY__INTERNAL_CERTIFICATE=certificate.decode(),
    )
    configuration = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "theirs")},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": "theirs"},
        "auth": {
            "token": {
                "realm": f"{berth.url}/jwt/auth",
                "service": "container_registry",
                "issuer": "gitlab-issuer",
                "rootcertbundle": str(folder / "bundle.crt"),
            }
        },
        "notifications": {
            "endpoints": [
                {
                    "name": "gitlab",
                    "url": f"{berth.url}/api/v4/container_registry_event/events",
                    "headers": {"Authorization": [EVENTS_SECRET]},
                    "timeout": "10s",
                    "threshold": 3,
                    "backoff": "1s",
                }
            ]
        },
    }
    path = folder / "registry.yml"
    path.write_text(json.dumps(configuration))  # JSON is YAML, too.
    berth.bundle = folder / "bundle.crt"
    with (folder / "registry.log").open("wb") as log:
        berth.theirs = subprocess.Popen([program, "serve", path], stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/v2/"), timeout=60)
        berth.start()
        yield berth
    finally:
        berth.discard()
        berth.theirs.terminate()
        berth.theirs.wait(20)


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url).status_code == 401
    return False


class Line:
    """An image over one line, with one token that is kept."""

    def __init__(self, berth: Installation, name: str, username: str = "alice") -> None:
        scope = f"repository:{name}:pull,push"
        token = berth.token(scope, username=username)
        self.http = httpx.Client(
            base_url=f"{berth.registry_url}/v2/{name}/",
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )

    def push(self, image: Image, media_type: str, *tags: str) -> str:
        """As a client does it, without asking for a token again; the manifest's digest."""
        for blob in (image.config, *image.blobs):
            begun = self.http.post("blobs/uploads/")
            assert begun.status_code == 202, begun.text
            location = self.http.base_url.join(begun.headers["Location"])
            done = self.http.put(
                location.copy_merge_params({"digest": digest_of(blob)}), content=blob
            )
            assert done.status_code == 201, done.text
        for tag in tags:
            headers = {"Content-Type": media_type}
            put = self.http.put(f"manifests/{tag}", content=image.manifest, headers=headers)
            assert put.status_code == 201, put.text
        return digest_of(image.manifest)

    def tags(self) -> list[str]:
        """What ``tags/list`` says, [] where there is no such image."""
        answer = self.http.get("tags/list")
        return sorted(answer.json().get("tags") or []) if answer.status_code == 200 else []

    def status(self, reference: str) -> int:
        """Of a HEAD of a manifest."""
        headers = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        return self.http.head(f"manifests/{reference}", headers=headers).status_code
