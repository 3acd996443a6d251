"""Whether this process can serve pages and tokens, at GitLab's addresses.

A middleware before all others and no views: whoever asks is a load balancer or kubelet, by an
address that no setting names, and is to cost no session and no query that it did not ask for.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path

from django.conf import settings
from django.core.cache import cache as shared_cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse

log = logging.getLogger("gitlab.server.health")


def _ask_database() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except BaseException:
        connection.close()
        raise


def _ask_cache() -> None:
    shared_cache.get("health")


@cache
def _redis(url: str) -> object:
    import redis

    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)


def _ask_broker() -> None:
    configured = settings.CONFIG.berth.broker_url
    if configured is not None:
        _redis(configured.get_secret_value()).ping()  # type: ignore[attr-defined]
        return
    # The embedded broker is a folder; a job is a file in it.
    folder = Path(settings.HOME) / "broker"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f".health-{uuid.uuid4().hex}"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    finally:
        path.unlink(missing_ok=True)


CHECKS: dict[str, Callable[[], None]] = {
    "db": _ask_database,
    "cache": _ask_cache,
    "queue": _ask_broker,
}


def liveness() -> HttpResponse:
    """200 as long as the process answers at all. Touches nothing."""
    return JsonResponse({"status": "ok"})


def health() -> HttpResponse:
    """The same as text."""
    return HttpResponse("GitLab OK\n", content_type="text/plain")


def readiness() -> HttpResponse:
    """200 where requests can be served, else 503, with what was looked at."""
    body: dict[str, object] = {"status": "ok"}
    status = 200
    for name, ask in CHECKS.items():
        entry = {"status": "ok"}
        try:
            ask()
        except Exception as error:  # noqa: BLE001 - whatever a driver may raise, it is not ready
            # The type alone: a driver's message may hold the address it was given.
            log.error("health of the %s: %s", name, type(error).__name__)
            entry = {"status": "failed", "message": "it can not be used"}
            body["status"], status = "failed", 503
        body[f"{name}_check"] = [entry]
    return JsonResponse(body, status=status)


_ANSWERS = {"/-/liveness": liveness, "/-/health": health, "/-/readiness": readiness}


class HealthMiddleware:
    """Answers the three addresses; everything else passes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = _ANSWERS.get(request.path_info)
        if answer is None or request.method not in ("GET", "HEAD"):
            return self.get_response(request)
        response = answer()
        response.headers["Cache-Control"] = "no-store"
        return response
