"""What every view of ``/v2/`` and ``/gitlab/v1/`` shares: the order of checks, and the one handler.

Method, name, right, then the work. Only here does a `RegistryError` become a response.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from registry.auth import ACTIONS, Caller
from registry.errors import Code, RegistryError
from registry.services import database, repositories, revocations
from registry.storage.base import StorageFull, StorageUnavailable
from tokens.access import Access

log = logging.getLogger("registry.v2")

_FAILURES = (
    StorageFull,
    StorageUnavailable,
    OperationalError,
    InterfaceError,
    # A transaction that the server has ended since its process had stopped in it.
    InternalError,
    SuspiciousOperation,
)
SAFE = frozenset(["GET", "HEAD"])
"""The methods that change nothing."""

Handler = Callable[..., HttpResponseBase]
API_VERSION = "registry/2.0"


class RegistryView:
    """A view whose methods are its own: ``get``, ``put``, …, each called with a `Caller`.

    Subclasses override `needed` where the method's usual action is not what they need. HEAD is GET
    unless there is a ``head``.
    """

    csrf_exempt = True
    """For Django's middleware, where one process serves pages too. Cookies count for nothing."""
    counts_requests_itself = True
    """For the rate limits of pages, in such a process."""
    notices_revocations: frozenset[str] = frozenset()
    """The methods whose first question brings along whether there are new ones, so that they may be
    called anew: nothing has changed by then. See `revocations`.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        for method in ("get", "head", "post", "put", "patch", "delete"):
            handler = getattr(self, method, None)
            if handler is not None:
                self.handlers[method.upper()] = handler
        if "GET" in self.handlers:
            self.handlers.setdefault("HEAD", self.handlers["GET"])
        self.allow = ", ".join([*self.handlers, "OPTIONS"])

    def __call__(self, request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        """Answer a request; whatever is refused is answered in the protocol's form."""
        response: HttpResponseBase
        try:
            response = self._answer(request, arguments)
        except RegistryError as error:
            response = refusal(error)
        except _FAILURES as error:
            response = refusal(_named(error))
        return _with_common_headers(response, request.method)

    def _answer(self, request: HttpRequest, arguments: dict[str, Any]) -> HttpResponseBase:
        environ = request.META
        if "HTTP_HOST" not in environ and environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
            raise SuspiciousOperation("RFC 9112, 3.2: no Host")
        method = request.method or ""
        handler = self.handlers.get(method)
        if handler is None:
            if method == "OPTIONS":
                return empty(200, {"Allow": self.allow})
            raise RegistryError(Code.UNSUPPORTED, headers={"Allow": self.allow})
        if "name" in arguments:
            repositories.check_name(arguments["name"])
        return self._handled(request, handler, method, arguments)

    def _handled(
        self, request: HttpRequest, handler: Handler, method: str, arguments: dict[str, Any]
    ) -> HttpResponseBase:
        """What `handler` says to whoever may ask, by all revocations that there are."""
        if method in SAFE:
            database.close_if_old()
        else:
            # It can't be tried twice.
            database.check_connection()
        may_try_again, looks = method in SAFE, method not in self.notices_revocations
        while True:
            try:
                if looks:
                    _look_for_revocations(request)
                return handler(request, self._caller(request, method, arguments), **arguments)
            except revocations.News:
                looks = True
            except (OperationalError, InterfaceError):
                if not may_try_again or not database.close_if_lost():
                    raise
                may_try_again = False

    def _caller(self, request: HttpRequest, method: str, arguments: dict[str, Any]) -> Caller:
        """Who asks, by what is known of revocations. Raises UNAUTHORIZED."""
        caller = Caller(request.META.get("HTTP_AUTHORIZATION"))
        caller.require(self.needed(method, arguments))
        return caller

    def needed(self, method: str, arguments: dict[str, Any]) -> Access | None:
        """The access without which the request is answered with a challenge."""
        return Access("repository", arguments["name"], ACTIONS[method])


def _look_for_revocations(request: HttpRequest) -> None:
    """Whoever shows no token costs no query, and gets a challenge without a database too."""
    if request.META.get("HTTP_AUTHORIZATION"):
        revocations.refresh()


def _named(error: Exception) -> RegistryError:
    """What a failure that is nobody's fault outside is called on the wire. The log has the rest."""
    if isinstance(error, SuspiciousOperation):
        return RegistryError(Code.UNSUPPORTED, "the request is malformed", status=400)
    log.error("%s: %s", type(error).__name__, error)
    if isinstance(error, StorageFull):
        return RegistryError(Code.UNAVAILABLE, "the registry's storage is full", status=507)
    what = "storage" if isinstance(error, StorageUnavailable) else "database"
    return RegistryError(
        Code.UNAVAILABLE,
        f"the registry's {what} is not available",
        headers={"Retry-After": "10"},
    )


def _with_common_headers(response: HttpResponseBase, method: str | None) -> HttpResponseBase:
    headers = response.headers
    headers["Docker-Distribution-Api-Version"] = API_VERSION
    headers["X-Content-Type-Options"] = "nosniff"
    # RFC 9110, 8.6: none with 204; with 304 it would be that of the 200.
    may_measure = "Content-Length" not in headers and response.status_code not in (204, 304)
    if may_measure and isinstance(response, HttpResponse):
        headers["Content-Length"] = str(len(response.content))
    if method == "HEAD" and isinstance(response, HttpResponse) and response.content:
        # gunicorn would drop it too, with a warning for each refusal and each list.
        response.content = b""
    return response


def empty(status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    """A response without a body, and so without a type."""
    response = HttpResponse(status=status, headers=headers)
    del response.headers["Content-Type"]
    return response


def refusal(error: RegistryError) -> JsonResponse:
    """The response that `error` is."""
    return JsonResponse(error.as_json(), status=error.status, headers=error.headers)


def refuse(request: HttpRequest, error: RegistryError) -> HttpResponseBase:
    """The whole answer that `error` is, for a middleware that refuses a request before its view."""
    return _with_common_headers(refusal(error), request.method)


def page_size(request: HttpRequest, default: int | None = None) -> int:
    """The ``n`` of a list, clamped to the maximum. Raises PAGINATION_NUMBER_INVALID."""
    text = request.GET.get("n", "")
    maximum: int = settings.REGISTRY_MAX_PAGE
    if not text:
        return maximum if default is None else default
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        raise RegistryError(Code.PAGINATION_NUMBER_INVALID, n=text[:40])
    return min(int(text), maximum)


def last_entry(request: HttpRequest) -> str:
    """The ``last`` of a list: what the page before ended with."""
    return request.GET.get("last", "").replace("\0", "")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler400: what no view could be asked for."""
    return refuse(request, _named(SuspiciousOperation()))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """handler404: whatever the process does not serve at all."""
    return UnknownView()(request)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """handler500: a fault of ours. Django has logged it."""
    failed = RegistryError(Code.UNAVAILABLE, "the registry has failed, and logged why", status=500)
    return refuse(request, failed)


class UnknownView:
    """Whatever else lies below the registry's addresses: 404 in the protocol's form."""

    csrf_exempt = True
    counts_requests_itself = True

    def __call__(self, request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        """Answer 404, with any token and without one."""
        error = RegistryError(Code.UNSUPPORTED, "there is nothing at this address", status=404)
        return _with_common_headers(refusal(error), request.method)
