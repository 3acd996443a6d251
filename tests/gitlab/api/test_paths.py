"""``:id`` as a number or as an encoded path, from what a server keeps of the address."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from gitlab.api.paths import EncodedPathMiddleware, IdOrPathConverter, url_path

pytestmark = pytest.mark.engineless


def seen(rf: RequestFactory, raw: str, **environment: str) -> HttpRequest:
    request = rf.get("/")
    request.path_info = request.path = unquote(raw.partition("?")[0])
    request.META |= environment or {"RAW_URI": raw}
    EncodedPathMiddleware(lambda _: HttpResponse())(request)
    return request


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/api/v4/projects/acme%2Fapp", "/api/v4/projects/acme%2Fapp"),
        ("/api/v4/projects/acme%2fapp?a=b%2Fc", "/api/v4/projects/acme%2Fapp"),
        ("/api/v4/projects/%61cme%2Fapp/members", "/api/v4/projects/acme%2Fapp/members"),
        ("/api/v4/projects/acme/app", "/api/v4/projects/acme/app"),
        ("/api/v4/projects/a%252Fb", "/api/v4/projects/a%252Fb"),
        ("/api/v4/projects/a%25b", "/api/v4/projects/a%25b"),
        ("/api/v4/projects/1", "/api/v4/projects/1"),
    ],
)
def test_what_is_left_encoded(rf: RequestFactory, raw: str, path: str) -> None:
    request = seen(rf, raw)
    assert request.path_info == request.path == path
    absolute = seen(rf, raw, RAW_URI=f"http://gitlab.example.com{raw}")
    assert absolute.path_info == path
    assert url_path(path) == path


def test_what_other_servers_keep(rf: RequestFactory) -> None:
    raw = "/api/v4/projects/acme%2Fapp"
    assert seen(rf, raw, REQUEST_URI=raw).path_info == raw
    # Nothing kept, or of another address: what was decoded is taken as it is.
    assert seen(rf, raw, NOTHING="").path_info == "/api/v4/projects/acme/app"
    assert seen(rf, raw, RAW_URI="/api/v4/user").path_info == "/api/v4/projects/acme/app"


def test_other_addresses_are_left_alone(rf: RequestFactory) -> None:
    assert seen(rf, "/acme%2Fapp").path_info == "/acme/app"


@pytest.mark.parametrize(
    ("segment", "value"),
    [
        ("7", 7),
        ("acme%2Fapp", "acme/app"),
        ("ACME%2FApp", "acme/app"),
        ("acme", "acme"),
        ("٣", "٣"),
        ("007", 7),
    ],
)
def test_an_id_or_a_path(segment: str, value: Any) -> None:
    assert IdOrPathConverter().to_python(segment) == value


@pytest.mark.parametrize("segment", ["%00", "a%0Ab", "1" * 19, "%7F"])
def test_what_is_neither(segment: str) -> None:
    with pytest.raises(ValueError, match="no such"):
        IdOrPathConverter().to_python(segment)
