"""What all calls below ``/gitlab/v1/`` share: their URL, their access, a registry without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from gitlab.container_registry.client.connection import (
    RegistryRefused,
)
from gitlab.container_registry.client.v2 import OverV2
from tokens.access import Access


class BerthCalls(OverV2):
    """A registry that may have the API for GitLab."""

    def __init__(
        self, url: str, *, missing: Callable[[], None] = lambda: None, **options: Any
    ) -> None:
        """`options` are those of `Connection`; `missing` is called where the API is not there."""
        super().__init__(url, **options)
        self._missing = missing

    def _own(self, *arguments: Any, **options: Any) -> httpx.Response:
        """A call below ``/gitlab/v1/``. Raises `RegistryRefused` (404) where that is not there.

        A 404 of a registry that has the API is in the protocol's form; that of one that does not
        know the address says nothing about the image.
        """
        try:
            answer = self._connection.call(*arguments, **options)
        except RegistryRefused as error:
            if (error.status, error.code) == (404, "UNKNOWN"):
                self._missing()
            raise
        if answer.status_code == 404 and not _is_refusal(answer):
            self._missing()
            raise RegistryRefused(404, "UNKNOWN", "this registry has no API for GitLab")
        return answer


def _is_refusal(answer: httpx.Response) -> bool:
    try:
        return "errors" in answer.json()
    except (ValueError, TypeError):
        return False


def url_of(what: str, path: str) -> str:
    """The URL of a call about an image: its name stands last, whatever words that holds."""
    return f"/gitlab/v1/berth/{what}/{quote(path)}/"


def access_of(
    project: int | None,
    path: str,
    *actions: str,
    rules: Mapping[str, Any] | None = None,
    cause: str = "",
) -> Access:
    """The access to an image, with the project that it belongs to, the rules about its tags, and
    the job that it is for.
    """
    known: dict[str, Any] = {} if project is None else {"project_id": project}
    job = {"cause": cause} if cause else {}
    return Access("repository", path, actions, {**known, **(rules or {}), **job})
