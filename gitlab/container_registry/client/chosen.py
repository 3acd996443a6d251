"""The client that fits the registry that the settings name.

`BerthRegistry` for one with the API below ``/gitlab/v1/``, `DistributionRegistry` for one without.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from django.conf import settings

from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.container_registry.client.capabilities import Capabilities
from gitlab.container_registry.client.connection import Connection, RegistryRefused, as_json
from gitlab.container_registry.client.distribution import DistributionRegistry
from gitlab.container_registry.client.registry import Registry

_clients: dict[tuple[int, str, str], tuple[Registry, Registry]] = {}
_known: dict[tuple[int, str], Capabilities] = {}


def for_pages() -> Registry:
    """The client that a page uses: it gives up soon, somebody is waiting."""
    return _kept("pages", timeout=5, attempts=2)


def for_overview() -> Registry:
    """The client of a page that shows much else besides: it asks once, and goes on without."""
    return _kept("overview", timeout=2, attempts=1)


def for_jobs() -> Registry:
    """The client that a worker uses: it is patient."""
    return _kept("jobs", timeout=60, attempts=3)


def readiness() -> dict[str, str]:
    """What is wrong with each thing that the registry says it needs, "" where nothing is.

    Empty where it answers and says nothing of it, as a registry that is not ours does. Raises
    `RegistryUnavailable`.
    """
    url: str = settings.CONTAINER_REGISTRY_API_URL
    bundle = settings.CONTAINER_REGISTRY_CA_BUNDLE
    line = _line(os.getpid(), url, str(bundle) if bundle else None)
    try:
        answer = line.call("GET", "/-/readiness", None, accept=(200, 503))
    except RegistryRefused:
        return {}
    said = as_json(answer)
    checks = said.items() if isinstance(said, dict) else ()
    return {
        str(name).removesuffix("_check"): _fault(entries)
        for name, entries in checks
        if isinstance(entries, list)
    }


def _fault(entries: list[Any]) -> str:
    failed = [one for one in entries if isinstance(one, dict) and one.get("status") != "ok"]
    return str(failed[0].get("message") or "it failed")[:200] if failed else ""


@lru_cache(maxsize=4)
def _line(pid: int, url: str, ca_bundle: str | None) -> Connection:
    """For a look at a registry: for each process its own, connections do not survive a fork."""
    return Connection(url, timeout=2, attempts=1, ca_bundle=ca_bundle)


def _kept(purpose: str, *, timeout: float, attempts: int) -> Registry:
    """One pool for each process: connections do not survive a fork."""
    url: str = settings.CONTAINER_REGISTRY_API_URL
    bundle = settings.CONTAINER_REGISTRY_CA_BUNDLE
    ca_bundle = str(bundle) if bundle else None
    known = _known.get((os.getpid(), url))
    if known is None:
        known = Capabilities(Connection(url, timeout=5, attempts=1, ca_bundle=ca_bundle))
        _known[os.getpid(), url] = known
    key = (os.getpid(), url, purpose)
    if key not in _clients:
        options: dict[str, Any] = {
            "timeout": timeout,
            "attempts": attempts,
            "ca_bundle": ca_bundle,
        }
        _clients[key] = (
            BerthRegistry(url, missing=known.forget, **options),
            DistributionRegistry(url, **options),
        )
    ours, theirs = _clients[key]
    return ours if known.has_own_api else theirs
