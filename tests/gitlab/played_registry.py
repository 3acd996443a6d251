"""A registry in memory, in the place of the client that pages use, and an image to look at.

A conftest takes the fixtures with ``from tests.gitlab.played_registry import *``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import AnswerTooLarge, RegistryRefused
from gitlab.container_registry.client.overview import Overview, Part, Signature
from gitlab.container_registry.client.responses import (
    AgesPage,
    Collected,
    DailyPulls,
    DeletedTag,
    FoundTag,
    Freed,
    Held,
    Interval,
    ManifestDetails,
    Platform,
    Referrer,
    ReferrersPage,
    RepositoryDetails,
    Share,
    SharedBlob,
    Stored,
    StoredManifest,
    TagAge,
    TagDeletion,
    TagDetails,
    TagsPage,
    UnderWay,
    Used,
)
from gitlab.container_registry.contents import manifest as manifests

__all__ = ["app", "browser", "played", "web"]

START = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def _tie_of(tag: TagDetails) -> str:
    """The tag by which cosign finds the signature of another."""
    return f"{tag.digest.replace(':', '-')}.sig"


class PlayedRegistry:
    """What a page asks, with the history that undo needs. `calls` are the changes, by whom."""

    has_own_api = True

    @property
    def own(self) -> Any:
        return self if self.has_own_api else None

    def __init__(self) -> None:
        self.now: dict[str, dict[str, TagDetails]] = {}
        self.past: dict[tuple[str, str], list[Interval]] = {}
        self.closed: dict[int, str] = {}
        self.kept: dict[str, dict[str, TagDetails]] = {}
        self.manifests: dict[str, StoredManifest] = {}
        self.details: dict[str, ManifestDetails] = {}
        self.shared: dict[str, SharedBlob] | None = {}
        self.blobs: dict[str, bytes] = {}
        self.referring: dict[str, list[Referrer]] = {}
        self.held: dict[tuple[str, str], Held] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.daily: dict[tuple[str, str], list[DailyPulls]] = {}
        self.trouble: Exception | None = None
        self.seen: list[str] = []
        self.revoked: list[tuple[list[Any], float]] = []
        self.used: dict[str, Used] = {}
        self.lying: dict[str, Stored] = {}
        self.going_on: dict[str, UnderWay] = {}
        self.sharing: dict[str, list[Share]] = {}
        self.searched: list[str] = []
        self.loose: list[tuple[str, int]] = []
        self.causes: list[str] = []
        self.collected_of: dict[str, Collected] = {}
        self.freed_bytes = Freed(218 * 1024 * 1024, 40 * 1024 * 1024, 3)

    def usage(self, paths: Sequence[str]) -> list[Used]:
        if self.trouble is not None:
            raise self.trouble
        return [self.used.get(path, Used(path, 0, 0, True)) for path in paths]

    def stored(self, path: str, *, seen: Sequence[str] = ()) -> Stored:
        self._answer()
        self.seen = list(seen)
        return self.lying.get(path, Stored(path))

    def shares(self, path: str, n: int = 50) -> list[Share]:
        self._answer()
        return self.sharing.get(path, [])[:n]

    def under_way(self, path: str, *, below: bool = True) -> UnderWay:
        self._answer()
        return self.going_on.get(path, UnderWay())

    # What tests put in

    def push(
        self,
        path: str,
        tag: str,
        letter: str = "a",
        *,
        by: str = "bob",
        platforms: Sequence[str] = ("linux/amd64",),
        **more: Any,
    ) -> None:
        tags = self.now.setdefault(path, {})
        history = self.past.setdefault((path, tag), [])
        at = START + dt.timedelta(minutes=len(self.past) + len(history))
        self._end(path, tag, by, at)
        history.insert(0, Interval(digest(letter), at, None, by, "", self._id(), True))
        tags[tag] = TagDetails(
            tag,
            digest(letter),
            more.pop("media_type", MANIFEST),
            size_bytes=5 * 1024 * 1024,
            published_at=at,
            published_by=by,
            platforms=tuple(Platform(*name.split("/")) for name in platforms),
            **more,
        )
        self.manifests.setdefault(
            digest(letter), StoredManifest(MANIFEST, json.dumps({"layers": []}).encode())
        )

    def _id(self) -> int:
        return sum(len(found) for found in self.past.values()) + 1

    def _end(self, path: str, tag: str, by: str, at: dt.datetime) -> None:
        history = self.past.get((path, tag), [])
        if history and history[0].until is None:
            history[0] = dataclasses.replace(history[0], until=at, ended_by=by)

    def _answer(self) -> None:
        if self.trouble:
            raise self.trouble

    # What pages ask

    def repository(
        self, path: str, *, size: bool = True, below: bool = False
    ) -> RepositoryDetails | None:
        self._answer()
        if path not in self.now:
            return None
        tags = self.now[path]
        ties = [name for name in tags if name.startswith("sha256-")]
        others = [name for name in tags if name not in ties]
        return RepositoryDetails(
            path.rpartition("/")[2],
            path,
            len(tags),
            7 * 1024 * 1024,
            last_published_at=START,
            id=41,
            pull_tag="latest" if "latest" in others else next(reversed(others), ""),
            signature_tags_count=len(ties),
        )

    def tags(
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
        self._answer()
        found = [tag for tag in self.now.get(path, {}).values() if name in tag.name]
        if not signatures:
            found = [tag for tag in found if not tag.name.startswith("sha256-")]
        if pattern:
            found = [tag for tag in found if re.fullmatch(pattern, tag.name)]
        if platform:
            found = [tag for tag in found if platform in map(str, tag.platforms)]
        if signed is not None:
            ties = {name for name in self.now.get(path, {}) if name.startswith("sha256-")}
            found = [tag for tag in found if tag.name not in ties]
            found = [tag for tag in found if (_tie_of(tag) in ties) is signed]
        column = sort.removeprefix("-").replace("version", "name")
        found.sort(key=lambda tag: getattr(tag, column) or START, reverse=sort.startswith("-"))
        names = [tag.name for tag in found]
        start = names.index(last) + 1 if last else 0
        if before:
            start = max(0, names.index(before) - n)
        shown = found[start : start + n]
        return TagsPage(
            shown,
            next_last=shown[-1].name if shown and start + n < len(found) else "",
            previous_before=shown[0].name if shown and start else "",
        )

    def tag_ages(self, path: str, *, n: int = 4000, last: str = "") -> AgesPage:
        return AgesPage.of(self.tags(path, n=n, last=last, sort="name"))

    def search(
        self, repositories: Sequence[str], *, tag: str = "", digest: str = ""
    ) -> list[FoundTag]:
        self._answer()
        self.searched = list(repositories)
        tags = [(path, each) for path in repositories for each in self.now.get(path, {}).values()]
        if digest:
            there = [(path, each) for path, each in tags if each.digest.startswith(digest)]
            return [FoundTag(path, "", each.digest) for path, each in there]
        there = [(path, each) for path, each in tags if each.name.startswith(tag)]
        return [FoundTag(path, each.name, each.digest) for path, each in there]

    def untagged(self, path: str, *, after: int = 0, n: int = 1000) -> tuple[Sequence[TagAge], int]:
        self._answer()
        rows = [(name, name, size, None, START.isoformat()) for name, size in self.loose]
        return [TagAge.read(row) for row in rows], 0

    def tag(self, path: str, tag: str, *, belongings: bool = False) -> TagDetails | None:
        self._answer()
        found = self.now.get(path, {}).get(tag)
        if found is None or not belongings:
            return found
        stem = found.digest.replace(":", "-")
        ties = [name for name in self.now[path] if name.startswith(f"{stem}.")]
        kinds = tuple(f"cosign.{name.rpartition('.')[2]}" for name in ties)
        return dataclasses.replace(found, belongings=found.belongings + kinds)

    def overview(
        self,
        path: str,
        *,
        tag: str = "",
        digest: str = "",
        history: Part | None = None,
        days: int = 0,
        seen: Sequence[str] = (),
    ) -> Overview | None:
        """What the other answers say, in one."""
        self._answer()
        found = self.now.get(path, {}).get(tag) if tag else None
        digest = found.digest if found else digest
        if not tag and digest not in self.manifests:
            return None
        past: list[Interval] = []
        if history:
            past = self.history(path, tag, n=history.n, last=history.last, before=history.before)
        known = self.manifest_details(path, list(self.details))
        if not digest:
            return Overview(history=past, manifests=known)
        page = self.referrers(path, digest, n=50)
        stem = digest.replace(":", "-")
        ties = [
            each for name, each in self.now.get(path, {}).items() if name.startswith(f"{stem}.")
        ]
        stored = self.manifests.get(digest)
        config = manifests.read(stored).config if stored else None
        return Overview(
            digest,
            found,
            config is not None and config.part.digest in self.blobs,
            history=past,
            manifests=known,
            referrers=page,
            below={
                each.digest: self.referrers(path, each.digest, n=10).referrers
                for each in page.referrers[:10]
            },
            signatures=[Signature(each.name, each.digest, each.size_bytes) for each in ties],
            pulls=self.pulls(path, digest=digest, days=days) if days else (),
            shared_blobs=self.shared_blobs(path, [], seen=seen) if seen else None,
        )

    def history(
        self,
        path: str,
        tag: str,
        *,
        n: int = 100,
        last: int = 0,
        before: dt.datetime | None = None,
    ) -> list[Interval]:
        self._answer()
        found = self.past.get((path, tag), [])
        if before:
            found = [past for past in found if past.since and past.since < before]
        return [past for past in found if not last or past.id < last][:n]

    def pulls(
        self, path: str, *, digest: str = "", tag: str = "", days: int = 30
    ) -> list[DailyPulls]:
        self._answer()
        return self.daily.get((path, digest), [])[:days]

    def deleted_tags(
        self, path: str, *, n: int = 100, last: int = 0, name: str = ""
    ) -> tuple[list[DeletedTag], int]:
        self._answer()
        ended = [
            DeletedTag(at, tag, past[0].digest, 7, past[0].until, past[0].ended_by, START)
            for (at, tag), past in self.past.items()
            if past[0].until is not None and past[0].is_restorable
        ]
        found = [tag for tag in ended if tag.path == path or tag.path.startswith(f"{path}/")]
        found = [tag for tag in found if name in tag.name or name in tag.path]
        # Its intervals are the places in this list.
        return found[last : last + n], last + n if len(found) > last + n else 0

    def referrers(
        self, path: str, digest: str, *, n: int = 100, last: str = "", artifact_type: str = ""
    ) -> ReferrersPage:
        self._answer()
        found = [
            each
            for each in self.referring.get(digest, [])
            if each.digest > last and artifact_type in ("", each.artifact_type)
        ]
        return ReferrersPage(found[:n], found[n - 1].digest if len(found) > n else "")

    def holders(self, path: str, digest: str) -> Held:
        self._answer()
        return self.held.get((path, digest), Held(digest))

    def holders_anywhere(self, digest: str) -> Held:
        return self.holders("", digest)

    def give_up(self, path: str, project: int) -> None:
        self._answer()
        self.calls.append(("give up", path, project))

    def delete_batch(
        self,
        path: str,
        n: int = 100,
        *,
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> int:
        """As our registry does it: all at once, and a second time there is nothing."""
        self._answer()
        if path not in self.now:
            return 0
        self.closed[41] = path
        self.kept[path] = self.now.pop(path)
        return len(self.kept[path])

    def revoke(self, ended: Sequence[Any], before: float) -> None:
        self._answer()
        self.revoked.append((list(ended), before))

    def manifest(self, path: str, reference: str) -> StoredManifest | None:
        self._answer()
        return self.manifests.get(reference)

    def has_manifest(self, path: str, digest: str) -> bool:
        self._answer()
        return digest in self.manifests

    def has_blob(self, path: str, digest: str) -> bool:
        self._answer()
        return digest in self.blobs

    def has_blobs(self, path: str, digests: Sequence[str]) -> set[str]:
        self._answer()
        return {digest for digest in digests if self.has_blob(path, digest)}

    def blob(self, path: str, digest: str, *, max_bytes: int = 8 * 1024 * 1024) -> bytes | None:
        self._answer()
        found = self.blobs.get(digest)
        if found is not None and len(found) > max_bytes:
            raise AnswerTooLarge(502, "TOO_LARGE", "the registry sends too much")
        return found

    def layer(self, path: str, digest: str) -> Iterator[bytes]:
        self._answer()
        if digest not in self.blobs:
            raise RegistryRefused(404, "BLOB_UNKNOWN", "the registry answers 404")
        content = self.blobs[digest]
        return (content[at : at + 1000] for at in range(0, len(content), 1000))

    def freed(self, path: str, tags: Sequence[str] = (), *, seen: Sequence[str] = ()) -> Freed:
        self._answer()
        self.seen = list(seen)
        there = self.now.get(path, {})
        gone = tuple(tag for tag in tags if tag not in there)
        return dataclasses.replace(self.freed_bytes, missing=gone)

    def delete_tag(self, path: str, tag: str, *, by: str = "") -> bool:
        self._answer()
        self.calls.append(("delete", path, tag, by))
        if self.now.get(path, {}).pop(tag, None) is None:
            return False
        self._end(path, tag, by, START + dt.timedelta(days=1))
        return True

    def freed_by_many(self, path: str, tags: Sequence[str], *, seen: Sequence[str] = ()) -> Freed:
        return self.freed(path, tags, seen=seen)

    def freed_by_manifests(
        self, path: str, digests: Sequence[str], *, seen: Sequence[str] = ()
    ) -> Freed:
        return self.freed(path, seen=seen)

    def delete_unmoved(
        self,
        path: str,
        tags: Sequence[tuple[str, str]],
        *,
        by: str = "",
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
        cause: str = "",
        unless_pulled_since: dt.datetime | None = None,
    ) -> list[TagDeletion]:
        self._answer()
        self.calls.append(("delete unmoved", path, [name for name, _ in tags], by))
        self.causes.append(cause)
        since = unless_pulled_since
        return [self._delete_unmoved(path, name, digest, by, since) for name, digest in tags]

    def _delete_unmoved(
        self, path: str, name: str, digest: str, by: str, since: dt.datetime | None
    ) -> TagDeletion:
        current = self.now.get(path, {}).get(name)
        if current is not None and current.digest != digest:
            return TagDeletion(name, "moved", current.digest)
        pulled = current.last_pulled_at if current is not None else None
        if since is not None and pulled is not None and pulled > since:
            return TagDeletion(name, "pulled", digest)
        if current is not None:
            del self.now[path][name]
            self._end(path, name, by, timezone.now())
        past = self.past.get((path, name))
        if not past:
            return TagDeletion(name, "gone")
        outcome = "deleted" if current is not None else "gone"
        return TagDeletion(
            name, outcome, past[0].digest, past[0].id, past[0].until, past[0].ended_by
        )

    def collected(self, cause: str) -> Collected | None:
        self._answer()
        return self.collected_of.get(cause)

    def restore_tags(
        self,
        path: str,
        intervals: Sequence[int],
        *,
        by: str = "",
        project: int | None = None,
        move: bool = False,
    ) -> list[str]:
        self._answer()
        self.calls.append(("restore", path, list(intervals), by))
        ended = {past.id: past for found in self.past.values() for past in found}
        if any(pk not in ended or not ended[pk].is_restorable for pk in intervals):
            raise RegistryRefused(404, "MANIFEST_UNKNOWN", "it has been collected")
        names = []
        for (_, tag), found in list(self.past.items()):
            for past in [past for past in found if past.id in intervals]:
                there = self.now.get(path, {}).get(tag)
                if not move and there is not None and there.digest != past.digest:
                    raise RegistryRefused(409, "DENIED", f"there is a tag {tag} again")
                self.push(path, tag, past.digest[7], by=past.pushed_by)
                self._note_restored(path, tag, past, by)
                names.append(tag)
        return names

    def _note_restored(self, path: str, tag: str, past: Interval, by: str) -> None:
        """It was pushed when it was pushed; from now on it is there again."""
        newest = self.past[path, tag][0]
        restored = {"restored_at": newest.since, "restored_by": by}
        pushed_at = past.pushed_at or past.since
        self.past[path, tag][0] = dataclasses.replace(newest, pushed_at=pushed_at, **restored)
        self.now[path][tag] = dataclasses.replace(
            self.now[path][tag], published_at=pushed_at, published_by=past.pushed_by, **restored
        )

    def manifest_details(self, path: str, digests: Sequence[str]) -> dict[str, ManifestDetails]:
        self._answer()
        return {one: self.details[one] for one in digests if one in self.details}

    def shared_blobs(
        self, path: str, digests: Sequence[str], *, seen: Sequence[str]
    ) -> dict[str, SharedBlob] | None:
        self._answer()
        self.seen = list(seen)
        return self.shared

    def point(self, path: str, tag: str, manifest: StoredManifest, *, by: str = "") -> None:
        self._answer()
        self.calls.append(("point", path, tag, by))
        letter = next(key[7] for key, value in self.manifests.items() if value is manifest)
        self.push(path, tag, letter, by=by)

    def rename(self, path: str, new_path: str, *, dry_run: bool = False) -> bool:
        """Images at and below a path, all of them."""
        self._answer()
        below = [name for name in self.now if name == path or name.startswith(f"{path}/")]
        if not dry_run:
            self.calls.append(("rename", path, new_path))
            for name in below:
                self.now[new_path + name[len(path) :]] = self.now.pop(name)
        return bool(below)

    def restore_repository(
        self,
        path: str,
        repository_id: int,
        *,
        by: str = "",
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> None:
        self._answer()
        self.calls.append(("restore image", path, repository_id, by))
        if self.closed.get(repository_id) != path:
            raise RegistryRefused(404, "NAME_UNKNOWN", "its undo window is over")
        self.now[path] = self.kept.pop(path, {})


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> PlayedRegistry:
    registry = PlayedRegistry()
    monkeypatch.setattr(clients, "for_pages", lambda: registry)
    return registry


@pytest.fixture
def browser() -> Callable[[Any], Client]:
    """``browser(alice)``: signed in; ``browser(None)``: a visitor."""

    def sign_in(user: Any) -> Client:
        client = Client()
        if user is not None:
            client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def app(alice: Any, bob: Any, carol: Any, make_project: Any) -> Any:
    """A private project: Alice owns it, Bob develops, Carol reports."""
    return make_project("acme/app", owner=alice, developers=[bob], reporters=[carol])


@pytest.fixture
def web(app: Any, make_image: Any) -> Any:
    """An image of it."""
    return make_image("acme/app/web", of=app)
