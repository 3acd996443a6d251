"""A manifest that is there, answered before Django's handler is asked.

Every pull begins here, and making a request object, resolving an address and passing middlewares
costs several times what the answer itself costs. Only the plain case is answered: a caller who may,
a manifest that exists. Whatever else it is, `answer` says None and the ordinary view answers, with
the same rules, the right refusal included. So there is no second set of rules to keep in step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError

from registry.auth import Caller
from registry.errors import RegistryError
from registry.services import manifests
from registry.v2.base import API_VERSION
from tokens.access import NAME_PATTERN, Access, is_repository_name

_ADDRESS = re.compile(rf"/v2/({NAME_PATTERN})/manifests/([^/]+)", re.ASCII)
_METHODS = frozenset(["GET", "HEAD"])
_PULL = ("pull",)
ROUTE = "v2/<name:name>/manifests/<reference:reference>"
"""The route of the view that would have answered, for whoever counts."""


class Answer(NamedTuple):
    """A response: its status line's text, its fields, its body, and the route it belongs to."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    route: str


def answer(environ: Mapping[str, Any]) -> Answer | None:
    """The response to a WSGI request, None where the ordinary view has to look at it."""
    method = environ["REQUEST_METHOD"]
    if method not in _METHODS or "HTTP_IF_NONE_MATCH" in environ or "HTTP_HOST" not in environ:
        return None
    matched = _ADDRESS.fullmatch(environ["PATH_INFO"])
    if matched is None:
        return None
    name, reference = matched[1], matched[2]
    if not is_repository_name(name):
        return None
    try:
        Caller(environ.get("HTTP_AUTHORIZATION")).require(Access("repository", name, _PULL))
        found = manifests.find(name, manifests.check_reference(reference))
    except (RegistryError, DatabaseError, InterfaceError):
        return None
    headers = [
        ("Docker-Content-Digest", found.digest),
        ("ETag", f'"{found.digest}"'),
        ("Content-Length", str(len(found.payload))),
        ("Content-Type", found.media_type),
        ("Docker-Distribution-Api-Version", API_VERSION),
        ("X-Content-Type-Options", "nosniff"),
    ]
    return Answer("200 OK", headers, b"" if method == "HEAD" else found.payload, ROUTE)
