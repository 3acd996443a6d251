"""The calls of the protocol itself, ``/v2/``, which every registry answers alike.

Source: OCI distribution specification 1.1, end-3, end-7, end-9, end-12.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from gitlab.container_registry.client.connection import (
    MAX_ANSWER,
    Connection,
    RegistryUnavailable,
    as_json,
)
from gitlab.container_registry.client.responses import Referrer, ReferrersPage, StoredManifest
from tokens.access import Access

ANY_MANIFEST = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json,"
    " application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.docker.distribution.manifest.list.v2+json, */*"
)
"""docker's registry converts what is not named to a schema of 2014."""

_AT_ONCE = 4


def link_of(answer: httpx.Response, relation: str, parameter: str) -> str:
    """A query parameter of a page's neighbour, "" where there is none."""
    url = answer.links.get(relation, {}).get("url", "")
    return parse_qs(urlsplit(url).query).get(parameter, [""])[0]


def fits_digest(digest: str, content: bytes) -> bool:
    """Whether bytes are those of a digest (OCI image specification 1.1, "Digests")."""
    algorithm, _, expected = digest.partition(":")
    if algorithm not in ("sha256", "sha512"):
        return False
    return hashlib.new(algorithm, content).hexdigest() == expected


class OverV2:
    """Calls to one registry. Safe to share between threads; not between processes."""

    def __init__(self, url: str, **options: Any) -> None:
        """`options` are those of `Connection`."""
        self._connection = Connection(url, **options)

    def manifest(self, path: str, reference: str) -> StoredManifest | None:
        """A manifest by tag or digest, byte by byte, or None."""
        answer = self._connection.call(
            "GET",
            f"/v2/{path}/manifests/{quote(reference, safe=':')}",
            Access.repository(path, "pull"),
            headers={"Accept": ANY_MANIFEST},
            accept=(200, 404),
        )
        if answer.status_code == 404:
            return None
        return StoredManifest(answer.headers.get("content-type", ""), answer.content)

    def has_manifest(self, path: str, digest: str) -> bool:
        """Whether an image has a manifest now."""
        return self._has(f"/v2/{path}/manifests/{quote(digest, safe=':')}", path)

    def has_blob(self, path: str, digest: str) -> bool:
        """Whether an image may serve a blob now."""
        return self._has(f"/v2/{path}/blobs/{quote(digest, safe=':')}", path)

    def has_blobs(self, path: str, digests: Sequence[str]) -> set[str]:
        """Those of up to 200 blobs that an image may serve now: a question each, a few at once."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            here = pool.map(lambda digest: self.has_blob(path, digest), digests)
            return {digest for digest, is_here in zip(digests, here, strict=True) if is_here}

    def _has(self, url: str, path: str) -> bool:
        answer = self._connection.call(
            "HEAD",
            url,
            Access.repository(path, "pull"),
            headers={"Accept": ANY_MANIFEST},
            accept=(200, 302, 303, 307, 404),
        )
        return answer.status_code != 404

    def blob(self, path: str, digest: str, *, max_bytes: int = MAX_ANSWER) -> bytes | None:
        """A small blob, byte by byte, or None.

        Where the registry sends its clients to a store, that is asked: once, and without the token.
        Raises `AnswerTooLarge` for more than `max_bytes`, and `RegistryUnavailable` where what
        comes is not what the digest says.
        """
        answer = self._connection.call(
            "GET",
            f"/v2/{path}/blobs/{quote(digest, safe=':')}",
            Access.repository(path, "pull"),
            headers={"Accept": "*/*"},
            accept=(200, 302, 303, 307, 404),
            max_answer=max_bytes,
        )
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            where = answer.headers.get("location", "")
            answer = self._connection.follow(where, max_answer=max_bytes)
        if not fits_digest(digest, answer.content):
            raise RegistryUnavailable("the registry sends something else than what it was asked")
        return answer.content

    def layer(self, path: str, digest: str) -> Iterator[bytes]:
        """A blob of any size as it comes, unchecked. Raises between two chunks as well."""
        url = f"/v2/{path}/blobs/{quote(digest, safe=':')}"
        return self._connection.stream(url, Access.repository(path, "pull"))

    def referrers(
        self, path: str, digest: str, *, n: int = 100, last: str = "", artifact_type: str = ""
    ) -> ReferrersPage:
        """A page of the manifests whose subject is `digest`, after `last`; of this type alone.

        A registry that has no such list has none; one that knows no pages sends all.
        """
        asked = {"n": str(n), "last": last, "artifactType": artifact_type}
        answer = self._connection.call(
            "GET",
            f"/v2/{path}/referrers/{quote(digest, safe=':')}",
            Access.repository(path, "pull"),
            {key: value for key, value in asked.items() if value},
            accept=(200, 404),
        )
        if answer.status_code == 404:
            return ReferrersPage([])
        try:
            found = [Referrer.read(entry) for entry in as_json(answer).get("manifests") or []]
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise RegistryUnavailable("the registry's answer is no list of referrers") from error
        if artifact_type:
            found = [each for each in found if each.artifact_type == artifact_type]
        return ReferrersPage(found, next_last=link_of(answer, "next", "last"))

    def delete_manifest(self, path: str, digest: str) -> bool:
        """Remove a manifest with all its tags. False where it was gone already."""
        return self._delete(f"/v2/{path}/manifests/{quote(digest, safe=':')}", path)

    def point(self, path: str, tag: str, manifest: StoredManifest, *, by: str = "") -> None:
        """Let a tag point at a manifest that is there."""
        self._connection.call(
            "PUT",
            f"/v2/{path}/manifests/{quote(tag, safe='')}",
            Access.repository(path, "pull", "push"),
            by=by,
            headers={"Content-Type": manifest.media_type},
            content=manifest.payload,
            accept=(201,),
        )

    def _delete(self, url: str, path: str, by: str = "") -> bool:
        answer = self._connection.call(
            "DELETE", url, Access.repository(path, "delete"), by=by, accept=(200, 202, 204, 404)
        )
        return answer.status_code != 404
