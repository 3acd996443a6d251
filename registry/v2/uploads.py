"""end-4a, 4b, 4c, 5, 6, 11, 13, 14: uploads, in one request or many, and mounts.

The address of a session carries its state, signed with ``http_secret``: a client that did not get
it from here, or for another person, can't use the session, not even with a token for the
repository. It is relative, so that it is right behind any proxy.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import hmac
import re
import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from registry import digest as digests
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.models import UploadSession
from registry.services import blobs, repositories, uploads
from registry.v2.base import RegistryView, empty
from registry.v2.body import Body
from tokens.access import Access

MINIMUM_CHUNK = 0
_CONTENT_RANGE = re.compile(r"(\d{1,19})-(\d{1,19})", re.ASCII)
_SESSION_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_STATE = re.compile(r"([1-9]\d{0,18})\.(\d{1,11})\.([a-z0-9]{1,16})\.([0-9a-f]{64})", re.ASCII)
_KEY_SALT = b"registry.upload"


@functools.lru_cache(maxsize=4)
def _key(secret: str) -> bytes:
    return hashlib.sha256(_KEY_SALT + secret.encode()).digest()


def _signature(session: UploadSession, name: str, expires: int) -> str:
    """That what the address says of a session, and for whom it was opened, is ours."""
    told = (session.pk, session.repository_id, expires, session.algorithm, name, session.opened_by)
    message = "\0".join(map(str, told)).encode()
    return hmac.digest(_key(settings.REGISTRY_HTTP_SECRET), message, "sha256").hex()


def _location(session: UploadSession, name: str) -> str:
    expires = int(session.expires_at.timestamp())
    told = f"{session.repository_id}.{expires}.{session.algorithm}"
    state = f"{told}.{_signature(session, name, expires)}"
    return f"/v2/{name}/blobs/uploads/{session.pk}?_state={state}"


def _told(session_id: str, state: str, name: str, opened_by: str) -> UploadSession:
    """The session of an address, as this says that it is. Raises BLOB_UPLOAD_UNKNOWN."""
    matched = _STATE.fullmatch(state)
    if matched is None or not _SESSION_ID.fullmatch(session_id):
        raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN)
    repository_id, expires, algorithm, signature = matched.groups()
    session = UploadSession(
        id=uuid.UUID(session_id),
        repository_id=int(repository_id),
        opened_by=opened_by,
        algorithm=algorithm,
        expires_at=dt.datetime.fromtimestamp(int(expires), dt.UTC),
    )
    if not hmac.compare_digest(signature, _signature(session, name, int(expires))):
        raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN)
    return session


def _session_headers(session: UploadSession, name: str) -> dict[str, str]:
    return {
        "Location": _location(session, name),
        "Range": f"0-{max(session.offset - 1, 0)}",
        "Docker-Upload-UUID": str(session.pk),
        "OCI-Chunk-Min-Length": str(MINIMUM_CHUNK),
    }


def _created(name: str, digest: str) -> HttpResponse:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return empty(201, headers)


def _single(request: HttpRequest, parameter: str) -> str | None:
    """A query parameter that is given once, or not at all: what is checked is what is used."""
    values = request.GET.getlist(parameter)
    if len(values) > 1:
        code = Code.NAME_INVALID if parameter == "from" else Code.DIGEST_INVALID
        raise RegistryError(code, f"the parameter {parameter} stands more than once")
    return values[0] if values else None


class UploadsView(RegistryView):
    """``POST /v2/<name>/blobs/uploads/``: open a session, mount, or upload in one request."""

    notices_revocations = frozenset(["POST"])

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """201 where it is a blob already, else 202 with the session's address."""
        mount, digest = _single(request, "mount"), _single(request, "digest")
        algorithm = digests.check_algorithm(_single(request, "digest-algorithm") or digests.SHA256)
        if mount is not None:
            digests.check(mount)
            source = _single(request, "from")
            if source is not None:
                repositories.check_name(source)
                # A source that can't be read is no error: the client uploads instead.
                if caller.may(Access.repository(source, "pull")) and blobs.mount(
                    name, mount, source, caller.acting_in(name)
                ):
                    return _created(name, mount)
        elif digest is not None:
            digests.check(digest)
            body = Body(request.META)
            actor = caller.acting_in(name)
            uploads.store_whole(name, digest, body.chunks(), actor, body.announced)
            return _created(name, digest)
        session = uploads.start(name, caller.acting_in(name), algorithm)
        return empty(202, _session_headers(session, name))


class UploadView(RegistryView):
    """``/v2/<name>/blobs/uploads/<session>``: go on, ask, finish, cancel."""

    notices_revocations = frozenset(["GET", "HEAD", "PATCH", "PUT", "DELETE"])

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """A caller who may push may do all of it, also ask and cancel."""
        return Access.repository(arguments["name"], "pull", "push")

    def _session(
        self, request: HttpRequest, caller: Caller, name: str, session: str
    ) -> UploadSession:
        """The session of the address, where its signature is ours. Raises BLOB_UPLOAD_UNKNOWN."""
        actor = caller.acting_in(name)
        told = _told(session, request.GET.get("_state", ""), name, actor.name)
        return uploads.find(name, told, actor)

    def get(self, request: HttpRequest, caller: Caller, name: str, session: str) -> HttpResponse:
        """Where the upload stands."""
        found = self._session(request, caller, name, session)
        return empty(204, _session_headers(found, name))

    def patch(self, request: HttpRequest, caller: Caller, name: str, session: str) -> HttpResponse:
        """The next piece."""
        found = self._session(request, caller, name, session)
        body = Body(request.META)
        start = _start(request, body)
        _explaining(found, name, uploads.append, body.chunks(), start, body.announced)
        return empty(202, _session_headers(found, name))

    def put(self, request: HttpRequest, caller: Caller, name: str, session: str) -> HttpResponse:
        """The last piece, mostly an empty one, and the digest of the whole."""
        found = self._session(request, caller, name, session)
        digest = digests.check(_single(request, "digest"))
        body = Body(request.META)
        start = _start(request, body)
        _explaining(found, name, uploads.commit, digest, body.chunks(), start, body.announced)
        return _created(name, digest)

    def delete(self, request: HttpRequest, caller: Caller, name: str, session: str) -> HttpResponse:
        """Cancel."""
        uploads.cancel(self._session(request, caller, name, session))
        return empty(204)


def _explaining(session: UploadSession, name: str, step: Any, *arguments: Any) -> None:
    """Take a step, and where the range was wrong tell the client where the upload stands."""
    try:
        step(session, *arguments)
    except RegistryError as error:
        if error.code is Code.RANGE_INVALID:
            error.headers |= _session_headers(session, name)
        raise


def _start(request: HttpRequest, body: Body) -> int | None:
    """Where the client says that its piece starts. Raises RANGE_INVALID, SIZE_INVALID.

    OCI's form is ``0-1023``, without the unit and the total of HTTP's own field.
    """
    field = request.META.get("HTTP_CONTENT_RANGE", "").strip()
    if not field:
        return None
    matched = _CONTENT_RANGE.fullmatch(field)
    if matched is None:
        raise RegistryError(Code.RANGE_INVALID, "Content-Range has the form first-last")
    first, last = int(matched[1]), int(matched[2])
    if last < first:
        raise RegistryError(Code.RANGE_INVALID, "Content-Range ends before it starts")
    if body.length is not None and body.length != last - first + 1:
        raise RegistryError(Code.SIZE_INVALID, "Content-Range and Content-Length differ")
    body.expected = last - first + 1
    return first
