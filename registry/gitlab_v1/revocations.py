"""What ends tokens before their time: told by GitLab, which knows when somebody lost a right."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1.base import json_object
from registry.services import revocations
from registry.services.revocations import MAX_AT_ONCE, Ended
from registry.v2.base import RegistryView, empty
from tokens.access import Access, is_repository_name
from tokens.verify import LONGEST_LEEWAY

_ACCESS = Access("registry", "revocations", ("*",))
_LONGEST = {"credential": 64, "subject": 255, "path": 255}
_AHEAD = dt.timedelta(seconds=LONGEST_LEEWAY)


class RevocationsView(RegistryView):
    """``POST /gitlab/v1/revocations/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:revocations:*``."""
        return _ACCESS

    def post(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """Let what was decided ``before`` a moment (milliseconds since the epoch) end: with a
        ``credential``, for a ``subject``, at and below a ``path``, or for a subject there.

        204, also for what was told before. Raises UNSUPPORTED with 400, and nothing has changed.
        """
        told = json_object(request).get("revocations")
        if not isinstance(told, list) or len(told) > MAX_AT_ONCE:
            raise _malformed(f"revocations is a list of at most {MAX_AT_ONCE}")
        revocations.add([_read(each) for each in told])
        return empty(204)


def _read(told: object) -> Ended:
    if not isinstance(told, dict):
        raise _malformed("a revocation is an object")
    found = {name: told.get(name, "") for name in _LONGEST}
    for name, longest in _LONGEST.items():
        text = found[name]
        if not isinstance(text, str) or len(text) > longest or "\0" in text:
            raise _malformed(f"{name} is a text of at most {longest} characters")
    if not any(found.values()):
        raise _malformed("a revocation is of a credential, a subject or a path")
    if found["path"] and not is_repository_name(found["path"]):
        raise _malformed("path is the name of a repository, or begins such names")
    return Ended(_moment(told.get("before")), **found)


def _moment(told: object) -> dt.datetime:
    """Not far ahead of our clock: it would end tokens that are not signed yet."""
    latest = timezone.now() + _AHEAD
    if type(told) is not int or not 0 < told <= latest.timestamp() * 1000:
        raise _malformed("before is a moment in milliseconds since the epoch, and not to come")
    return dt.datetime.fromtimestamp(told / 1000, dt.UTC)


def _malformed(message: str) -> RegistryError:
    return RegistryError(Code.UNSUPPORTED, message, status=400)
