"""The description of the API: OpenAPI 3.1, made from the operations themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import permissions, serializers

from gitlab.api.parameters import Parameters

_READING = ("get", "head", "delete")
_EVERYWHERE = (401, 403, 414, 429)
_MEANINGS = {
    400: "A parameter is missing or can't be accepted.",
    401: "Nobody is known by this credential, or there is none.",
    403: "They, or their token, may not do this.",
    404: "There is no such thing, or whoever asks may not know.",
    405: "The operation is not possible here, or the page is too far behind to ask by number.",
    409: "Not possible at this moment.",
    411: "The body does not say where it ends.",
    413: "The body is larger than 1 MiB.",
    414: "The address is longer than 8 KB.",
    415: "The body is neither JSON nor a form.",
    422: "The registry refuses.",
    429: "Too many requests; `Retry-After` says how many seconds to wait.",
    503: "The registry does not answer.",
}


_PAGED = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, response=[200], description=text)
    for name, text in {
        "Link": "The pages around this one: `prev`, `next`, `first`, `last`; by key `next` alone.",
        "X-Total": "How many rows there are, up to 10,000; not by key.",
        "X-Total-Pages": "How many pages there are; not by key.",
        "X-Page": "The number of this page; not by key.",
        "X-Per-Page": "How many rows a page has.",
        "X-Next-Page": "The number of the next page, empty on the last; not by key.",
        "X-Prev-Page": "The number of the page before, empty on the first; not by key.",
    }.items()
]


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
    paged = takes is not None and "per_page" in takes().fields
    if paged:
        statuses.add(405)
    if method != "get":
        statuses |= {400, 411, 413, 415}
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
    if paged:
        found["parameters"] = [*found.get("parameters", []), *_PAGED]
    return found


class OperationSchema(AutoSchema):
    """Names and sections of operations, from their endpoints."""

    def get_operation_id(self) -> str:
        """``get_projects``: the method and the endpoint's class; ``get_group_members`` where a
        project and a group have the same.
        """
        name = _snake(type(self.view).__name__)
        kind = re.match(r"/api/v4/(project|group)s/\{id\}/", self.path)
        shared = kind is not None and getattr(self.view, "of_both", False)
        return f"{self.method.lower()}_{f'{kind[1]}_' if shared and kind else ''}{name}"

    def get_tags(self) -> list[str]:
        """The section that the endpoint belongs to."""
        return [getattr(self.view, "section", "")]

    def get_filter_backends(self) -> list[Any]:
        """None: operations say what they take."""
        return []

    def get_auth(self) -> list[dict[str, Any]]:
        """Any credential; none where visitors may read, and where a parameter says who asks."""
        if getattr(self.view, "for_machines", False):
            return [{}]
        each = [name for names in super().get_auth() for name in names]
        found: list[dict[str, Any]] = [{name: []} for name in each]
        reading = self.method in permissions.SAFE_METHODS
        return [*found, {}] if reading and getattr(self.view, "visitors", False) else found

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """``Project`` for a `ProjectEntity`; what is taken has its module before its name."""
        kind = type(serializer)
        if isinstance(serializer, Parameters):
            module = kind.__module__.rpartition(".")[2].title().replace("_", "")
            return module + kind.__name__.removeprefix("_")
        return kind.__name__.removesuffix("Entity")


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class TokenScheme(OpenApiAuthenticationExtension):
    """How a token is sent."""

    target_class = "gitlab.api.authentication.TokenAuthentication"
    name = ["private_token", "bearer"]

    def get_security_definition(self, auto_schema: Any) -> Any:
        """In GitLab's header field, or in that of OAuth."""
        return [
            {"type": "apiKey", "in": "header", "name": "PRIVATE-TOKEN"},
            {"type": "http", "scheme": "bearer"},
        ]


class SessionScheme(OpenApiAuthenticationExtension):
    """The session of a page."""

    target_class = "gitlab.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> Any:
        """A cookie, whose name has the port of the installation; `X-CSRFToken` for changes."""
        return {"type": "apiKey", "in": "cookie", "name": "berth_session_"}
