"""Deleting in Berth's own registry, and taking it back. `by` is the person whom it notes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from gitlab.container_registry.client.berth_calls import BerthCalls, access_of, url_of
from gitlab.container_registry.client.connection import (
    RegistryUnavailable,
    as_json,
)
from gitlab.container_registry.client.responses import (
    DeletedTag,
    TagDeletion,
)
from gitlab.container_registry.client.v2 import link_of
from tokens.access import Access

_MAX_ROUNDS = 1000


class BerthDeletion(BerthCalls):
    """The part of `registry.OwnApi` that deletes, and brings back."""

    def delete_tag(self, path: str, tag: str, *, by: str = "") -> bool:
        """Remove a tag and nothing else. False where it was gone already."""
        return self._delete(f"/v2/{path}/manifests/{quote(tag, safe='')}", path, by)

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

        `cause` is what the job is called by which `collected` tells what came of it. Of an image
        that the registry does not know all are gone.
        """
        body: dict[str, Any] = {"tags": [{"name": name, "digest": digest} for name, digest in tags]}
        if unless_pulled_since is not None:
            body["unless_pulled_since"] = unless_pulled_since.timestamp()
        access = access_of(project, path, "delete", rules=rules, cause=cause)
        found = self._delete_if("delete-tags", path, body, by, access)
        return [TagDeletion(name, "gone") for name, _ in tags] if found is None else found

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
        body = {"digests": list(digests)}
        access = access_of(project, path, "delete", cause=cause)
        found = self._delete_if("delete-untagged", path, body, by, access)
        return [TagDeletion(digest, "gone") for digest in digests] if found is None else found

    def _delete_if(
        self, what: str, path: str, body: Mapping[str, Any], by: str, access: Access
    ) -> list[TagDeletion] | None:
        """What came of a conditional deletion; None where there is no such image."""
        answer = self._own(
            "POST",
            url_of(what, path),
            access,
            by=by,
            headers={"Content-Type": "application/json"},
            content=json.dumps(body).encode(),
            accept=(200, 404),
        )
        if answer.status_code == 404:
            return None
        return [TagDeletion.read(entry) for entry in as_json(answer)]

    def restore_manifest(
        self, path: str, digest: str, *, by: str = "", project: int | None = None
    ) -> None:
        """Bring back a deleted manifest. Raises `RegistryRefused` where its time is over."""
        self._restore(path, {"manifest": digest}, by, project)

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
        says of protected tags: `RegistryRefused` where there is one.
        """
        answer = self._own(
            "DELETE",
            url_of("repository", path),
            access_of(project, path, "delete", rules=rules),
            {"n": str(n)},
            accept=(202, 204, 404),
        )
        return int(as_json(answer)["left"]) if answer.status_code == 202 else 0

    def give_up(self, path: str, project: int) -> None:
        """A project ends: what is left at and below its path goes, for its next owner's sake."""
        access = (
            access_of(project, path, "delete"),
            Access.repository(f"{path}/*", "pull"),
        )
        url = url_of("given-up", path)
        for _ in range(_MAX_ROUNDS):
            # A registry of GitLab's, or an older one of ours, has nothing at this address.
            answer = self._connection.call("POST", url, access, accept=(200, 404))
            if answer.status_code == 404 or not as_json(answer)["closed"]:
                return
        raise RegistryUnavailable("the registry finds more and more to close")

    def restore_tags(
        self,
        path: str,
        intervals: Sequence[int],
        *,
        by: str = "",
        project: int | None = None,
        move: bool = False,
    ) -> list[str]:
        """Let tags point again at what they did in these parts of their history.

        The names that are back: all, or `RegistryRefused`, also where the image belongs to another
        `project`, or a tag points elsewhere by now and may not `move`.
        """
        what = {"tags": list(intervals), **({"move": True} if move else {})}
        answer = self._restore(path, what, by, project)
        names: list[str] = as_json(answer)["tags"]
        return names

    def deleted_tags(
        self, path: str, *, n: int = 100, last: int = 0, name: str = ""
    ) -> tuple[list[DeletedTag], int]:
        """Tags of the images at and below `path` that can be brought back, the latest first, behind
        the interval `last`; `name` is a part of the tag's name or the image's. And behind which
        interval there are more, 0 for none.
        """
        asked = {"n": str(n), "last": str(last) if last else "", "name": name}
        answer = self._own(
            "GET",
            url_of("deleted-tags", path),
            Access.repository(path, "pull"),
            {key: value for key, value in asked.items() if value},
            accept=(200,),
        )
        found = [DeletedTag.read(entry) for entry in as_json(answer)]
        return found, int(link_of(answer, "next", "last") or 0)

    def restore_repository(
        self,
        path: str,
        repository_id: int,
        *,
        by: str = "",
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> None:
        """Open a deleted image of a project again, whole. `rules` as for `delete_batch`.

        Raises `RegistryRefused` where its time is over, or where it was another project's.
        """
        self._restore(path, {"repository": repository_id}, by, project, rules)

    def _restore(
        self,
        path: str,
        what: Mapping[str, Any],
        by: str,
        project: int | None,
        rules: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        return self._own(
            "POST",
            url_of("restore", path),
            access_of(project, path, "push", "delete", rules=rules),
            by=by,
            headers={"Content-Type": "application/json"},
            content=json.dumps(what).encode(),
            accept=(200,),
        )
