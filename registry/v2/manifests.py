"""end-3, end-7a, end-7b, end-9: manifests by tag or digest."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from registry import memory, ranges
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.services import manifests, pull_counts, pushing, tags
from registry.v2.base import RegistryView, empty
from registry.v2.body import Body

_PAYLOAD = "berth.payload"
"""Where a request keeps the manifest that it has brought."""


class _Pushed(HttpResponse):
    """A 201 that names each tag of the query in a field of its own, as end-7b has it."""

    def __init__(self, headers: dict[str, str], tags: Sequence[str]) -> None:
        super().__init__(status=201, headers=headers)
        del self.headers["Content-Type"]
        self.tags = tags

    def items(self) -> list[tuple[str, str]]:
        """The fields that go out; Django keeps one value for each name."""
        return [*super().items(), *(("OCI-Tag", tag) for tag in self.tags)]


def _payload(request: HttpRequest) -> bytes:
    """The body, read once: whoever is asked for anew, because of a revocation, has sent one."""
    environ = request.META
    if _PAYLOAD not in environ:
        environ[_PAYLOAD] = Body(environ).read_whole(settings.REGISTRY_MAX_MANIFEST_SIZE)
    payload: bytes = environ[_PAYLOAD]
    return payload


class ManifestView(RegistryView):
    """``/v2/<name>/manifests/<reference>``."""

    notices_revocations = frozenset(["GET", "HEAD", "PUT"])

    def get(self, request: HttpRequest, caller: Caller, name: str, reference: str) -> HttpResponse:
        """The stored bytes with the stored type, whatever ``Accept`` says: one digest, one type."""
        found = manifests.find(name, reference)
        if request.method == "GET":
            # With a condition too: who has it already pulls it again by asking whether it is new.
            pull_counts.note(caller.claims, found, reference)
        memory.let_go(len(found.payload))
        etag = f'"{found.digest}"'
        headers = {"Docker-Content-Digest": found.digest, "ETag": etag}
        if ranges.is_known(request.META.get("HTTP_IF_NONE_MATCH"), etag):
            return empty(304, headers)
        headers["Content-Length"] = str(len(found.payload))
        body = b"" if request.method == "HEAD" else found.payload
        return HttpResponse(body, content_type=found.media_type, headers=headers)

    def put(self, request: HttpRequest, caller: Caller, name: str, reference: str) -> HttpResponse:
        """Store a manifest under a tag or its digest; end-7b: with it, under tags of the query."""
        manifests.check_reference(reference)
        more_tags = request.GET.getlist("tag")
        if more_tags and ":" not in reference:
            raise RegistryError(Code.TAG_INVALID, "the parameter tag goes with a digest")
        tags.check_all(more_tags)
        payload = _payload(request)
        content_type = request.META.get("CONTENT_TYPE")
        pushed = pushing.push(
            name, reference, payload, content_type, caller.acting_in(name), more_tags
        )
        memory.let_go(len(payload))
        headers = {
            "Location": f"/v2/{name}/manifests/{pushed.digest}",
            "Docker-Content-Digest": pushed.digest,
        }
        if pushed.subject is not None:
            headers["OCI-Subject"] = pushed.subject
        return _Pushed(headers, pushed.tags if more_tags else ())

    def delete(
        self, request: HttpRequest, caller: Caller, name: str, reference: str
    ) -> HttpResponse:
        """Delete a manifest with its tags, or one tag alone."""
        if ":" in reference:
            manifests.delete(name, reference, caller.acting_in(name))
        else:
            tags.delete(name, reference, caller.acting_in(name))
        return empty(202)
