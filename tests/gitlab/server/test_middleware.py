"""What every request passes: an id, and the client's own address behind a trusted proxy."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from gitlab.server.metrics import exposition
from gitlab.server.middleware import ClientAddressMiddleware, RequestIdMiddleware


def seen_address(peer: str, field: str | None) -> str:
    """The address that a view sees."""
    extra = {} if field is None else {"HTTP_X_FORWARDED_FOR": field}
    request = RequestFactory().get("/", REMOTE_ADDR=peer, **extra)
    seen: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    ClientAddressMiddleware(view)(request)
    return seen[0]


@pytest.mark.parametrize(
    ("peer", "field", "address"),
    [
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.7, <script>", "10.0.0.1"),
        ("203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("", "203.0.113.7", "203.0.113.7"),
        # As a socket for both versions writes IPv4.
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::ffff:a00:1", "::ffff:203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7"),
        ("::ffff:203.0.113.9", "1.2.3.4", "203.0.113.9"),
        ("::ffff:203.0.113.9", None, "203.0.113.9"),
    ],
)
def test_only_trusted_proxies_are_believed(
    settings: Any, peer: str, field: str | None, address: str
) -> None:
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert seen_address(peer, field) == address


@pytest.mark.parametrize("proxies", ["::ffff:10.0.0.0/104", "::ffff:10.0.0.1"])
def test_a_proxy_may_be_named_so_too(settings: Any, proxies: str) -> None:
    settings.TRUSTED_PROXIES = [proxies]
    assert seen_address("10.0.0.1", "203.0.113.7") == "203.0.113.7"
    assert seen_address("::ffff:10.0.0.1", "203.0.113.7") == "203.0.113.7"
    assert seen_address("::ffff:11.0.0.1", "203.0.113.7") == "11.0.0.1"


@pytest.mark.parametrize("networks", [["10.0.0.0/8"], ["::ffff:10.0.0.0/104"]])
def test_who_may_see_numbers_by_address(settings: Any, networks: list[str]) -> None:
    settings.METRICS_NETWORKS = networks
    for peer, may in (
        ("10.0.0.1", True), ("::ffff:10.0.0.1", True), ("11.0.0.1", False),
        ("::ffff:11.0.0.1", False), ("", False), ("nonsense", False),
    ):  # fmt: skip
        request = RequestFactory().get(exposition.PATH, REMOTE_ADDR=peer)
        assert exposition._may(request) is may, peer


def test_nobody_is_believed_by_default() -> None:
    assert seen_address("::ffff:127.0.0.1", "203.0.113.7") == "127.0.0.1"
    assert seen_address("127.0.0.1", "203.0.113.7") == "127.0.0.1"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abcdef-123456", True), ("short", False), ("a b\nc" * 5, False), ("", False)],
)
def test_a_plausible_request_id_is_kept(given: str, kept: bool) -> None:
    request = RequestFactory().get("/", HTTP_X_REQUEST_ID=given)
    response = RequestIdMiddleware(lambda _: HttpResponse())(request)
    assert (response["X-Request-Id"] == given) is kept
    assert response["X-Request-Id"] == request.request_id  # type: ignore[attr-defined]
