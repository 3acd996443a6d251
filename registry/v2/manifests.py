"""end-3, end-7, end-9: manifests by tag or digest."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from registry.auth import Caller
from registry.services import manifests, tags
from registry.v2.base import RegistryView, empty
from registry.v2.body import Body


class ManifestView(RegistryView):
    """``/v2/<name>/manifests/<reference>``."""

    def get(self, request: HttpRequest, caller: Caller, name: str, reference: str) -> HttpResponse:
        """The stored bytes with the stored type, whatever ``Accept`` says: one digest, one type."""
        found = manifests.find(name, reference)
        etag = f'"{found.digest}"'
        headers = {"Docker-Content-Digest": found.digest, "ETag": etag}
        if _matches(request.META.get("HTTP_IF_NONE_MATCH"), etag):
            return empty(304, headers)
        headers["Content-Length"] = str(len(found.payload))
        body = b"" if request.method == "HEAD" else found.payload
        return HttpResponse(body, content_type=found.media_type, headers=headers)

    def put(self, request: HttpRequest, caller: Caller, name: str, reference: str) -> HttpResponse:
        """Store a manifest under a tag or its digest."""
        manifests.check_reference(reference)
        payload = Body(request.META).read_whole(settings.REGISTRY_MAX_MANIFEST_SIZE)
        content_type = request.META.get("CONTENT_TYPE")
        pushed = manifests.push(name, reference, payload, content_type, caller.acting_in(name))
        headers = {
            "Location": f"/v2/{name}/manifests/{pushed.digest}",
            "Docker-Content-Digest": pushed.digest,
        }
        if pushed.subject is not None:
            headers["OCI-Subject"] = pushed.subject
        return empty(201, headers)

    def delete(
        self, request: HttpRequest, caller: Caller, name: str, reference: str
    ) -> HttpResponse:
        """Delete a manifest with its tags, or one tag alone."""
        if ":" in reference:
            manifests.delete(name, reference, caller.acting_in(name))
        else:
            tags.delete(name, reference, caller.acting_in(name))
        return empty(202)


def _matches(field: str | None, etag: str) -> bool:
    if not field:
        return False
    candidates = [part.strip().removeprefix("W/") for part in field.split(",")]
    return etag in candidates or etag.strip('"') in candidates or "*" in candidates
