"""Refusals in GitLab's shapes: one handler, from what the rules raise to what a client reads.

| raised | status | body |
|---|---|---|
| a parameter is missing or has no possible value | 400 | ``{"error": "name is missing"}`` |
| `refusals.Invalid` | 400 | ``{"message": {"path": ["is taken"]}}`` |
| `refusals.Conflict`, `Invalid` with the code ``taken`` of a member or a user | 409 | ``message`` |
| nobody is known | 401 | ``{"message": "401 Unauthorized"}`` |
| a token without the scope | 403 | ``{"error": "insufficient_scope", …}`` |
| `refusals.Forbidden` | 403 | ``{"message": "403 Forbidden - why"}`` |
| `refusals.NotFound` | 404 | ``{"message": "404 Project Not Found"}`` |
| the registry does not answer | 503 | ``message``, with ``Retry-After`` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.refusals import Conflict, Invalid, TooMany
from tokens.limiter import TooManyRequests

_REGISTRY_REFUSALS = {403: 403, 404: 404, 405: 403, 409: 409}
"""What the registry answers, and what is answered then; 422 for the rest."""


class ApiError(Exception):
    """An answer that is no success: its status and its body."""

    def __init__(self, code: int, body: Mapping[str, Any], **headers: str) -> None:
        super().__init__(code, body)
        self.code, self.body, self.headers = code, body, headers


class BadParameter(ApiError):
    """A parameter is missing, or can't be what it is; `text` says which and why."""

    def __init__(self, text: str) -> None:
        super().__init__(400, {"error": text})


def not_found(noun: str = "") -> ApiError:
    """There is no such `noun`, "Project" say, or whoever asks may not know."""
    return ApiError(404, {"message": f"404 {noun} Not Found".replace("  ", " ")})


@contextmanager
def unprocessable() -> Iterator[None]:
    """Within the block, what a row can't be is 422 with whole sentences, as GitLab answers it."""
    try:
        yield
    except Invalid as error:
        texts = [
            text if name == NON_FIELD_ERRORS else f"{name.replace('_', ' ').capitalize()}: {text}"
            for name, found in error.message_dict.items()
            for text in found
        ]
        raise ApiError(422, {"message": texts}) from error


def unauthorized() -> ApiError:
    """Whoever asks has to say who they are."""
    return ApiError(401, {"message": "401 Unauthorized"})


def forbidden(why: str = "") -> ApiError:
    """They may not do this."""
    return ApiError(403, {"message": f"403 Forbidden{f' - {why}' if why else ''}"})


def insufficient_scope(wanted: str) -> ApiError:
    """The token is not for this. `wanted` are scopes, one of which would do."""
    return ApiError(
        403,
        {
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided by the"
            " access token.",
            "scope": wanted,
        },
    )


def invalid_token(why: str) -> ApiError:
    """The token was one, and is none any more."""
    return ApiError(401, {"error": "invalid_token", "error_description": why})


def answer(error: Exception, names: Mapping[str, str]) -> Response | None:
    """The response to a refusal, or None for what is none: that is a fault of ours.

    `names` are those parameters that the rules call otherwise: argument → parameter.
    """
    if isinstance(error, ApiError):
        told = error
    elif isinstance(error, ValidationError):
        told = _of_rule(error, names)
    else:
        for kind, tell in _TOLD:
            if isinstance(error, kind):
                told = tell(error)
                break
        else:
            return None
    return Response(dict(told.body), status=told.code, headers=told.headers)


def _too_many(error: TooManyRequests) -> ApiError:
    text = f"429 Too Many Requests - {error}"
    return ApiError(429, {"message": text}, **{"Retry-After": str(error.retry_after)})


def _no_registry(error: RegistryUnavailable) -> ApiError:
    text = f"503 Service Unavailable - {error}"
    return ApiError(503, {"message": text}, **{"Retry-After": "5"})


def _of_registry(error: RegistryRefused) -> ApiError:
    return ApiError(_REGISTRY_REFUSALS.get(error.status, 422), {"message": str(error)})


def _of_framework(error: exceptions.APIException) -> ApiError:
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return unauthorized()
    if isinstance(error, exceptions.PermissionDenied):
        return forbidden(str(error.detail))
    if isinstance(error, exceptions.MethodNotAllowed):
        return ApiError(405, {"error": "405 Not Allowed"})
    if isinstance(error, exceptions.UnsupportedMediaType):
        return ApiError(415, {"error": "The provided content-type is not supported."})
    code = error.status_code if error.status_code < 500 else 400
    return ApiError(code, {"error": str(error.detail)})


_TOLD: tuple[tuple[type[Exception], Callable[[Any], ApiError]], ...] = (
    (exceptions.APIException, _of_framework),
    (Http404, lambda _: not_found()),
    (PermissionDenied, lambda error: forbidden(str(error))),
    (TooManyRequests, _too_many),
    (RegistryUnavailable, _no_registry),
    (RegistryRefused, _of_registry),
    (RequestDataTooBig, lambda _: ApiError(413, {"error": "413 Request Entity Too Large"})),
    (SuspiciousOperation, lambda _: ApiError(400, {"error": "the request is malformed"})),
)
"""The first kind that an error is of tells it; what rules refuse by argument is `_of_rule`'s."""


_CODES = ((Conflict, 409), (TooMany, 429))


def _of_rule(error: ValidationError, names: Mapping[str, str]) -> ApiError:
    """The refusal of a rule: by argument, or as one text where it is about none."""
    if not hasattr(error, "error_dict"):
        return ApiError(400, {"message": " ".join(error.messages)})
    messages = {names.get(name, name): texts for name, texts in error.message_dict.items()}
    whole = messages.pop(NON_FIELD_ERRORS, None)
    code = next((code for kind, code in _CODES if isinstance(error, kind)), 400)
    if whole and not messages:
        return ApiError(code, {"message": " ".join(whole)})
    if whole:
        messages["base"] = whole
    return ApiError(code, {"message": messages})
