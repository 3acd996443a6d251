"""Answers that a side can give before Django's handler: counted and named like all others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
Answer = tuple[str, list[tuple[str, str]], bytes, str]
"""A status, fields, a body, and the route of the view that would have answered."""


class WithShortcut:
    """A WSGI application that asks `shortcut` first, and `application` where that says None."""

    def __init__(
        self, application: Application, shortcut: Callable[[dict[str, Any]], Answer | None]
    ) -> None:
        # They need the settings to be there.
        from gitlab.server import middleware
        from gitlab.server.metrics.requests import note

        self.application, self.shortcut = application, shortcut
        self.note, self.request_id = note, middleware.request_id
        self.log_request, self.logged_from = middleware.log_request, middleware.logged_from()
        self.role = "-".join(sorted(settings.ROLES))
        # Pages of other origins get the middleware's answer; a cache must not keep this one for
        # them.
        self.more = (("Vary", "Origin"),) if settings.CORS_ORIGINS else ()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        began = time.perf_counter()
        # First, since what is logged on the way has it; and the middlewares keep it.
        request_id = self.request_id(environ)
        found = None if self.more and "HTTP_ORIGIN" in environ else self.shortcut(environ)
        if found is None:
            environ["HTTP_X_REQUEST_ID"] = request_id
            return self.application(environ, start_response)
        status, headers, body, route = found
        start_response(status, [*headers, *self.more, ("X-Request-Id", request_id)])
        took = time.perf_counter() - began
        code, length = int(status[:3]), len(body)
        self.note((self.role, environ["REQUEST_METHOD"], route, code, took, length))
        if code >= self.logged_from:
            self.log_request(environ, route, code, length, took)
        return (body,) if body else ()


def before(application: Application) -> Application:
    """`application`, with the shortcut of this process's settings before it where there is one."""
    if not settings.WSGI_SHORTCUT:
        return application
    return WithShortcut(application, import_string(settings.WSGI_SHORTCUT))
