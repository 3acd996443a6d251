"""Which API the registry has: asked once, remembered, asked again when there is reason to.

``GET /gitlab/v1/berth/`` answers 200 or 401 where the registry has our API. GitLab's own registry,
whose ``/gitlab/v1/`` is a part of it, answers 404 there, and is spoken to by ``/v2/``. One that has
it is believed until it answers otherwise; one that has not may be upgraded, so it is asked again
after a minute; and one that has never answered is taken for ours, whose calls then say what is the
matter.
"""

from __future__ import annotations

import logging
import threading
import time

from gitlab.container_registry.client.connection import (
    Connection,
    RegistryRefused,
    RegistryUnavailable,
)

log = logging.getLogger(__name__)

ASKED_AGAIN = 60.0
"""Seconds after which a registry without the API is asked whether it has it by now."""

AFTER_SILENCE = 5.0
"""Seconds for which one that did not answer is left in peace."""


class Capabilities:
    """What one registry can do. Safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._has_own_api: bool | None = None
        self._until = 0.0

    @property
    def has_own_api(self) -> bool:
        """Whether it has the API below ``/gitlab/v1/``. Never raises."""
        if time.monotonic() < self._until:
            return self._has_own_api is not False
        with self._lock:
            if time.monotonic() >= self._until:
                self._ask()
            return self._has_own_api is not False

    def forget(self) -> None:
        """Ask again at the next occasion: an answer did not fit what is remembered."""
        self._until = 0.0

    def _ask(self) -> None:
        before = self._has_own_api
        try:
            answer = self._connection.call("GET", "/gitlab/v1/berth/", None, accept=(200, 401, 404))
        except RegistryUnavailable:
            self._until = time.monotonic() + AFTER_SILENCE
            return
        except RegistryRefused as error:
            log.warning("the registry refuses to say which API it has: %s", error)
            self._until = time.monotonic() + AFTER_SILENCE
            return
        self._has_own_api = answer.status_code != 404
        self._until = float("inf") if self._has_own_api else time.monotonic() + ASKED_AGAIN
        if before is not self._has_own_api:
            what = "has the API for GitLab" if self._has_own_api else "is one without Berth's API"
            log.info("the registry %s", what)
