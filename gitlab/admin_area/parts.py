"""How each part of the installation is, asked within seconds. One that can't be asked says so."""

from __future__ import annotations

import logging
import platform
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import django
from django.conf import settings
from django.db import connection

from gitlab import version
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.jobs import broker, heartbeat

log = logging.getLogger(__name__)

SILENT = 60.0
"""Seconds without a sign of the worker after which something is wrong: its schedule rings it every
few seconds.
"""

LATE = 120.0
"""Seconds for which a task waits while nothing is right any more."""


@dataclass(frozen=True)
class Part:
    """One part: how it is in a word (`tone`: good, warn, bad or info), and what is known of it."""

    name: str
    tone: str
    state: str
    about: str = ""


@dataclass(frozen=True)
class Health:
    """All parts, and whether the registry answers: nobody who has been silent is asked more."""

    parts: list[Part]
    registry_answers: bool

    @property
    def trouble(self) -> list[Part]:
        """The parts that need somebody."""
        return [part for part in self.parts if part.tone in ("bad", "warn")]


def health() -> Health:
    """What is asked takes two seconds at most, and a few milliseconds where all is well."""
    parts = [_web(), _database(), _asked("Broker", _broker), _asked("Worker", _worker)]
    if not settings.CONTAINER_REGISTRY_ENABLED:
        return Health([*parts, Part("Registry", "info", "Off", "By the settings.")], False)
    registry = _registry()
    return Health(parts + registry, registry[0].tone != "bad")


def _web() -> Part:
    node = f"Python {platform.python_version()}, Django {django.get_version()}"
    return Part("Web", "good", "Works", f"Berth {version.VERSION} on {node}")


def _database() -> Part:
    if connection.vendor == "sqlite":
        return Part("Database", "good", "Works", f"SQLite {sqlite3.sqlite_version}")
    # 160002 is 16.2: the server says it when a connection is made.
    number = getattr(connection, "pg_version", 0)
    return Part("Database", "good", "Works", f"PostgreSQL {number // 10000}.{number % 10000}")


def _broker() -> Part:
    waiting, age = broker.waiting()
    kind = "Redis" if settings.CONFIG.berth.broker_url is not None else "Files of this node"
    if not waiting:
        return Part("Broker", "good", "Works", f"{kind}; no task waits")
    tasks = f"{waiting:,} task{'s wait' if waiting > 1 else ' waits'}"
    about = f"{kind}; {tasks}, the first for {_for(age)}"
    if age > LATE:
        return Part("Broker", "warn", "Tasks wait long", about)
    return Part("Broker", "good", "Works", about)


def _worker() -> Part:
    silent = heartbeat.age()
    if silent is None:
        return Part("Worker", "info", "Not seen", "None has run on this node; see the queue's age")
    if silent > SILENT:
        about = f"Nothing was heard of it for {_for(silent)}: deletions and cleanups wait"
        return Part("Worker", "bad", "Silent", about)
    return Part("Worker", "good", "Works", f"Last seen {_for(silent)} ago")


def _registry() -> list[Part]:
    """The registry, its database and its store, as it says of itself."""
    try:
        faults = clients.readiness()
    except RegistryUnavailable as error:
        return [
            Part("Registry", "bad", "No answer", _sentence(str(error))),
            Part("Store", "info", "Not known", "Only the registry can look at it"),
        ]
    if not faults:
        return [
            Part("Registry", "good", "Answers", "It says nothing more of itself"),
            Part("Store", "info", "Not known", "This registry does not say"),
        ]
    own = faults.get("database", "")
    about = f"Its database: {own}" if own else "With its database"
    parts = [Part("Registry", "bad" if own else "good", "Fails" if own else "Works", about)]
    if "storage" not in faults:
        return [*parts, Part("Store", "info", "Not known", "The registry's check of it is off")]
    fault = faults["storage"]
    state, tone = ("Fails", "bad") if fault else ("Works", "good")
    return [*parts, Part("Store", tone, state, _sentence(fault) or "Written and read a moment ago")]


def _asked(name: str, ask: Callable[[], Part]) -> Part:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - whatever a driver may raise, the page goes on
        # The type alone: a driver's message may hold the address it was given.
        log.warning("the overview could not ask the %s: %s", name, type(error).__name__)
        return Part(name, "bad", "No answer", "It can't be asked; the log says more")


def _for(seconds: float) -> str:
    """``5 seconds``, ``12 minutes``, ``3 hours``."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    count = int(seconds)
    return f"{count} second{'' if count == 1 else 's'}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
