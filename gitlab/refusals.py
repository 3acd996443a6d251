"""How the rules refuse. Pages and the API need not translate: Django answers each by its base."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404


class NotFound(Http404):
    """There is no such thing, or whoever asks may not know that there is. Answered with 404."""


class Forbidden(PermissionDenied):
    """They may see it and may not do this; the message says why. Answered with 403."""


class Invalid(ValidationError):
    """What was typed can't be accepted: ``Invalid({"path": "is taken"})``.

    The keys are the names of the services' arguments, so that `form.add_error(None, error)` puts
    each message at its field. `reason` says it in a word where a program may ask: ``taken``.
    """

    def __init__(self, message: Any, code: str | None = None, params: Any = None) -> None:
        super().__init__(message, code, params)
        self.reason = code or ""


class TooMany(Invalid):
    """There are as many as there may be: it would be acceptable with fewer. Answered with 429."""


class Conflict(Invalid):
    """It would be acceptable at another time: the group still has projects, say."""
