"""Looking for tags and digests, for GitLab's search."""

from __future__ import annotations

import re
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import SEARCH, Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1.base import json_object
from registry.services import search
from registry.v2.base import RegistryView
from tokens.access import Access

_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)
_DIGEST = re.compile(
    rf"sha256:[0-9a-f]{{{search.MIN_DIGEST},64}}|sha512:[0-9a-f]{{{search.MIN_DIGEST},128}}",
    re.ASCII,
)


class SearchView(RegistryView):
    """``POST /gitlab/v1/search/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:search:*``, which GitLab mints for itself alone."""
        return SEARCH

    def post(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """What begins with ``tag``, or with ``digest``, in the ``repositories`` of the body.

        At most 1,000 of these are named, and 20 found. GitLab names those whose reader may pull.
        """
        match json_object(request):
            case {"repositories": [*names], "tag": str(tag)} if _are(names) and _TAG.fullmatch(tag):
                found = search.tags(names, tag)
            case {"repositories": [*names], "digest": str(digest)} if _are(
                names
            ) and _DIGEST.fullmatch(digest):
                found = search.manifests(names, digest)
            case _:
                raise RegistryError(
                    Code.UNSUPPORTED, "the body has repositories, and a tag or digest", status=400
                )
        body = [
            {"repository": each.repository, "tag": each.tag, "digest": each.digest}
            for each in found
        ]
        return JsonResponse(body, safe=False)


def _are(names: list[Any]) -> bool:
    few = len(names) <= search.MAX_REPOSITORIES
    return few and all(isinstance(name, str) and "\0" not in name for name in names)
