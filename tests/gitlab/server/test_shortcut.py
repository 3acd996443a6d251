"""Answers before Django's handler: with an id, counted, and nothing in the way of all others."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.server.shortcut import Answer, WithShortcut, before


def ordinary(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [])
    return [b"ordinary"]


def call(answer: Answer | None, **environ: str) -> tuple[str, dict[str, str], bytes]:
    started: list[Any] = []
    application = WithShortcut(ordinary, lambda environ: answer)
    body = b"".join(
        application({"REQUEST_METHOD": "GET", **environ}, lambda *given: started.extend(given))
    )
    return started[0], dict(started[1]), body


def test_it_answers_with_an_id() -> None:
    answer = ("200 OK", [("Content-Length", "2")], b"ok", "a/route")
    status, headers, body = call(answer)
    assert (status, headers["Content-Length"], body) == ("200 OK", "2", b"ok")
    assert len(headers["X-Request-Id"]) == 32
    _, headers, _ = call(answer, HTTP_X_REQUEST_ID="proxy-12345")
    assert headers["X-Request-Id"] == "proxy-12345"
    _, headers, _ = call(answer, HTTP_X_REQUEST_ID="a b\r\n")
    assert len(headers["X-Request-Id"]) == 32


def test_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[Any] = []
    monkeypatch.setattr("gitlab.server.metrics.requests.note", noted.append)
    call(("200 OK", [], b"four", "a/route"))
    role, method, route, status, seconds, length = noted[0]
    assert (method, route, status, length) == ("GET", "a/route", 200, 4)
    assert role
    assert seconds >= 0


def test_without_an_answer_the_application_is_asked() -> None:
    assert call(None) == ("404 Not Found", {}, b"ordinary")


def test_pages_of_other_origins_are_left_to_the_middleware(settings: Any) -> None:
    answer = ("200 OK", [], b"ok", "a/route")
    origin = {"HTTP_ORIGIN": "https://ui.test"}
    assert call(answer, **origin)[2] == b"ok"
    assert "Vary" not in call(answer)[1]
    settings.CORS_ORIGINS = ["https://ui.test"]
    assert call(answer, **origin)[2] == b"ordinary"
    _, headers, body = call(answer)
    assert (headers["Vary"], body) == ("Origin", b"ok")


def test_only_a_registry_alone_has_one(settings: Any) -> None:
    settings.WSGI_SHORTCUT = ""
    assert before(ordinary) is ordinary
    settings.WSGI_SHORTCUT = "registry.v2.shortcut.answer"
    assert isinstance(before(ordinary), WithShortcut)
