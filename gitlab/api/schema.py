"""The description of the API: OpenAPI 3.1, made from the operations themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

from gitlab.api.parameters import Parameters

_READING = ("get", "head", "delete")
_EVERYWHERE = (401, 403, 429)
_MEANINGS = {
    400: "A parameter is missing or can't be accepted.",
    401: "Nobody is known by this credential, or there is none.",
    403: "They, or their token, may not do this.",
    404: "There is no such thing, or whoever asks may not know.",
    405: "The operation is not possible here.",
    409: "Not possible at this moment.",
    413: "The body is larger than 1 MiB.",
    415: "The body is neither JSON nor a form.",
    422: "The registry refuses.",
    429: "Too many requests; `Retry-After` says how many seconds to wait.",
    503: "The registry does not answer.",
}


class Refusal(serializers.Serializer[Any]):
    """A refusal: `message` is a text or, by parameter, a list of texts; or `error` says what is
    wrong with a parameter or a token.
    """

    message = serializers.JSONField(required=False)
    error = serializers.CharField(required=False)
    error_description = serializers.CharField(required=False)
    scope = serializers.CharField(required=False)


def described(
    method: str,
    takes: type[Parameters] | None,
    gives: Any,
    status: int,
    *,
    many: bool,
    refuses: Sequence[int],
) -> dict[str, Any]:
    """The arguments of `extend_schema` for an operation."""
    shown = gives(many=many) if isinstance(gives, type) and many else gives
    statuses = {*_EVERYWHERE, *refuses}
    if takes is not None:
        statuses.add(400)
    if method not in _READING:
        statuses |= {413, 415}
    responses: dict[int, Any] = {
        status: shown if shown is not None else OpenApiResponse(description="Done.")
    }
    for code in sorted(statuses):
        responses[code] = OpenApiResponse(Refusal, description=_MEANINGS[code])
    found: dict[str, Any] = {"responses": responses}
    if method in _READING:
        found["parameters"] = [takes] if takes is not None else []
    else:
        found["request"] = takes
    return found


class OperationSchema(AutoSchema):
    """Names and sections of operations, from their endpoints."""

    def get_operation_id(self) -> str:
        """``list_projects``: the endpoint's class and the method."""
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self.view).__name__).lower()
        return f"{self.method.lower()}_{name}"

    def get_tags(self) -> list[str]:
        """The section that the endpoint belongs to."""
        return [getattr(self.view, "section", "")]

    def get_filter_backends(self) -> list[Any]:
        """None: operations say what they take."""
        return []
