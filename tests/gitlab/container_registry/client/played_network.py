"""A registry that a test plays, in place of the network: its bodies come in pieces, as from one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

PIECE = 65536


class _Pieces(httpx.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), PIECE):
            yield self._body[start : start + PIECE]


class PlayedNetwork(httpx.BaseTransport):
    """`answer` takes a request; what it returns, or raises, is the registry's answer."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.BaseTransport.handle_request`."""
        request.read()
        found: httpx.Response = self._answer(request)
        if not found.is_stream_consumed:
            return found
        return httpx.Response(
            found.status_code, headers=found.headers, stream=_Pieces(found.content)
        )
