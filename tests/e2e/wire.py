"""The registry's API without a client: quick pushes, and a walk that reads everything back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from tests.e2e.images import MANIFEST, Image, digest_of
from tests.e2e.installation import Installation, wait_until

_TYPES = (
    "vnd.oci.image.index.v1",
    "vnd.oci.image.manifest.v1",
    "vnd.docker.distribution.manifest.list.v2",
    "vnd.docker.distribution.manifest.v2",
)
ACCEPT = ", ".join(f"application/{name}+json" for name in _TYPES)
EMPTY = b"{}"


class Wire:
    """One repository over one connection, with one token."""

    def __init__(
        self,
        installation: Installation,
        repository: str,
        *,
        username: str = "root",
        actions: str = "pull,push,delete",
    ) -> None:
        self.repository = repository
        token = installation.token(f"repository:{repository}:{actions}", username=username)
        self.http = httpx.Client(
            base_url=f"{installation.registry_url}/v2/{repository}/",
            headers={"Authorization": f"Bearer {token}", "Accept": ACCEPT},
            timeout=60,
            verify=installation.verify,
        )

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, address: str, **options: Any) -> httpx.Response:
        """GET, which has to answer 200."""
        answer = self.http.get(address, **options)
        assert answer.status_code == 200, (address, answer.status_code, answer.text)
        return answer

    def push_blob(self, content: bytes) -> dict[str, Any]:
        """A blob in one request; its digest and size."""
        digest = digest_of(content)
        answer = self.http.post("blobs/uploads/", params={"digest": digest}, content=content)
        assert answer.status_code == 201, answer.text
        return {"digest": digest, "size": len(content)}

    def push_manifest(
        self, content: bytes | dict[str, Any], tag: str | None = None, media_type: str = MANIFEST
    ) -> dict[str, Any]:
        """A manifest by tag, or by its digest; its descriptor."""
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        answer = self.http.put(
            f"manifests/{tag or digest_of(payload)}",
            content=payload,
            headers={"Content-Type": media_type},
        )
        assert answer.status_code == 201, answer.text
        assert answer.headers["Docker-Content-Digest"] == digest_of(payload)
        return {"mediaType": media_type, "digest": digest_of(payload), "size": len(payload)}

    def push(self, image: Image, tag: str | None = None) -> dict[str, Any]:
        """An image; the descriptor of its manifest."""
        for content in (*image.blobs, image.config):
            self.push_blob(content)
        return self.push_manifest(image.manifest, tag)

    def tags(self) -> list[str]:
        """Every tag, page by page."""
        found: list[str] = []
        address = "tags/list"
        while address:
            answer = self.get(address)
            found += answer.json()["tags"] or []
            following = answer.links.get("next", {}).get("url", "")
            address = str(answer.url.join(following)) if following else ""
        return found

    def referrers(self, digest: str, **parameters: str) -> list[dict[str, Any]]:
        """What refers to a manifest."""
        listed: list[dict[str, Any]] = self.get(f"referrers/{digest}", params=parameters).json()[
            "manifests"
        ]
        return listed

    def is_there(self, reference: str) -> bool:
        """Whether a manifest is there."""
        return self.http.head(f"manifests/{reference}").status_code == 200


class Collector:
    """Asks for reviews as the worker does, and more often than its schedule: a test waits less."""

    def __init__(self, installation: Installation) -> None:
        token = installation.run_python(
            "from gitlab.container_registry.client import tokens as tokens_for_jobs\n"
            "answer = tokens_for_jobs.for_registry('garbage')"
        )
        self.url = f"{installation.registry_url}/gitlab/v1/garbage/reviews/"
        self.options: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {token}"},
            "verify": installation.verify,
            "timeout": 60,
        }

    def review(self) -> bool:
        """One batch. Answers True, to go before a condition."""
        httpx.post(self.url, params={"n": "100"}, **self.options).raise_for_status()
        return True

    def until(self, condition: Callable[[], bool]) -> None:
        """Collect until `condition` holds."""
        wait_until(lambda: self.review() and condition(), timeout=120)


class Walk:
    """Reads manifests, what they list and every blob, and hashes all of it; each blob once."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.blobs: set[str] = set()

    def repository(self, repository: str, also: Iterable[str] = ()) -> dict[str, str]:
        """Everything that tags lead to, and `also`; the digest of each tag."""
        with Wire(self.installation, repository, actions="pull") as wire:
            found = {tag: self.manifest(wire, tag) for tag in wire.tags()}
            for reference in also:
                self.manifest(wire, reference)
        return found

    def manifest(self, wire: Wire, reference: str) -> str:
        """One manifest with all that it lists; its digest."""
        answer = wire.get(f"manifests/{reference}")
        digest = digest_of(answer.content)
        assert digest == answer.headers["Docker-Content-Digest"]
        assert ":" not in reference or digest == reference
        content = answer.json()
        for child in content.get("manifests", ()):
            self.manifest(wire, child["digest"])
        for entry in (*content.get("layers", ()), *filter(None, [content.get("config")])):
            self.blob(wire, entry)
        return digest

    def blob(self, wire: Wire, entry: dict[str, Any]) -> None:
        """One blob: right length, right bytes."""
        digest = entry["digest"]
        if digest in self.blobs:
            # Its bytes are known to be right; the right of this repository to them is not.
            assert wire.http.head(f"blobs/{digest}").status_code == 200, (wire.repository, digest)
            return
        hashed, size = hashlib.sha256(), 0
        with wire.http.stream("GET", f"blobs/{digest}") as answer:
            assert answer.status_code == 200, (wire.repository, digest, answer.status_code)
            for part in answer.iter_bytes():
                hashed.update(part)
                size += len(part)
        assert (f"sha256:{hashed.hexdigest()}", size) == (digest, entry["size"])
        self.blobs.add(digest)
