"""Pages of other origins: those that are listed may read, others get what anybody gets."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pydantic import ValidationError

from gitlab.config.berth_tables import Berth
from gitlab.server.cors import CorsMiddleware

pytestmark = pytest.mark.engineless

UI = "https://ui.test"
PATHS = ["/v2/", "/v2", "/v2/acme/app/tags/list", "/jwt/auth", "/jwt/auth/"]


def ask(settings: Any, path: str, method: str = "GET", **more: str) -> HttpResponse:
    """What the middleware answers before a view that answers 401 to everything."""
    settings.CORS_ORIGINS = [UI, "http://localhost:3000"]

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("view", status=401, headers={"WWW-Authenticate": "Bearer"})

    return CorsMiddleware(view)(RequestFactory().generic(method, path, **more))


def granted(response: HttpResponse) -> dict[str, str]:
    return {k: v for k, v in response.headers.items() if k.startswith("Access-Control-")}


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_a_listed_origin_may_read(settings: Any, path: str) -> None:
    """Refusals too: it is the challenge that says where a token is to be had."""
    response = ask(settings, path, HTTP_ORIGIN=UI)
    assert (response.status_code, response.content) == (401, b"view")
    assert response.headers["Access-Control-Allow-Origin"] == UI
    exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"WWW-Authenticate", "Docker-Content-Digest", "Link"} <= set(exposed)
    assert response.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("path", PATHS)
def test_the_browsers_question_is_answered_before_any_view(settings: Any, path: str) -> None:
    asked = {"HTTP_ORIGIN": UI, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "DELETE"}
    response = ask(settings, path, "OPTIONS", **asked)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["Access-Control-Allow-Methods"] == "GET, HEAD, DELETE"
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert response.headers["Access-Control-Allow-Origin"] == UI
    plain = ask(settings, path, "OPTIONS", HTTP_ORIGIN=UI)
    assert plain.status_code == 401


@pytest.mark.parametrize(
    "origin",
    ["", "null", "*", "https://evil.test", "http://ui.test", "https://ui.test:8443", f"{UI}.evil.test",
     "https://UI.test", f"{UI}/"],
)  # fmt: skip
def test_other_origins_get_nothing(settings: Any, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        more = {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}
        response = ask(settings, "/v2/", method, **more)
        assert (response.status_code, granted(response)) == (401, {})
        # A cache must not keep it for a page that may.
        assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("path", ["/", "/users/sign_in", "/gitlab/v1/", "/v2x", "/-/metrics"])
def test_nothing_else_is_opened(settings: Any, path: str) -> None:
    response = ask(settings, path, HTTP_ORIGIN=UI)
    assert granted(response) == {}
    assert "Vary" not in response.headers


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "ui.test",
        "https://ui.test/",
        "https://ui.test/x",
        "https://UI.test",
        "ftp://ui.test",
    ],
)
def test_what_is_no_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(ValidationError):
        Berth(cors_origins=[origin])
