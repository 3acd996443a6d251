"""The table of error codes, and the one exception that carries them.

The member's name is the code on the wire; its value is the usual status and message. Only
`registry.v2.base` turns the exception into a response. Source: OCI distribution 1.1, "Error Codes";
those below the line are documented extensions of docker's registry and GitLab's.
"""

from __future__ import annotations

import enum
from typing import Any


class Code(enum.Enum):
    """A code with its usual status and message."""

    BLOB_UNKNOWN = 404, "blob unknown to registry"
    BLOB_UPLOAD_INVALID = 400, "blob upload invalid"
    BLOB_UPLOAD_UNKNOWN = 404, "blob upload unknown to registry"
    DIGEST_INVALID = 400, "provided digest did not match uploaded content"
    MANIFEST_BLOB_UNKNOWN = 400, "manifest references a manifest or blob unknown to registry"
    MANIFEST_INVALID = 400, "manifest invalid"
    MANIFEST_UNKNOWN = 404, "manifest unknown to registry"
    NAME_INVALID = 400, "invalid repository name"
    NAME_UNKNOWN = 404, "repository name not known to registry"
    SIZE_INVALID = 400, "provided length did not match content length"
    UNAUTHORIZED = 401, "authentication required"
    DENIED = 403, "requested access to the resource is denied"
    UNSUPPORTED = 405, "the operation is unsupported"
    TOOMANYREQUESTS = 429, "too many requests"
    # Extensions.
    RANGE_INVALID = 416, "invalid content range"
    TAG_INVALID = 400, "manifest tag did not match the grammar of tags"
    PAGINATION_NUMBER_INVALID = 400, "invalid number of results requested"
    UNAVAILABLE = 503, "the registry is not available"

    @property
    def status(self) -> int:
        """The HTTP status that usually goes with the code."""
        return self.value[0]

    @property
    def message(self) -> str:
        """The sentence for people."""
        return self.value[1]


class RegistryError(Exception):
    """A refusal in the protocol's form.

    `message` replaces the table's where the case can be named better, `status` where the
    specification asks for another. `headers` go out with the response. `details` become the
    error's ``detail``. `also` holds further (code, detail) pairs where several things are wrong.
    """

    def __init__(
        self,
        code: Code,
        message: str | None = None,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        also: list[tuple[Code, dict[str, Any]]] | None = None,
        **details: Any,
    ) -> None:
        super().__init__(f"{code.name}: {message or code.message}")
        self.code = code
        self.message = message or code.message
        self.status = status or code.status
        self.headers = headers or {}
        self.details = details
        self.also = also or []

    def as_json(self) -> dict[str, Any]:
        """The body: OCI distribution 1.1, "Error Codes"."""
        first: dict[str, Any] = {"code": self.code.name, "message": self.message}
        if self.details:
            first["detail"] = self.details
        rest = [{"code": c.name, "message": c.message, "detail": d} for c, d in self.also]
        return {"errors": [first, *rest]}
