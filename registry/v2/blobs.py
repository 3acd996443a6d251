"""end-2, end-10: blobs by digest."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from registry import delivery, ranges
from registry import digest as digests
from registry.auth import Caller
from registry.services import blobs
from registry.v2.base import RegistryView, empty
from tokens.access import Access


class BlobView(RegistryView):
    """``/v2/<name>/blobs/<digest>``."""

    notices_revocations = frozenset(["GET", "HEAD"])

    def get(self, request: HttpRequest, caller: Caller, name: str, digest: str) -> HttpResponseBase:
        """The bytes; HEAD for somebody who may push also promises that they stay for a while."""
        digests.check(digest)
        method = request.method or "GET"
        if method == "HEAD" and caller.may(Access.repository(name, "push")):
            found = blobs.promise(name, digest)
        else:
            found = blobs.find(name, digest)
        kept = delivery.fields_of(digest)
        if ranges.is_known(request.META.get("HTTP_IF_NONE_MATCH"), kept["ETag"]):
            return empty(304, kept)
        return delivery.blob_response(
            digest,
            found.size,
            method=method,
            range_field=request.META.get("HTTP_RANGE"),
            if_range=request.META.get("HTTP_IF_RANGE"),
        )

    def delete(self, request: HttpRequest, caller: Caller, name: str, digest: str) -> HttpResponse:
        """Take the repository's right to the blob away."""
        digests.check(digest)
        blobs.delete(name, digest, caller.acting_in(name))
        return empty(202)
