"""One question to another server, at the addresses that somebody has looked at."""

from __future__ import annotations

import socket

import httpx
import pytest

from gitlab.exchange import Transport, exchange
from tests.played_issuer import KEYS, PlayedIssuer

pytestmark = pytest.mark.engineless


def ask(url: str, *addresses: str) -> httpx.Response:
    context = httpx.create_ssl_context(trust_env=False)
    transport = Transport(context, lambda host, port: addresses)
    with httpx.Client(transport=transport) as http:
        return exchange(http, http.build_request("GET", url), seconds=5, max_answer=4096)


def test_the_next_address_is_tried() -> None:
    with PlayedIssuer().serving() as issuer:
        url = issuer.url.replace("127.0.0.1", "nowhere.test") + KEYS
        answer = ask(url, "127.0.0.2", "127.0.0.1")
        assert answer.status_code == 200
        assert answer.request.headers["Host"].startswith("nowhere.test")


def test_where_none_answers_or_there_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for addresses in ((), ("127.0.0.1", "127.0.0.1")):
        with pytest.raises(httpx.ConnectError):
            ask(f"http://nowhere.test:{port}/", *addresses)
