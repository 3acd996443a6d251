"""A registry as GitLab sees it: what every one can be asked, and what only one with our API can.

    Registry  ◄── distribution.DistributionRegistry      /v2/ alone
        ▲
     OwnApi   ◄── berth.BerthRegistry                    /v2/ and /gitlab/v1/

What is gone already counts as deleted. Every call raises `RegistryUnavailable` where nobody answers
and `RegistryRefused` where the registry says no. `by` is the person whom the registry notes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from gitlab.container_registry.client.connection import MAX_ANSWER, RegistryRefused
from gitlab.container_registry.client.overview import Overview, Part
from gitlab.container_registry.client.responses import (
    AgesPage,
    Collected,
    DailyPulls,
    DeletedTag,
    Ended,
    FoundTag,
    Freed,
    Garbage,
    Happened,
    Held,
    Interval,
    ManifestDetails,
    ReferrersPage,
    RepositoryDetails,
    ReviewRun,
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


class Registry(Protocol):
    """What any registry can be asked. Safe to share between threads; not between processes."""

    @property
    def own(self) -> OwnApi | None:
        """The same registry with what ``/gitlab/v1/`` adds; None where it has no such API."""

    def repository(
        self, path: str, *, size: bool = True, below: bool = False
    ) -> RepositoryDetails | None:
        """One image with its size in bytes, or None where the registry has none of that name.

        `below` counts the images below it too, what they share once.
        """

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
        """A page of an image's tags, after `last` or before `before`.

        `name` is a part of their names, `pattern` one of RE2's for whole names, `platform` as in
        ``linux/arm64``, `signed` whether there is a signature: a registry that is not ours knows
        none of these, and then lists all. A page of what is rare may be short, and go on.

        Without `signatures`, no tag by which cosign finds what belongs to an image. With
        `belongings` each says what belongs to it, as far as the registry can tell.
        """

    def tag(self, path: str, tag: str, *, belongings: bool = False) -> TagDetails | None:
        """One tag, or None. With `belongings` it says what belongs to it, where that is known."""

    def manifest(self, path: str, reference: str) -> StoredManifest | None:
        """A manifest by tag or digest, byte by byte, or None."""

    def manifest_details(self, path: str, digests: Sequence[str]) -> dict[str, ManifestDetails]:
        """By digest what is known of up to 200 manifests of an image: of those it has."""

    def has_manifest(self, path: str, digest: str) -> bool:
        """Whether an image has a manifest now."""

    def has_blob(self, path: str, digest: str) -> bool:
        """Whether an image may serve a blob now."""

    def has_blobs(self, path: str, digests: Sequence[str]) -> set[str]:
        """Those of up to 200 blobs that an image may serve now."""

    def blob(self, path: str, digest: str, *, max_bytes: int = MAX_ANSWER) -> bytes | None:
        """A small blob, byte by byte, or None. Raises `AnswerTooLarge` for more than that."""

    def layer(self, path: str, digest: str) -> Iterator[bytes]:
        """A blob of any size as it comes, unchecked. Raises between two chunks as well."""

    def referrers(
        self, path: str, digest: str, *, n: int = 100, last: str = "", artifact_type: str = ""
    ) -> ReferrersPage:
        """A page of the manifests whose subject is `digest`, after `last`; of this type alone."""

    def delete_tag(self, path: str, tag: str, *, by: str = "") -> bool:
        """Remove a tag and nothing else. False where it was gone already."""

    def delete_manifest(self, path: str, digest: str) -> bool:
        """Remove a manifest with all its tags. False where it was gone already."""

    def delete_batch(
        self,
        path: str,
        n: int = 100,
        *,
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> int:
        """Delete the next part of an image. Answers what is left: 0 says that it is gone.

        `project` is the id of the project to which undo then belongs. `rules` are what the token
        says of protected tags; a registry without our API knows none.
        """

    def point(self, path: str, tag: str, manifest: StoredManifest, *, by: str = "") -> None:
        """Let a tag point at a manifest that is there."""


class OwnApi(Registry, Protocol):
    """What a registry with the API below ``/gitlab/v1/`` can be asked besides."""

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
        """What a page shows of a `tag`, or of the manifest `digest`, in one question.

        With the `days` its pulls, with some images `seen` which of its blobs they have too, as
        `shared_blobs`. Of a tag that is gone its history alone; None where the image has no such
        manifest, or is not there.
        """

    def history(
        self,
        path: str,
        tag: str,
        *,
        n: int = 100,
        last: int = 0,
        before: dt.datetime | None = None,
    ) -> list[Interval]:
        """What a tag pointed at, the latest first; behind the interval `last` where it is given.

        With `before`, to the second, what it pointed at by then.
        """

    def shared_blobs(
        self, path: str, digests: Sequence[str], *, seen: Sequence[str]
    ) -> dict[str, SharedBlob] | None:
        """Those of up to a hundred blobs of an image that other images of `seen` have too.

        None where these are too many to be looked through.
        """

    def pulls(
        self, path: str, *, digest: str = "", tag: str = "", days: int = 30
    ) -> list[DailyPulls]:
        """The pulls of the last days, the latest first: of a manifest, by a tag, of the image."""

    def freed(
        self, path: str, tags: Sequence[str] = (), *, seen: Sequence[str] = ()
    ) -> Freed | None:
        """What deleting these tags would free; without any, what deleting the image would.

        As shared counts what the images `seen` need too, where ``group/*`` means all below a path.
        """

    def holders(self, path: str, digest: str) -> Held:
        """What holds a digest in one image, as if there were no other."""

    def holders_anywhere(self, digest: str) -> Held:
        """What holds a digest in any image, or how it went."""

    def tag_ages(self, path: str, *, n: int = 4000, last: str = "") -> AgesPage:
        """Thousands of tags by name, with what a cleanup asks of them: digest, size and times."""

    def freed_by_many(self, path: str, tags: Sequence[str], *, seen: Sequence[str] = ()) -> Freed:
        """As `freed`, of up to ten thousand tags with names of any length."""

    def untagged(self, path: str, *, after: int = 0, n: int = 1000) -> tuple[Sequence[TagAge], int]:
        """Up to `n` manifests that no tag, index or subject holds, of the next thousand: named by
        their digest, published when the last tag left them. And what to go on `after`, 0 at the
        end; a page before it may be empty.
        """

    def freed_by_manifests(
        self, path: str, digests: Sequence[str], *, seen: Sequence[str] = ()
    ) -> Freed:
        """As `freed`, of up to a thousand manifests that nothing holds."""

    def delete_untagged(
        self,
        path: str,
        digests: Sequence[str],
        *,
        by: str = "",
        project: int | None = None,
        cause: str = "",
    ) -> list[TagDeletion]:
        """Delete those of up to a hundred manifests that nothing holds by now: ``deleted``,
        ``held``, ``gone``.
        """

    def restore_manifest(
        self, path: str, digest: str, *, by: str = "", project: int | None = None
    ) -> None:
        """Bring back a deleted manifest."""

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
        """Remove those of up to a hundred tags that still point at the digest beside their name,
        unless one of the `rules` (see `delete_batch`) protects it, or it has been pulled since.

        `cause` is what the job is called by which `collected` tells what came of it.
        """

    def deleted_tags(
        self, path: str, *, n: int = 100, last: int = 0, name: str = ""
    ) -> tuple[list[DeletedTag], int]:
        """Tags of the images at and below `path` that can be brought back, the latest first, behind
        the interval `last`; `name` is a part of the tag's name or the image's. And behind which
        interval there are more, 0 for none.
        """

    def restore_tags(
        self,
        path: str,
        intervals: Sequence[int],
        *,
        by: str = "",
        project: int | None = None,
        move: bool = False,
    ) -> list[str]:
        """Let tags point again at what they did; the names that are back: all or none.

        Deleted ones, or with `move` those too that point elsewhere by now.
        """

    def restore_repository(
        self,
        path: str,
        repository_id: int,
        *,
        by: str = "",
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> None:
        """Open a deleted image of a project again, whole. `rules` as for `delete_batch`."""

    def give_up(self, path: str, project: int) -> None:
        """A project ends: what is left at and below its path goes, for its next owner's sake."""

    def keep_untagged(self, path: str, keep: bool) -> bool:
        """Have untagged manifests of an image kept, or collected. False where there is no image."""

    def rename(self, path: str, new_path: str, *, dry_run: bool = False) -> bool:
        """Let an image and all below it be called `new_path`. False where there is none."""

    def usage(self, paths: Sequence[str]) -> list[Used]:
        """What is used at and below each path."""

    def stored(self, path: str, *, seen: Sequence[str] = ()) -> Stored:
        """What lies at and below a path and what waits there for the collector.

        As shared counts what the images `seen` have too, where ``group/*`` means all below a path.
        """

    def shares(self, path: str, n: int = 50) -> list[Share]:
        """The manifests with tags that hold most bytes which no other of their image does."""

    def under_way(self, path: str, *, below: bool = True) -> UnderWay:
        """What is being pushed at a path, and `below` it; what was last; the pulls of today."""

    def search(
        self, repositories: Sequence[str], *, tag: str = "", digest: str = ""
    ) -> list[FoundTag]:
        """The first tags that begin with `tag`, or manifests whose digest begins with `digest`, in
        up to a thousand repositories.
        """

    def revoke(self, ended: Sequence[Ended], before: float) -> None:
        """Let tokens end that were decided before a moment, in seconds since the epoch."""

    def events(self, after: int, n: int = 500) -> list[Happened]:
        """What has happened since the event `after`, in order, at most `n`."""

    def review_garbage(self, n: int = 100) -> ReviewRun:
        """Have the next `n` candidates reviewed; running twice is harmless."""

    def garbage(self) -> Garbage:
        """How much waits for review, and when the next is due."""

    def collected(self, cause: str) -> Collected | None:
        """What was collected because of a job; None of a registry that does not know jobs."""

    def verify_slice(self, n: int = 100) -> int:
        """Have the next `n` things verified against the store; how many faults that showed."""


def own_api(registry: Registry, lacking: str) -> OwnApi:
    """The registry's own API. Raises `RegistryRefused`, "this registry `lacking`", without one."""
    own = registry.own
    if own is None:
        raise RegistryRefused(404, "UNSUPPORTED", f"this registry {lacking}")
    return own
