"""end-8a, 8b, 12a, 12b and docker's catalog: lists, by pages that an index serves."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse

from registry import digest as digests
from registry import media_types, memory
from registry.auth import CATALOG, Caller
from registry.services import catalog, referrers, tags
from registry.v2.base import RegistryView, last_entry, page_size
from registry.v2.pages import fitting, next_link
from tokens.access import Access


def json_response(body: dict[str, Any], headers: dict[str, str]) -> HttpResponse:
    """`body` as JSON, by the standard encoder: Django's own costs as much as the query."""
    return HttpResponse(json.dumps(body), content_type="application/json", headers=headers)


class TagListView(RegistryView):
    """``GET /v2/<name>/tags/list``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """The names after ``last``, in byte order."""
        limit = page_size(request)
        names = tags.page(name, last_entry(request), limit)
        headers = {}
        if len(names) > limit:
            names = names[:limit]
            if names:
                headers = next_link(f"/v2/{name}/tags/list", n=limit, last=names[-1])
        return json_response({"name": name, "tags": names}, headers)


class CatalogView(RegistryView):
    """``GET /v2/_catalog``, for those whom GitLab lets see it."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:catalog:*``."""
        return CATALOG

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """The names of repositories after ``last``, in byte order."""
        limit = page_size(request, default=100)
        names = catalog.page(last_entry(request), limit)
        headers = {}
        if len(names) > limit:
            names = names[:limit]
            if names:
                headers = next_link("/v2/_catalog", n=limit, last=names[-1])
        return json_response({"repositories": names}, headers)


class ReferrersView(RegistryView):
    """``GET /v2/<name>/referrers/<digest>``."""

    def get(self, request: HttpRequest, caller: Caller, name: str, digest: str) -> HttpResponse:
        """An index of the manifests whose subject is `digest`; empty where there are none.

        A page ends by bytes too: the link leads to the rest.
        """
        digests.check(digest)
        artifact_type = request.GET.get("artifactType", "").replace("\0", "")
        limit = page_size(request)
        page = referrers.page(name, digest, artifact_type, last_entry(request), limit)
        found, has_more = fitting(page.descriptors, limit)
        headers = {}
        if found and (has_more or page.has_more):
            parameters: dict[str, Any] = {"n": limit, "last": found[-1]["digest"]}
            if artifact_type:
                parameters["artifactType"] = artifact_type
            headers = next_link(f"/v2/{name}/referrers/{digest}", **parameters)
        if artifact_type:
            headers["OCI-Filters-Applied"] = "artifactType"
        index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": found}
        body = json.dumps(index)
        memory.let_go(page.size)
        return HttpResponse(body, content_type=media_types.OCI_INDEX, headers=headers)
