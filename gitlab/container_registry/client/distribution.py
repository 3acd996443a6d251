"""A registry without ``/gitlab/v1/``: docker's own (distribution 2 and 3), by ``/v2/`` alone.

It knows tags and manifests and nothing of what was: no history, no undo, no time of a push, and
what a deletion would free is its own secret. Sizes, platforms and ages are read from the manifests.

A tag and nothing else goes as GitLab has always done it there, since the deletion of a digest takes
every tag of it:

    the tag ──► a manifest ──► its siblings        asked before: does the registry delete at all?
    the tag ──► an empty manifest of its own       PUT: from here on a pull gets nothing useful
                an empty manifest, deleted         DELETE by digest: takes this one tag along
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from gitlab.container_registry.client.connection import (
    AnswerTooLarge,
    RegistryRefused,
    RegistryUnavailable,
    as_json,
)
from gitlab.container_registry.client.contents import UNREAD, Contents
from gitlab.container_registry.client.reading import (
    MAX_CONFIG,
    MAX_DEPTH,
    Reader,
    children,
    is_digest,
)
from gitlab.container_registry.client.responses import (
    ManifestDetails,
    Part,
    RepositoryDetails,
    StoredManifest,
    TagDetails,
    TagsPage,
)
from gitlab.container_registry.client.v2 import ANY_MANIFEST, OverV2
from gitlab.container_registry.client.walk import Walk
from gitlab.container_registry.converters import TagConverter
from tokens.access import Access

SIZED_TAGS = 20
"""An image with more tags has no size in a list: each tag costs a call."""

MAX_TAGS = 50_000
MAX_TAGS_PAGES = 100
"""So much of an image's list of tags is read, whichever ends first."""

MAX_MANIFESTS = 500
"""Manifests that a page reads, indexes' parts included. What is behind them has no size there."""

MAX_DELETED = 5000
"""Manifests that a round of a deletion asks for. Parts of indexes behind them stay, untagged."""

_ATTEMPTS_A_WALK = 4
"""So many times as long as an attempt may take."""

_AT_ONCE = 4
_LISTED = 1000
_READY = 30.0
"""Seconds for which an empty configuration lies there and the registry is known to delete."""

_EMPTY_CONFIG = b"{}"
_TAG = re.compile(TagConverter.regex)

_KINDS = ("sig", "att", "sbom")
_SIGNATURE = re.compile(rf"sha256-[0-9a-f]{{64}}\.(?:{'|'.join(_KINDS)})", re.ASCII)
"""A tag by which cosign finds what belongs to an image."""

_Read = tuple[str, str, Contents]


class DistributionRegistry(OverV2):
    """Implements `registry.Registry`, as far as such a registry can tell."""

    own = None
    """It has no API beside the protocol: no history, no undo, no renaming, no collector."""

    def __init__(self, url: str, **options: Any) -> None:
        """`options` are those of `Connection`."""
        super().__init__(url, **options)
        self._reader = Reader(self)
        self._deletes_digests_only = False
        # The image whose tags were deleted last: several go in a row.
        self._ready_until: dict[str, float] = {}

    # What is there

    def repository(
        self, path: str, *, size: bool = True, below: bool = False
    ) -> RepositoryDetails | None:
        """One image. The size is None with more than `SIZED_TAGS` tags, and with `below`.

        There may be more tags than are counted where these are `MAX_TAGS`.
        """
        walk = self._walk()
        names = self._names(path, walk)
        if names is None:
            return None
        total: int | None = None
        if size and not below and len(names) <= SIZED_TAGS:
            total = _size_of([each for _, _, each in self._read(path, names, walk)])
        own = [each for each in names if not _SIGNATURE.fullmatch(each)]
        tag = "latest" if "latest" in own else next(iter(own), "")
        return RepositoryDetails(
            path.rpartition("/")[2],
            path,
            len(names),
            total,
            pull_tag=tag,
            signature_tags_count=len(names) - len(own),
        )

    def tags(  # noqa: PLR0913  (each is a parameter of the list)
        self,
        path: str,
        *,
        n: int = 20,
        last: str = "",
        before: str = "",
        name: str = "",
        sort: str = "",
        pattern: str = "",
        platform: str = "",
        signed: bool | None = None,
        signatures: bool = True,
        belongings: bool = False,
    ) -> TagsPage:
        """A page of tags by name: the only order there is. ``-name`` turns it round.

        A pattern, a platform or signatures are not asked for: nothing here knows them. What
        belongs to a tag is told by cosign's tags alone.
        """
        down = sort == "-name"
        walk = self._walk()
        known = self._names(path, walk) or []
        names = [each for each in known if name in each]
        if not signatures:
            names = [each for each in names if not _SIGNATURE.fullmatch(each)]
        names.sort(reverse=down)
        if before:
            end = sum(each > before if down else each < before for each in names)
            start = max(0, end - n)
        else:
            start = sum(each >= last if down else each <= last for each in names) if last else 0
            end = min(start + n, len(names))
        shown = names[start:end]
        ties = {each for each in known if _SIGNATURE.fullmatch(each)} if belongings else set()
        return TagsPage(
            [
                _details(tag, digest, found, _belongings(digest, ties))
                for tag, digest, found in self._read(path, shown, walk)
            ],
            next_last=shown[-1] if shown and end < len(names) else "",
            previous_before=shown[0] if shown and start else "",
        )

    def tag(self, path: str, tag: str, *, belongings: bool = False) -> TagDetails | None:
        """One tag, or None."""
        found = self._read(path, [tag], self._walk())
        return _details(*found[0]) if found else None

    def manifest_details(self, path: str, digests: Sequence[str]) -> dict[str, ManifestDetails]:
        """By digest what is known of some manifests: of those that were read within the bounds."""
        walk = self._walk()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(lambda digest: self._reader.read(path, digest, walk), digests)
            return {
                digest: _manifest_details(digest, each)
                for digest, each in zip(digests, found, strict=True)
                if each is not None and each is not UNREAD
            }

    def _names(self, path: str, walk: Walk) -> list[str] | None:
        """The tags of an image in order, `MAX_TAGS` at most; None where there is no such image."""
        found: set[str] = set()
        url, query = f"/v2/{path}/tags/list", {"n": str(_LISTED)}
        for _ in range(MAX_TAGS_PAGES):
            walk.go_on()
            answer = self._connection.call(
                "GET", url, Access.repository(path, "pull"), query, accept=(200, 404)
            )
            if answer.status_code == 404:
                return None
            before = len(found)
            found.update(_tags_in(answer))
            following = answer.links.get("next", {}).get("url", "")
            if not following or len(found) == before or len(found) >= MAX_TAGS:
                break
            # Its host is how people reach the registry: only what is asked matters here.
            url, query = f"{url.partition('?')[0]}?{urlsplit(following).query}", {}
        return sorted(found)[:MAX_TAGS]

    def _read(self, path: str, names: Sequence[str], walk: Walk) -> list[_Read]:
        """Each tag with its digest and what is there; a tag that has gone meanwhile is left out."""

        def read(name: str) -> _Read | None:
            walk.go_on()
            digest = self._digest(path, name)
            found = self._reader.read(path, digest, walk) if digest else None
            return (name, digest, found) if found else None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [found for found in pool.map(read, names) if found]

    def _digest(self, path: str, tag: str) -> str:
        """What a tag points at, "" where there is no such tag."""
        answer = self._connection.call(
            "HEAD",
            _manifest_url(path, tag),
            Access.repository(path, "pull"),
            headers={"Accept": ANY_MANIFEST},
            accept=(200, 404),
        )
        found = answer.headers.get("docker-content-digest", "")
        return found if answer.status_code == 200 and is_digest(found) else ""

    def configuration(self, path: str, digest: str) -> bytes:
        """A blob of at most `MAX_CONFIG` bytes, b"" where it can't be had."""
        answer = self._connection.call(
            "GET",
            f"/v2/{path}/blobs/{quote(digest, safe=':')}",
            Access.repository(path, "pull"),
            # Elsewhere, as an object store's address, nobody is followed.
            accept=(200, 302, 303, 307, 404),
            max_answer=MAX_CONFIG,
        )
        return answer.content if answer.status_code == 200 else b""

    def _walk(self, manifests: int = MAX_MANIFESTS) -> Walk:
        return Walk(manifests, _ATTEMPTS_A_WALK * self._connection.timeout)

    # Deleting

    def delete_tag(self, path: str, tag: str, *, by: str = "") -> bool:
        """Remove a tag and nothing else. False where it was gone already."""
        if not self._deletes_digests_only:
            answer = self._delete_named(path, tag, by)
            if answer.status_code in (200, 202, 204):
                return True
            if answer.status_code == 404:
                return False
            # distribution 2 answers 400 to a tag, whether it is there or not.
            self._deletes_digests_only = answer.status_code == 400
        if not self._digest(path, tag):
            return False
        self._delete_alone(path, tag, by)
        return True

    def _delete_named(self, path: str, reference: str, by: str = "") -> httpx.Response:
        return self._connection.call(
            "DELETE",
            _manifest_url(path, reference),
            Access.repository(path, "delete"),
            by=by,
            accept=(200, 202, 204, 400, 404, 405),
        )

    def _delete_alone(self, path: str, tag: str, by: str) -> None:
        """Let the tag point at an empty manifest of its own, and delete that."""
        empty = _empty_manifest(tag)
        digest = f"sha256:{hashlib.sha256(empty.payload).hexdigest()}"
        if time.monotonic() >= self._ready_until.get(path, 0.0):
            # Before anything changes: a registry that deletes nothing would keep the empty one.
            self.delete_manifest(path, digest)
            self._put_empty_config(path, by)
            self._ready_until = {path: time.monotonic() + _READY}
        self.point(path, tag, empty, by=by)
        self._connection.call(
            "DELETE",
            _manifest_url(path, digest),
            Access.repository(path, "delete"),
            by=by,
            accept=(200, 202, 204, 404),
        )

    def _put_empty_config(self, path: str, by: str) -> None:
        digest = f"sha256:{hashlib.sha256(_EMPTY_CONFIG).hexdigest()}"
        push = Access.repository(path, "pull", "push")
        begun = self._connection.call(
            "POST", f"/v2/{path}/blobs/uploads/", push, by=by, accept=(202,)
        )
        split = urlsplit(begun.headers.get("location", ""))
        query = "&".join(
            part for part in (split.query, f"digest={quote(digest, safe=':')}") if part
        )
        self._connection.call(
            "PUT",
            f"{split.path}?{query}",
            push,
            by=by,
            headers={"Content-Type": "application/octet-stream"},
            content=_EMPTY_CONFIG,
            accept=(201, 204),
        )

    def delete_batch(
        self,
        path: str,
        n: int = 100,
        *,
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> int:
        """Delete the manifests of the next `n` tags, with their parts; how many tags are left.

        What no tag leads to stays, and so do bytes until the registry's own collector has run.
        Raises `RegistryRefused` where a round removes nothing.
        """
        names = (self._names(path, self._walk()) or [])[:n]
        if not names:
            return 0
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            digests = list(pool.map(lambda name: self._digest(path, name), names))
        deleted: set[str] = set()
        walk = self._walk(MAX_DELETED)
        for digest in digests:
            if digest:
                self._delete_tree(path, digest, deleted, walk)
        for name, digest in zip(names, digests, strict=True):
            if not digest:
                # A tag whose manifest is gone has no digest that could be deleted.
                self._delete_alone(path, name, "")
        left = self._names(path, self._walk()) or []
        if set(names) <= set(left):
            raise RegistryRefused(409, "UNSUPPORTED", f"the registry keeps all {len(left)} tags")
        return len(left)

    def _delete_tree(
        self, path: str, digest: str, deleted: set[str], walk: Walk, depth: int = 0
    ) -> None:
        """Delete a manifest, then its parts as far as the walk leads. `deleted` are those gone."""
        if digest in deleted or not walk.take():
            return
        deleted.add(digest)
        below = self._children(path, digest)
        self.delete_manifest(path, digest)
        for part in below if depth < MAX_DEPTH else []:
            self._delete_tree(path, part.digest, deleted, walk, depth + 1)

    def _children(self, path: str, digest: str) -> list[Part]:
        try:
            manifest = self.manifest(path, digest)
        except AnswerTooLarge:
            return []
        return children(manifest) if manifest else []


def _tags_in(answer: httpx.Response) -> list[str]:
    """The tags on a page of them. What no tag can be called is left out."""
    listed = as_json(answer)
    names = listed.get("tags") if isinstance(listed, dict) else 0
    if not isinstance(names, list | None):
        raise RegistryUnavailable("the registry's answer is no list of tags")
    return [name for name in names or [] if isinstance(name, str) and _TAG.fullmatch(name)]


def _size_of(found: Sequence[Contents]) -> int | None:
    """Bytes of all blobs, each once; None where something was too much to be read."""
    if any(each.is_cut for each in found):
        return None
    return sum({digest: size for each in found for digest, size in each.blobs.items()}.values())


def _manifest_url(path: str, reference: str) -> str:
    return f"/v2/{path}/manifests/{quote(reference, safe=':')}"


def _empty_manifest(tag: str) -> StoredManifest:
    """A manifest that nothing else is: its digest must not have been another tag's."""
    media_type = "application/vnd.oci.image.manifest.v1+json"
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": f"sha256:{hashlib.sha256(_EMPTY_CONFIG).hexdigest()}",
            "size": len(_EMPTY_CONFIG),
        },
        "layers": [],
        "annotations": {
            "org.opencontainers.image.ref.name": tag,
            "org.opencontainers.image.description": "Being deleted",
            "berth.deletion": secrets.token_hex(8),
        },
    }
    return StoredManifest(media_type, json.dumps(document).encode())


def _manifest_details(digest: str, found: Contents) -> ManifestDetails:
    return ManifestDetails(
        digest,
        found.media_type,
        found.artifact_type,
        found.config_digest,
        size_bytes=found.size_bytes,
        created_at=found.created_at,
        platforms=found.platforms[:8],
        platforms_count=len(found.platforms),
    )


def _belongings(digest: str, ties: set[str]) -> tuple[str, ...]:
    """What cosign's tags tie to a digest."""
    stem = digest.replace(":", "-", 1)
    return tuple(f"cosign.{kind}" for kind in _KINDS if f"{stem}.{kind}" in ties)


def _details(
    tag: str, digest: str, found: Contents, belongings: tuple[str, ...] = ()
) -> TagDetails:
    return TagDetails(
        tag,
        digest,
        found.media_type,
        config_digest=found.config_digest,
        artifact_type=found.artifact_type,
        size_bytes=found.size_bytes,
        created_at=found.created_at,
        platforms=found.platforms,
        belongings=belongings,
    )
