"""Answers that a side can give before Django's handler: counted and named like all others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from django.conf import settings

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]
Fields = list[tuple[str, str]]

WAS_ASKED = "berth.was_asked"
"""In a request's environment: the shortcut has said already that it is not for it."""

AT_ONCE = "berth.at_once"
"""In a request's environment, after its answer: it was the shortcut's, and a quick one."""


class Answer(Protocol):
    """A response of a side."""

    @property
    def status(self) -> str:
        """The text of its status line."""

    @property
    def headers(self) -> Fields:
        """Its fields."""

    @property
    def body(self) -> bytes:
        """Its body; nothing for HEAD."""

    @property
    def route(self) -> str:
        """The route of the view that would have answered."""


class Question(Protocol):
    """What has to be found for a request."""

    @property
    def is_quick(self) -> bool:
        """Whether others may wait while it is found: for milliseconds, as long as all is well."""


class Shortcut(Protocol):
    """A side's module of such answers, as `settings.WSGI_SHORTCUT` names it."""

    def question(self, environ: Mapping[str, Any]) -> Question | None:
        """What has to be found for a request; None where the ordinary view has to look at it."""

    def answers(self, questions: Sequence[Any]) -> Sequence[Answer | None]:
        """The answer to each, None as above. All are found in one go."""


class Ready(NamedTuple):
    """A response that needs nothing more: its status line's text, its fields, its body."""

    status: str
    headers: Fields
    body: bytes


class WithShortcut:
    """A WSGI application that asks `shortcut` first, and `application` where that says None."""

    def __init__(self, application: Application, shortcut: Shortcut) -> None:
        # They need the settings to be there.
        from gitlab.server import middleware
        from gitlab.server.metrics.requests import note, receiving

        self.application, self.shortcut = application, shortcut
        self.note, self.receiving, self.request_id = note, receiving, middleware.request_id
        self.log_request, self.logged_from = middleware.log_request, middleware.logged_from()
        self.role = "-".join(sorted(settings.ROLES))
        # Pages of other origins get the middleware's answer; a cache must not keep this one for
        # them.
        self.more = (("Vary", "Origin"),) if settings.CORS_ORIGINS else ()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        began = time.perf_counter()
        question = None if WAS_ASKED in environ else self._question(environ)
        if question is None:
            return self.application(environ, start_response)
        with self.receiving(self.role, environ):
            answer = self.shortcut.answers([question])[0]
        if answer is None:
            return self.application(environ, start_response)
        ready = self._ready(environ, answer, time.perf_counter() - began)
        environ[AT_ONCE] = question.is_quick
        start_response(ready.status, ready.headers)
        return (ready.body,) if ready.body else ()

    def at_once(self, environs: Sequence[Environ]) -> list[Ready | None]:
        """The responses to some requests, found in one go; None for those that are not quick."""
        began = time.perf_counter()
        asked: list[tuple[int, Question]] = []
        for place, environ in enumerate(environs):
            question = self._question(environ)
            if question is not None and question.is_quick:
                asked.append((place, question))
        ready: list[Ready | None] = [None] * len(environs)
        if asked:
            found = self.shortcut.answers([question for _, question in asked])
            took = time.perf_counter() - began
            for (place, _), answer in zip(asked, found, strict=True):
                if answer is not None:
                    ready[place] = self._ready(environs[place], answer, took)
        return ready

    def _question(self, environ: Environ) -> Question | None:
        # First, since what is logged on the way has it; and the middlewares keep it.
        environ["HTTP_X_REQUEST_ID"] = self.request_id(environ)
        if self.more and "HTTP_ORIGIN" in environ:
            return None
        return self.shortcut.question(environ)

    def _ready(self, environ: Environ, answer: Answer, took: float) -> Ready:
        request_id = environ["HTTP_X_REQUEST_ID"]
        code, length = int(answer.status[:3]), len(answer.body)
        self.note((self.role, environ["REQUEST_METHOD"], answer.route, code, took, length))
        if code >= self.logged_from:
            self.log_request(environ, answer.route, code, length, took)
        fields = [*answer.headers, *self.more, ("X-Request-Id", request_id)]
        return Ready(answer.status, fields, answer.body)


def before(application: Application) -> Application:
    """`application`, with the shortcut of this process's settings before it where there is one."""
    if not settings.WSGI_SHORTCUT:
        return application
    return WithShortcut(application, cast(Shortcut, import_module(settings.WSGI_SHORTCUT)))
