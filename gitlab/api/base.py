"""What every endpoint is: who may ask it at all, what it reads, how it refuses, what it counts.

    class Version(Endpoint):
        section = "metadata"

        @operation("Show the version", gives=VersionEntity)
        def get(self, request: Request) -> Response: ...

An operation with `takes` gets what was sent as its second argument, read and checked. Rules are the
services'; an endpoint finds what is asked about, calls one, and says what came of it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import negotiation, parsers, permissions, renderers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from gitlab.api import errors, schema
from gitlab.api.authentication import (
    SessionAuthentication,
    TokenAuthentication,
    credential,
    require_confirmation,
)
from gitlab.api.parameters import JSONParser, Parameters, sent_with, take_body
from gitlab.principals import Anybody
from tokens import rate_limits

Handler = Callable[..., Response]


class _JsonAlone(negotiation.BaseContentNegotiation):
    """JSON, whatever ``Accept`` says: GitLab's clients send all kinds."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """By the content type, None where there is none for it."""
        return negotiation.DefaultContentNegotiation().select_parser(request, parsers)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """The only one."""
        return renderers[0], renderers[0].media_type


class Endpoint(APIView):
    """An address of the API. It counts its requests itself, since it knows who asks."""

    counts_requests_itself = True
    visitors = False
    """Whether somebody who is not known may read here."""

    for_machines = False
    """Whether a machine asks, which says who it is by a parameter, ``token``, and not before."""

    administrators = False
    """Whether it is for administrators alone."""

    confirmed: Sequence[str] = ()
    """The methods before which the pages ask for a password or a factor again: see
    `authentication.require_confirmation`. Whatever administrators alone may change has it too."""

    reads_with: Sequence[str] = ("api", "read_api")
    """The scopes one of which a token needs for reading."""

    writes_with: Sequence[str] = ("api",)
    """The scopes one of which a token needs for changing something."""

    jobs: Sequence[str] = ()
    """The methods that CI jobs may use, on what is of their own project."""

    names: Mapping[str, str] = {}
    """Arguments of the rules that clients know by another name: argument → parameter."""

    of_both = False
    """Whether projects and groups have it, below each of their addresses."""

    section = ""
    """The part of the documentation that it belongs to."""

    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes: list[type[permissions.BasePermission]] = []
    renderer_classes = [renderers.JSONRenderer]
    parser_classes = [JSONParser, parsers.FormParser, parsers.MultiPartParser]
    content_negotiation_class = _JsonAlone
    metadata_class = None
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    schema = schema.OperationSchema()

    _usage: rate_limits.Usage | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """What comes before each operation. Raises `ApiError`, `TooManyRequests`."""
        take_body(request)
        try:
            self.perform_authentication(request)
        except errors.ApiError:
            # Also a request that is refused is one.
            rate_limits.take(*_keys(request, None, ""))
            raise
        used = credential(request)
        keys = _keys(request, request.user, used.text if used else "")
        rate_limits.take(*keys)
        self._usage = rate_limits.usage(*keys)
        self._check_rights(request)

    def _check_rights(self, request: Request) -> None:
        """Whether this may be asked at all. Raises `ApiError`."""
        reading = request.method in permissions.SAFE_METHODS
        used = credential(request)
        if self.for_machines:
            return
        if used is None:
            if not (self.visitors and reading):
                raise errors.unauthorized()
            return
        if used.job_project is not None and request.method not in self.jobs:
            raise errors.forbidden("this is not for the tokens of jobs")
        wanted = self.reads_with if reading else self.writes_with
        if wanted and not used.covers(*wanted):
            raise errors.insufficient_scope(" ".join(wanted))
        if self.administrators and not request.user.is_superuser:
            raise errors.forbidden()
        if request.method in self.confirmed or (self.administrators and not reading):
            require_confirmation(request)

    def http_method_not_allowed(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Refuse what there is no operation for."""
        raise errors.ApiError(
            405, {"error": "405 Not Allowed"}, Allow=", ".join(self.allowed_methods)
        )

    def handle_exception(self, exc: Exception) -> Response:
        """The response to a refusal; everything else goes on to Django's handler."""
        response = errors.answer(exc, self.names)
        if response is None:
            raise exc
        if response.status_code == 401:
            response.headers["WWW-Authenticate"] = self.get_authenticate_header(self.request) or ""
        response.exception = True
        return response

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """What is said with each answer."""
        found = super().finalize_response(request, response, *args, **kwargs)
        # A private answer is nobody else's, and each is of this moment.
        found.headers.setdefault("Cache-Control", "max-age=0, private, must-revalidate")
        found.headers["Vary"] = "Origin"
        if self._usage is not None:
            used = self._usage
            found.headers["RateLimit-Limit"] = str(used.limit)
            found.headers["RateLimit-Name"] = f"throttle_{used.kind}_api"
            found.headers["RateLimit-Observed"] = str(used.limit - used.remaining)
            found.headers["RateLimit-Remaining"] = str(used.remaining)
            found.headers["RateLimit-Reset"] = str(int(time.time()) + used.reset)
        return found


@extend_schema(exclude=True)
class Nothing(Endpoint):
    """Whatever has no endpoint, by any method; asking for it tells nothing about who may."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse it."""
        rate_limits.take(*_keys(request, None, ""))
        raise errors.ApiError(404, {"error": "404 Not Found"})


def _keys(request: Request, user: Anybody, token: str) -> Sequence[rate_limits.Key]:
    name = user.username if user is not None and user.is_authenticated else ""
    return rate_limits.keys_of(user=name, token=token, address=request.META.get("REMOTE_ADDR", ""))


def operation(
    summary: str,
    *,
    takes: type[Parameters] | None = None,
    gives: Any = None,
    status: int = 200,
    many: bool = False,
    refuses: Sequence[int] = (),
) -> Callable[[Handler], Handler]:
    """Describes a handler: what it `takes`, what it `gives` (a serializer) with which `status`.

    `many` is a list of those. `refuses` are the statuses of its refusals, besides those that every
    endpoint may answer. The docstring is the description.
    """

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def handle(self: Endpoint, request: Request, *args: Any, **kwargs: Any) -> Response:
            sent = sent_with(request)
            # Who asks to act as somebody else must not act as themselves.
            if "Sudo" in request.headers or "sudo" in sent:
                raise errors.forbidden("acting as somebody else is not possible here")
            if takes is None:
                return handler(self, request, *args, **kwargs)
            return handler(self, request, takes.read(sent), *args, **kwargs)

        method = handler.__name__
        described: Handler = extend_schema(
            summary=summary,
            **schema.described(method, takes, gives, status, many=many, refuses=refuses),
        )(handle)
        return described

    return decorate
