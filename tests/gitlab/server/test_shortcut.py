"""Answers before Django's handler: with an id, counted, and nothing in the way of all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from gitlab.server.shortcut import AT_ONCE, WAS_ASKED, WithShortcut, before


def ordinary(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [])
    return [b"ordinary"]


class Found(NamedTuple):
    """What a side has found."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    route: str


class Asked(NamedTuple):
    """A question."""

    path: str

    @property
    def is_quick(self) -> bool:
        """All but one."""
        return self.path != "/slow"


class Side:
    """A side's module of answers, which has the same one for all paths but ``/other``."""

    def __init__(self, answer: Found | None) -> None:
        self.answer = answer
        self.asked: list[int] = []

    def question(self, environ: Mapping[str, Any]) -> Asked | None:
        """What there is to find."""
        path = environ.get("PATH_INFO", "/")
        return None if path == "/other" else Asked(path)

    def answers(self, questions: Sequence[Any]) -> list[Found | None]:
        """The same for each."""
        self.asked.append(len(questions))
        return [self.answer] * len(questions)


OK = Found("200 OK", [("Content-Length", "2")], b"ok", "a/route")


def call(answer: Found | None, **environ: Any) -> tuple[str, dict[str, str], bytes]:
    started: list[Any] = []
    application = WithShortcut(ordinary, Side(answer))
    body = b"".join(
        application({"REQUEST_METHOD": "GET", **environ}, lambda *given: started.extend(given))
    )
    return started[0], dict(started[1]), body


def test_it_answers_with_an_id() -> None:
    status, headers, body = call(OK)
    assert (status, headers["Content-Length"], body) == ("200 OK", "2", b"ok")
    assert len(headers["X-Request-Id"]) == 32
    _, headers, _ = call(OK, HTTP_X_REQUEST_ID="proxy-12345")
    assert headers["X-Request-Id"] == "proxy-12345"
    _, headers, _ = call(OK, HTTP_X_REQUEST_ID="a b\r\n")
    assert len(headers["X-Request-Id"]) == 32


def test_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[Any] = []
    monkeypatch.setattr("gitlab.server.metrics.requests.note", noted.append)
    call(OK._replace(body=b"four"))
    role, method, route, status, seconds, length = noted[0]
    assert (method, route, status, length) == ("GET", "a/route", 200, 4)
    assert role
    assert seconds >= 0


def test_without_an_answer_the_application_is_asked() -> None:
    assert call(None) == ("404 Not Found", {}, b"ordinary")


def test_pages_of_other_origins_are_left_to_the_middleware(settings: Any) -> None:
    origin = {"HTTP_ORIGIN": "https://ui.test"}
    assert call(OK, **origin)[2] == b"ok"
    assert "Vary" not in call(OK)[1]
    settings.CORS_ORIGINS = ["https://ui.test"]
    assert call(OK, **origin)[2] == b"ordinary"
    _, headers, body = call(OK)
    assert (headers["Vary"], body) == ("Origin", b"ok")


def test_only_a_registry_alone_has_one(settings: Any) -> None:
    settings.WSGI_SHORTCUT = ""
    assert before(ordinary) is ordinary
    settings.WSGI_SHORTCUT = "registry.v2.shortcut"
    assert isinstance(before(ordinary), WithShortcut)


def test_several_requests_are_asked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[Any] = []
    monkeypatch.setattr("gitlab.server.metrics.requests.note", noted.append)
    side = Side(OK)
    environs = [
        {"REQUEST_METHOD": "GET", "PATH_INFO": path, "HTTP_X_REQUEST_ID": f"id-{path[1:]}-12345"}
        for path in ("/one", "/other", "/slow", "/two")
    ]
    first, second, slow, third = WithShortcut(ordinary, side).at_once(environs)
    assert side.asked == [2]
    assert second is slow is None
    assert first
    assert third
    assert ("X-Request-Id", "id-one-12345") in first.headers
    assert ("X-Request-Id", "id-two-12345") in third.headers
    assert len(noted) == 2


def test_where_there_is_no_question_nothing_is_asked() -> None:
    side = Side(OK)
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/other"}
    assert WithShortcut(ordinary, side).at_once([environ]) == [None]
    assert side.asked == []


def test_who_was_asked_already_is_not_asked_again() -> None:
    assert call(OK, **{WAS_ASKED: True})[2] == b"ordinary"


@pytest.mark.parametrize(
    ("path", "found", "is_quick"),
    [("/", OK, True), ("/slow", OK, False), ("/", None, None), ("/other", OK, None)],
)
def test_it_says_that_the_answer_was_its_own(
    path: str, found: Found | None, is_quick: bool | None
) -> None:
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path}
    WithShortcut(ordinary, Side(found))(environ, lambda *_: None)
    assert environ.get(AT_ONCE) is is_quick
