"""What every request of every role passes."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import uuid
from collections.abc import Callable, Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestIdMiddleware:
    """Gives each request an id, the proxy's where it sent a plausible one, and answers with it.

    The id is ``request.request_id``; pages of errors show it and the log has it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = given if _ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        response = self.get_response(request)
        response.headers["X-Request-Id"] = request_id
        return response


class ClientAddressMiddleware:
    """Puts the client's address into ``REMOTE_ADDR`` where a trusted proxy passed the request on.

    Each proxy appends the address that it saw to ``X-Forwarded-For``. So the field is read from its
    end, over all that are trusted themselves: what a client writes into it stands further left.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.trusted = [ipaddress.ip_network(network) for network in settings.TRUSTED_PROXIES]

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self.trusted:
            field = request.META.get("HTTP_X_FORWARDED_FOR", "")
            seen = [part.strip() for part in field.split(",") if part.strip()]
            request.META["REMOTE_ADDR"] = self._client(request.META.get("REMOTE_ADDR", ""), seen)
        return self.get_response(request)

    def _client(self, peer: str, seen: Sequence[str]) -> str:
        for address in reversed(seen):
            if not self._is_trusted(peer):
                break
            with contextlib.suppress(ValueError):
                peer = str(ipaddress.ip_address(address))
                continue
            break
        return peer

    def _is_trusted(self, address: str) -> bool:
        with contextlib.suppress(ValueError):
            found = ipaddress.ip_address(address)
            return any(found in network for network in self.trusted)
        # A proxy on a Unix socket has no address.
        return not address
