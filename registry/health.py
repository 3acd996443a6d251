"""Whether this process serves: ``/-/liveness``, ``/-/readiness``, ``/-/health``, ``/debug/health``.

Readiness says 503 within ten seconds of a fault, and 200 by itself once the fault is over. A thread
looks every few seconds while anybody asks, and requests read what it found last: a disk or a store
that hangs never holds a request, and its silence counts as a fault.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections
from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.services import database
from registry.storage import chosen as storage
from registry.storage.base import StorageFull, StorageUnavailable

log = logging.getLogger("registry.health")

INTERVAL = 3.0
"""Seconds between two looks."""

STALE = 9.0
"""Seconds after which a look that has not come back counts as a fault. A store's own check gives up
within 5."""

IDLE = 60.0
"""Seconds after the last request that nobody asks any more: then nothing is written either."""

_FAULTS = (StorageFull, StorageUnavailable, DatabaseError, InterfaceError, OSError)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found, empty where all is well, and when it ended."""

    fault: str
    at: float


class Probe:
    """Looks at one thing every few seconds, in a thread that lives as long as somebody asks."""

    def __init__(self, name: str, look: Callable[[], None]) -> None:
        self.name, self._look = name, look
        self._lock = threading.Condition()
        self._found: Finding | None = None
        self._asked_at = 0.0
        self._thread: threading.Thread | None = None

    def fault(self) -> str:
        """What is wrong, empty where nothing is. The first question waits for the first look."""
        now = time.monotonic()
        with self._lock:
            self._asked_at = now
            if self._thread is None or not self._thread.is_alive():
                self._found = None
                self._thread = threading.Thread(
                    target=self._run, name=f"health-{self.name}", daemon=True
                )
                self._thread.start()
            self._lock.wait_for(lambda: self._found is not None, timeout=STALE)
            found = self._found
        if found is None or time.monotonic() - found.at > STALE:
            return "it does not answer"
        return found.fault

    def _run(self) -> None:
        while True:
            fault = self._once()
            with self._lock:
                before = self._found.fault if self._found else ""
                self._found = Finding(fault, time.monotonic())
                self._lock.notify_all()
                if time.monotonic() - self._asked_at > IDLE:
                    self._thread = None
                    return
            if fault != before:
                log.log(
                    logging.ERROR if fault else logging.INFO,
                    "health of the %s: %s", self.name, fault or "well again",
                )  # fmt: skip
            time.sleep(INTERVAL)

    def _once(self) -> str:
        try:
            self._look()
        except StorageFull:
            return "it is full"
        except _FAULTS as error:
            log.debug("health of the %s: %s", self.name, error)
            return "it can not be used"
        return ""


def _ask_database() -> None:
    connection = connections[database.ALIAS]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        # The next look has to find out whether a new connection can be had.
        connection.close()


@cache
def probes() -> tuple[Probe, ...]:
    """What has to work, of this process."""
    database_probe = Probe("database", _ask_database)
    if not settings.REGISTRY_HEALTH_STORAGEDRIVER_ENABLED:
        return (database_probe,)
    return (database_probe, Probe("storage", lambda: storage.current().check()))


def _faults() -> dict[str, str]:
    return {probe.name: fault for probe in probes() if (fault := probe.fault())}


def _uncached(response: HttpResponse) -> HttpResponse:
    response.headers["Cache-Control"] = "no-store"
    return response


def liveness(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all. Touches nothing."""
    return _uncached(JsonResponse({"status": "ok"}))


def health(request: HttpRequest) -> HttpResponse:
    """The same as text, as GitLab has it."""
    return _uncached(HttpResponse("Registry OK\n", content_type="text/plain"))


def readiness(request: HttpRequest) -> HttpResponse:
    """200 where requests can be served, else 503; what it looked at, in GitLab's form."""
    faults = _faults()
    body: dict[str, object] = {"status": "failed" if faults else "ok"}
    for probe in probes():
        entry = {"status": "failed" if probe.name in faults else "ok"}
        if probe.name in faults:
            entry["message"] = faults[probe.name]
        body[f"{probe.name}_check"] = [entry]
    return _uncached(JsonResponse(body, status=503 if faults else 200))


def debug_health(request: HttpRequest) -> HttpResponse:
    """The same at the address and in the form of docker's registry: an object of what is wrong."""
    faults = _faults()
    return _uncached(JsonResponse(faults, status=503 if faults else 200))
