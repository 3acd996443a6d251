"""What every request of every role passes."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, resolve

from gitlab.server import logs
from gitlab.server import request_id as request_ids
from tokens import addresses

log = logging.getLogger(logs.ACCESS)
TOKEN_ENDPOINT = "/jwt/auth"  # noqa: S105 - an address
TOKEN_ENDPOINTS = (TOKEN_ENDPOINT, f"{TOKEN_ENDPOINT}/")
_LOGGED_FROM = {"all": 100, "errors": 500, "off": 1000}
"""The status from which on a request is logged."""


def request_id(environ: Mapping[str, Any]) -> str:
    """The id of a request: the proxy's where it sent a well-formed one, else a new one.

    From now on this thread's log lines have it.
    """
    found = request_ids.accept(environ.get("HTTP_X_REQUEST_ID", ""))
    request_ids.use(found)
    return found


class RequestIdMiddleware:
    """Gives each request an id, answers with it, and logs the request where that is wanted.

    The id is ``request.request_id``; pages of errors show it, each line of the log has it, and
    calls to the registry and tasks carry it on.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.logged_from = logged_from()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        found = request_id(request.META)
        request.request_id = found  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers["X-Request-Id"] = found
        if response.status_code >= self.logged_from:
            match = request.resolver_match
            log_request(
                request.META,
                match.route if match else None,
                response.status_code,
                _number(response.headers.get("Content-Length")),
                time.perf_counter() - began,
            )
        return response


def logged_from() -> int:
    """The status from which on requests are logged, by the settings."""
    return _LOGGED_FROM[settings.ACCESS_LOG]


def log_request(
    meta: Mapping[str, Any], route: str | None, status: int, sent: int, seconds: float
) -> None:
    """One line of a request, without its query: an upload's carries a secret."""
    fields = {
        "client": client_address(meta),
        "method": meta["REQUEST_METHOD"],
        "path": meta["PATH_INFO"],
        "route": route,
        "status": status,
        "seconds": round(seconds, 4),
        "bytes_in": int(meta.get("berth.received") or _number(meta.get("CONTENT_LENGTH"))),
        "bytes_out": sent,
    }
    log.info(
        "%(client)s %(method)s %(path)s %(status)s, %(bytes_in)s bytes in, %(bytes_out)s out,"
        " %(seconds).3f s",
        fields,
        extra={"fields": fields},
    )


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else 0


@functools.cache
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(addresses.network(text) for text in texts)


def client_address(meta: Mapping[str, Any]) -> str:
    """Who sent a request, as far as trusted proxies tell.

    Each proxy appends the address that it saw to ``X-Forwarded-For``. So the field is read from its
    end, over all that are trusted themselves: what a client writes into it stands further left.
    """
    peer = addresses.canonical(meta.get("REMOTE_ADDR", ""))
    trusted = _networks(tuple(settings.TRUSTED_PROXIES))
    if not trusted:
        return peer
    field = meta.get("HTTP_X_FORWARDED_FOR", "")
    for address in reversed([part.strip() for part in field.split(",") if part.strip()]):
        # A proxy on a Unix socket has no address.
        if peer and not addresses.is_in(peer, trusted):
            break
        try:
            peer = str(addresses.parse(address))
        except ValueError:
            break
    return peer


class ClientAddressMiddleware:
    """Puts the client's address into ``REMOTE_ADDR``, in its one spelling.

    Also where a trusted proxy passed the request on.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.META["REMOTE_ADDR"] = client_address(request.META)
        return self.get_response(request)


class TokenEndpointMiddleware:
    """Answers the token endpoint, past all that stands below here for browsers.

    No cookie counts there and no page is sent, so sessions, forms and policies for pages have
    nothing to do, and docker waits for a token several times in each push.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._match: ResolverMatch | None = None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info not in TOKEN_ENDPOINTS:
            return self.get_response(request)
        request.get_host()  # Refuses a host that is not ours, as Django's own middleware would.
        if self._match is None:
            self._match = resolve(TOKEN_ENDPOINT)
        request.resolver_match = self._match
        response: HttpResponse = self._match.func(request)
        return response
