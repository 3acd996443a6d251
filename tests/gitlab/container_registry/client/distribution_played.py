"""docker's registry (distribution 2.8) as far as GitLab speaks to it, in memory."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import httpx
import jwt

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_PATH = re.compile(
    r"/v2/(?P<path>.+?)/(?P<kind>tags/list|manifests|blobs/uploads|blobs)(?:/(?P<reference>[^/]*))?$"
)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class PlayedDistribution:
    """A transport. `tags` of each image, `manifests` by digest; `asked` are the calls."""

    def __init__(self, *, deletes: bool = True, deletes_tags: bool = False) -> None:
        self.deletes, self.deletes_tags = deletes, deletes_tags
        self.tags: dict[str, dict[str, str]] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.subjects: list[str | None] = []
        self.page = 0
        self.before_delete: Any = lambda path, digest: None

    # What tests put in

    def push(
        self, path: str, tag: str, *sizes: int, created: str = "", platform: str = "linux/amd64"
    ) -> str:
        """An image with layers of these sizes."""
        os, _, architecture = platform.partition("/")
        config = {
            "os": os,
            "architecture": architecture,
            **({"created": created} if created else {}),
        }
        body = json.dumps(config).encode()
        self.blobs[digest_of(body)] = body
        layers = [
            {"mediaType": LAYER, "digest": digest_of(str(size).encode()), "size": size}
            for size in sizes
        ]
        document = {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": {"mediaType": CONFIG, "digest": digest_of(body), "size": len(body)},
            "layers": layers,
        }
        return self.put(path, tag, IMAGE, json.dumps(document).encode())

    def push_index(self, path: str, tag: str, *digests: str) -> str:
        """An index of manifests that are there, for linux/amd64, linux/arm64, …"""
        parts = [
            {
                "mediaType": IMAGE,
                "digest": digest,
                "size": 1,
                "platform": {"os": "linux", "architecture": architecture},
            }
            for digest, architecture in zip(digests, ("amd64", "arm64"), strict=False)
        ]
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": parts}
        return self.put(path, tag, INDEX, json.dumps(document).encode())

    def put(self, path: str, tag: str, media_type: str, payload: bytes) -> str:
        digest = digest_of(payload)
        self.manifests[path, digest] = (media_type, payload)
        self.tags.setdefault(path, {})
        if not tag.startswith("sha256:"):
            self.tags[path][tag] = digest
        return digest

    # What it answers

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        if request.url.path.startswith("/gitlab/"):
            return httpx.Response(404, text="404 page not found\n")
        text = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(text, options={"verify_signature": False})
        self.subjects.append(claims.get("sub"))
        matched = _PATH.match(request.url.path)
        assert matched, request.url
        path, kind, reference = matched["path"], matched["kind"], matched["reference"] or ""
        (entry,) = claims["access"]
        assert entry["name"] == path
        needed = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(request.method, "push")
        assert needed in entry["actions"]
        if kind == "tags/list":
            return self._list(path, request)
        if kind == "manifests":
            return self._manifest(path, reference, request)
        if kind == "blobs/uploads":
            if request.method == "POST":
                location = f"http://elsewhere:5000/v2/{path}/blobs/uploads/1?_state=x"
                return httpx.Response(202, headers={"Location": location})
            assert dict(request.url.params) == {"_state": "x", "digest": digest_of(request.content)}
            self.blobs[digest_of(request.content)] = request.content
            return httpx.Response(201)
        found = self.blobs.get(reference)
        return httpx.Response(200, content=found) if found else _unknown("BLOB_UNKNOWN")

    def _list(self, path: str, request: httpx.Request) -> httpx.Response:
        if path not in self.tags:
            return _unknown("NAME_UNKNOWN")
        names = sorted(self.tags[path])
        last = request.url.params.get("last", "")
        rest = [name for name in names if name > last]
        shown = rest[: self.page] if self.page else rest
        headers = {}
        if len(shown) < len(rest):
            headers["Link"] = f'</v2/{path}/tags/list?n={self.page}&last={shown[-1]}>; rel="next"'
        return httpx.Response(200, json={"name": path, "tags": shown or None}, headers=headers)

    def _manifest(self, path: str, reference: str, request: httpx.Request) -> httpx.Response:
        is_digest = reference.startswith("sha256:")
        digest = reference if is_digest else self.tags.get(path, {}).get(reference, "")
        if request.method == "PUT":
            put = self.put(path, reference, request.headers["Content-Type"], request.content)
            return httpx.Response(201, headers={"Docker-Content-Digest": put})
        if request.method == "DELETE":
            return self._delete(path, reference, digest, is_digest)
        found = self.manifests.get((path, digest))
        if found is None:
            return _unknown("MANIFEST_UNKNOWN")
        assert IMAGE in request.headers["Accept"]
        headers = {"Docker-Content-Digest": digest, "Content-Type": found[0]}
        content = b"" if request.method == "HEAD" else found[1]
        return httpx.Response(200, content=content, headers=headers)

    def _delete(self, path: str, reference: str, digest: str, is_digest: bool) -> httpx.Response:
        if not is_digest and not self.deletes_tags:
            return _refused(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        if not self.deletes:
            return _refused(405, "UNSUPPORTED", "The operation is unsupported.")
        if not is_digest:
            gone = self.tags.get(path, {}).pop(reference, None)
            return httpx.Response(202) if gone else _unknown("MANIFEST_UNKNOWN")
        self.before_delete(path, digest)
        if self.manifests.pop((path, digest), None) is None:
            return _unknown("MANIFEST_UNKNOWN")
        kept = {tag: at for tag, at in self.tags[path].items() if at != digest}
        self.tags[path] = kept
        return httpx.Response(202)


def _refused(status: int, code: str, message: str) -> httpx.Response:
    return httpx.Response(status, json={"errors": [{"code": code, "message": message}]})


def _unknown(code: str) -> httpx.Response:
    return _refused(404, code, "unknown")
