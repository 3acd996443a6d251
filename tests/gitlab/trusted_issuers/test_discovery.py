"""From an issuer to its keys, also where it is hostile."""

from __future__ import annotations

import itertools
import socket
import time
import tracemalloc
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from gitlab.trusted_issuers import discovery, network
from gitlab.trusted_issuers.discovery import (
    AGAIN,
    FRESH,
    KEPT,
    MOST_ASKING,
    MOST_ISSUERS,
    IssuerUnavailable,
    KeyCache,
    fetch,
)
from gitlab.trusted_issuers.keys import Key
from tests.e2e import certificates
from tests.played_issuer import CONFIGURATION, KEYS, PlayedIssuer, public_jwk, send

pytestmark = pytest.mark.engineless


def test_it_finds_the_keys(issuer: PlayedIssuer) -> None:
    issuer.keys.append(public_jwk("RS256"))
    assert [key.id for key in fetch(issuer.url)] == ["ES256-0", "RS256-0"]
    assert issuer.asked == [CONFIGURATION, KEYS]


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in itertools.count():
            handler.wfile.write(b" " * 65536)
    except OSError:
        pass


def silent(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.recv(1)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.01)
    except OSError:
        pass


def redirect(handler: BaseHTTPRequestHandler) -> None:
    send(handler, {}, status=302, Location="/elsewhere")


def gzipped(handler: BaseHTTPRequestHandler) -> None:
    send(handler, {}, **{"Content-Encoding": "gzip"})


def says(document: Any, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, document, status)


def raw(body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


HOSTILE: dict[str, tuple[str, Callable[[BaseHTTPRequestHandler], None]]] = {
    f"{what}, {path}": (path, answer)
    for path in (CONFIGURATION, KEYS)
    for what, answer in {
        "endless": endless,
        "silent": silent,
        "dripping": dripping,
        "a redirect": redirect,
        "an error": says({}, 500),
        "no JSON": raw(b"<html>"),
        "no UTF-8": raw(b"\xff\xfe\xff"),
        "nested": raw(b"[" * 60_000),
        "a long number": raw(b"9" * 60_000),
        "packed": gzipped,
        "a list": says([]),
        "nothing": raw(b""),
        "10,000 keys": says({"keys": [{}] * 10_000}),
    }.items()
}


@pytest.mark.parametrize(("path", "answer"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_issuer_comes_to_an_end(
    path: str, answer: Any, issuer: PlayedIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "SECONDS", 0.5)
    issuer.answers[path] = answer
    tracemalloc.start()
    try:
        with pytest.raises(IssuerUnavailable):
            fetch(issuer.url)
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert "/elsewhere" not in issuer.asked


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://ci.example.com"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://169.254.169.254/keys"},
        {"jwks_uri": ["http://127.0.0.1/keys"]},
        {"jwks_uri": "http://user@127.0.0.1/keys"},
    ],
)
def test_a_configuration_that_lies(configuration: dict[str, Any], issuer: PlayedIssuer) -> None:
    issuer.configuration = configuration
    with pytest.raises(IssuerUnavailable):
        fetch(issuer.url)
    assert issuer.asked == [CONFIGURATION]


def test_the_issuer_is_compared_exactly(issuer: PlayedIssuer) -> None:
    with pytest.raises(IssuerUnavailable):
        fetch(f"{issuer.url}/")


def test_keys_of_an_issuer_behind_https_are_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(url: str, max_answer: int) -> Any:
        asked.append(url)
        return {"issuer": "https://ci.example.com", "jwks_uri": "http://127.0.0.1/keys"}

    monkeypatch.setattr(network, "url_fault", lambda url: "")
    monkeypatch.setattr(discovery, "_get", answer)
    with pytest.raises(IssuerUnavailable):
        fetch("https://ci.example.com")
    assert len(asked) == 1


def test_where_no_issuer_may_be_nobody_calls(issuer: PlayedIssuer, settings: Any) -> None:
    settings.ISSUER_NETWORKS = ["10.0.0.0/8"]
    with pytest.raises(IssuerUnavailable):
        fetch(issuer.url)
    assert issuer.asked == []


def test_what_was_looked_at_is_called(
    issuer: PlayedIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that answers otherwise when it is asked again: it is not."""
    port = int(issuer.url.rpartition(":")[2])
    really, asked = socket.getaddrinfo, []

    def found(host: str, *args: Any, **options: Any) -> Any:
        if host != "rebound.test":
            return really(host, *args, **options)
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "10.0.0.1", port))]

    monkeypatch.setattr(network.socket, "getaddrinfo", found)
    assert discovery._get(f"http://rebound.test:{port}{KEYS}", 9999) == {"keys": issuer.keys}
    assert asked == ["rebound.test"]


def test_a_proxy_of_the_environment_is_not_asked(
    issuer: PlayedIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert fetch(issuer.url)


class Played:
    """Issuers, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now, self.keys, self.asked = 1000.0, [Key("a", ("EC", "P-256"), "", None)], 0
        self.trouble = False
        self.cache = KeyCache(self.fetch, lambda: self.now)

    def fetch(self, issuer: str) -> tuple[Key, ...]:
        self.asked += 1
        if self.trouble:
            raise IssuerUnavailable("trouble")
        return tuple(self.keys)


@pytest.fixture
def played() -> Played:
    return Played()


def test_keys_are_kept_for_their_time(played: Played) -> None:
    for _ in range(3):
        assert played.cache.keys_of("x", "a") == tuple(played.keys)
    played.now += FRESH - 1
    played.cache.keys_of("x", "a")
    assert played.asked == 1
    played.now += 2
    played.cache.keys_of("x", "a")
    assert played.asked == 2


def test_an_unknown_key_has_the_issuer_asked_now_and_then(played: Played) -> None:
    played.cache.keys_of("x", "a")
    for number in range(100):
        played.cache.keys_of("x", f"unknown-{number}")
    assert played.asked == 1
    played.now += AGAIN + 1
    played.keys.append(Key("b", ("EC", "P-256"), "", None))
    for number in range(100):
        assert len(played.cache.keys_of("x", f"unknown-{number}")) == 2
    assert played.asked == 2


def test_old_keys_do_while_the_issuer_does_not_answer(played: Played) -> None:
    played.cache.keys_of("x", "a")
    played.trouble = True
    played.now += FRESH + 1
    assert played.cache.keys_of("x", "a")
    played.now += KEPT - FRESH
    with pytest.raises(IssuerUnavailable):
        played.cache.keys_of("x", "a")


def test_one_that_does_not_answer_is_not_asked_at_once_again(played: Played) -> None:
    played.trouble = True
    for _ in range(5):
        with pytest.raises(IssuerUnavailable):
            played.cache.keys_of("x", "a")
    assert played.asked == 1


def test_it_has_an_end(played: Played) -> None:
    for number in range(MOST_ISSUERS + 5):
        played.cache.keys_of(f"https://{number}", "a")
    assert len(played.cache._known) == MOST_ISSUERS


def test_slow_issuers_hold_few_threads(played: Played) -> None:
    inner: list[Any] = []

    def slow(issuer: str) -> tuple[Key, ...]:
        """While it is under way, others come, for other issuers."""
        if len(inner) < MOST_ASKING:
            inner.append(issuer)
            with pytest.raises(IssuerUnavailable):
                cache.keys_of(f"{issuer}x", "a")
        raise IssuerUnavailable("slow")

    cache = KeyCache(slow, lambda: 0.0)
    with pytest.raises(IssuerUnavailable):
        cache.keys_of("x", "a")
    assert len(inner) == MOST_ASKING
    assert f"x{'x' * MOST_ASKING}" not in inner


def test_the_certificates_that_are_trusted(settings: Any, tmp_path: Path) -> None:
    settings.ISSUER_NETWORKS = ["127.0.0.1", "::1"]
    made = certificates.make(tmp_path / "tls")
    with PlayedIssuer(made).serving() as issuer:
        with pytest.raises(IssuerUnavailable):
            fetch(issuer.url)
        settings.ISSUER_CA_BUNDLE = str(made.authority)
        assert fetch(issuer.url)
        # Besides the others: one cluster of one's own is not the end of GitHub.
        assert len(discovery._trust().get_ca_certs()) > 10
        settings.ISSUER_CA_BUNDLE = str(tmp_path / "nowhere.crt")
        with pytest.raises(IssuerUnavailable):
            fetch(issuer.url)
