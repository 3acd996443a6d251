"""A manifest or a small blob, answered before Django's handler is asked.

Every pull begins here, and making a request object, resolving an address and passing middlewares
costs several times what the answer itself costs. Only the plain case is answered: a caller who may,
a manifest that exists or is not there, all of a blob that is mostly an image's configuration; and
one who has to get a token first, as every client has.
Whatever else it is, `question` or `answers` say None and the ordinary view answers, with the same
rules, the right refusal included. So there is no second set of rules to keep in step.

Pulls that have come at the same time are answered together: the database is asked once for all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import DatabaseError, InterfaceError

from registry import delivery, memory
from registry import digest as digests
from registry.auth import Caller
from registry.errors import RegistryError
from registry.media_types import OCTET_STREAM
from registry.services import blobs, database, manifests, pull_counts, revocations
from registry.storage import chosen as storage
from registry.storage.base import StorageUnavailable
from registry.v2.base import API_VERSION, SAFE
from tokens.access import NAME_PATTERN, Access, is_repository_name
from tokens.verify import Claims

_ADDRESS = re.compile(rf"/v2/({NAME_PATTERN})/(manifests|blobs)/([^/]+)", re.ASCII)
_PULL, _PUSH = ("pull",), ("push",)
_ROUTE = "v2/<name:name>/manifests/<reference:reference>"
_BLOB_ROUTE = "v2/<name:name>/blobs/<reference:digest>"
"""The routes of the views that would have answered, for the counting of requests."""


_ALWAYS = (
    ("Docker-Distribution-Api-Version", API_VERSION),
    ("X-Content-Type-Options", "nosniff"),
)


class Answer(NamedTuple):
    """A response: its status line's text, its fields, its body, and the route it belongs to."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    route: str


class Question(NamedTuple):
    """A pull that a token allows, and how the database is asked for it."""

    name: str
    reference: str
    is_blob: bool
    method: str
    claims: Claims | None
    statement: database.Statement
    wants_promise: bool
    """Whether who asks if a blob is there will rely on the answer (see `blobs.promise`)."""

    @property
    def is_quick(self) -> bool:
        """Whether no other server than the database is asked."""
        return not self.is_blob or storage.current().is_here


class Challenge(NamedTuple):
    """A pull that needs another token, and the answer that says so."""

    answer: Answer

    @property
    def is_quick(self) -> bool:
        """Yes: nobody is asked."""
        return True


def question(environ: Mapping[str, Any]) -> Question | Challenge | None:
    """What has to be found for a WSGI request, None where the ordinary view has to look at it."""
    asked = _asked(environ)
    if asked is None:
        return None
    name, is_blob, reference, method = asked
    try:
        caller = Caller(environ.get("HTTP_AUTHORIZATION"))
        try:
            caller.require(Access("repository", name, _PULL))
        except RegistryError as challenge:
            return Challenge(_refusal(challenge, "401 Unauthorized", method, is_blob=is_blob))
        wants_promise = (
            is_blob and method == "HEAD" and caller.may(Access("repository", name, _PUSH))
        )
        if is_blob:
            statement = blobs.finding(name, digests.check(reference))
        else:
            statement = manifests.finding(name, manifests.check_reference(reference))
    except RegistryError:
        return None
    return Question(name, reference, is_blob, method, caller.claims, statement, wants_promise)


def answers(questions: Sequence[Question | Challenge]) -> list[Answer | None]:
    """The response to each, None where the ordinary view has to look at it.

    The database is asked for all of them at once.
    """
    asked = [each for each in questions if isinstance(each, Question)]
    found = iter(_found(asked) if asked else ())
    return [each.answer if isinstance(each, Challenge) else next(found) for each in questions]


def _found(questions: Sequence[Question]) -> list[Answer | None]:
    database.close_if_old()
    try:
        rows = database.each([question.statement for question in questions])
    except (DatabaseError, InterfaceError):
        database.close_if_lost()
        return [None] * len(questions)
    return [_answer(question, row) for question, row in zip(questions, rows, strict=True)]


def _answer(question: Question, row: database.Row | None) -> Answer | None:
    name, reference = question.name, question.reference
    try:
        if question.is_blob:
            return _blob(question, blobs.found(name, reference, row))
        found = manifests.found(name, reference, row)
        if question.method == "GET":
            pull_counts.note(question.claims, found, reference)
        return _manifest(found, question.method)
    except RegistryError as error:
        if error.status != 404:
            return None
        return _refusal(error, "404 Not Found", question.method, is_blob=question.is_blob)
    except (StorageUnavailable, DatabaseError, InterfaceError, revocations.News):
        return None


def _asked(environ: Mapping[str, Any]) -> tuple[str, bool, str, str] | None:
    """The repository, whether a blob of it is asked for, the reference, and the method.

    None where it is another request, or says more than this module understands.
    """
    method = environ["REQUEST_METHOD"]
    if method not in SAFE or "HTTP_IF_NONE_MATCH" in environ or "HTTP_HOST" not in environ:
        return None
    matched = _ADDRESS.fullmatch(environ["PATH_INFO"])
    if matched is None or not is_repository_name(matched[1]):
        return None
    is_blob = matched[2] == "blobs"
    if is_blob and "HTTP_RANGE" in environ:
        return None
    return matched[1], is_blob, matched[3], method


def _refusal(error: RegistryError, status: str, method: str, *, is_blob: bool) -> Answer:
    body = json.dumps(error.as_json()).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        *error.headers.items(),
        *_ALWAYS,
    ]
    route = _BLOB_ROUTE if is_blob else _ROUTE
    return Answer(status, headers, b"" if method == "HEAD" else body, route)


def _manifest(found: manifests.StoredManifest, method: str) -> Answer:
    memory.let_go(len(found.payload))
    headers = [
        ("Docker-Content-Digest", found.digest),
        ("ETag", f'"{found.digest}"'),
        ("Content-Length", str(len(found.payload))),
        ("Content-Type", found.media_type),
        *_ALWAYS,
    ]
    return Answer("200 OK", headers, b"" if method == "HEAD" else found.payload, _ROUTE)


def _blob(question: Question, found: blobs.FoundBlob) -> Answer | None:
    if question.method == "HEAD":
        if not blobs.is_stored(found) or (question.wants_promise and not blobs.is_promised(found)):
            return None
        content: bytes | None = b""
    else:
        content = delivery.small(found.digest, found.size)
    if content is None:
        return None
    headers = [
        *delivery.fields_of(found.digest).items(),
        ("Content-Length", str(found.size)),
        ("Content-Type", OCTET_STREAM),
        *_ALWAYS,
    ]
    return Answer("200 OK", headers, content, _BLOB_ROUTE)
