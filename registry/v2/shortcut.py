"""What a registry answers before Django's handler: a client's first question, pulls, and all that a
push consists of.

A pull is answered by `registry.v2.pulls` where it is plain. The requests of a push are many and
mostly small, and most of what Django does around them is of no use here: so the view itself is
asked, whatever it says, and there is no second set of rules.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from django.core.handlers.exception import response_for_exception
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.utils.log import log_response

from registry.v2 import pulls
from registry.v2.base import SAFE, RegistryView
from registry.v2.manifests import ManifestView
from registry.v2.pulls import Answer
from registry.v2.uploads import UploadsView, UploadView
from registry.v2.version import VersionView
from tokens.access import NAME_PATTERN, is_repository_name

_REFUSED = 400
"""The status from which on Django's handler logs an answer."""


class _Request(WSGIRequest):
    """Django's, without what the views here never ask for, and which may be malformed."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = "", {}


class _Entry(NamedTuple):
    """An address and its view, with its route in `registry.urls` for the counting of requests."""

    address: re.Pattern[str]
    view: RegistryView
    route: str


_VERSION = _Entry(re.compile("/v2/"), VersionView(), "v2/")


def _entry(rest: str, view: RegistryView, route: str) -> _Entry:
    address = re.compile(rf"/v2/(?P<name>{NAME_PATTERN})/{rest}", re.ASCII)
    return _Entry(address, view, f"v2/<name:name>/{route}")


_UPLOADS = _entry("blobs/uploads/", UploadsView(), "blobs/uploads/")
_UPLOAD = _entry(
    r"blobs/uploads/(?P<session>[0-9a-f-]+)", UploadView(), "blobs/uploads/<reference:session>"
)
_MANIFEST = _entry(
    r"manifests/(?P<reference>[^/]+)", ManifestView(), "manifests/<reference:reference>"
)
# Each method's own, the first that has the address.
_ENTRIES = {"POST": (_UPLOADS,), "PATCH": (_UPLOAD,), "PUT": (_UPLOAD, _MANIFEST)}


class ViewQuestion(NamedTuple):
    """A request that a view answers, and what its address says."""

    entry: _Entry
    environ: dict[str, Any]
    arguments: dict[str, str]

    @property
    def is_quick(self) -> bool:
        """Whether others may wait for the answer: not where something is changed, which waits for a
        disk, nor where somebody shows a token, be it none, for which the database is asked.
        """
        return self.entry is _VERSION and not self.environ.get("HTTP_AUTHORIZATION")


Question = pulls.Question | pulls.Challenge | ViewQuestion


def question(environ: dict[str, Any]) -> Question | None:
    """What has to be found for a WSGI request, None where Django's handler has to answer."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    entries = _ENTRIES.get(method)
    if entries is None:
        if path == "/v2/" and method in SAFE and "HTTP_HOST" in environ:
            return ViewQuestion(_VERSION, environ, {})
        return pulls.question(environ)
    for entry in entries:
        matched = entry.address.fullmatch(path)
        if matched is not None and is_repository_name(matched["name"]):
            return ViewQuestion(entry, environ, matched.groupdict())
    return None


def answers(questions: Sequence[Question]) -> list[Answer | None]:
    """The response to each, None where Django's handler has to answer. Pulls are asked for
    together.
    """
    asked = [each for each in questions if not isinstance(each, ViewQuestion)]
    found = iter(pulls.answers(asked) if asked else ())
    return [
        _by_the_view(*each) if isinstance(each, ViewQuestion) else next(found) for each in questions
    ]


def _by_the_view(entry: _Entry, environ: dict[str, Any], arguments: dict[str, str]) -> Answer:
    request = _Request(environ)
    try:
        response = cast(HttpResponse, entry.view(request, **arguments))
    except Exception as error:  # noqa: BLE001 - as Django's handler, which logs it and answers 500
        response = response_for_exception(request, error)
    if response.status_code >= _REFUSED:
        log_response(
            "%s: %s", response.reason_phrase, request.path, response=response, request=request
        )
    status = f"{response.status_code} {response.reason_phrase}"
    return Answer(status, list(response.items()), response.content, entry.route)
