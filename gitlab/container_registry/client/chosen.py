"""The client that fits the registry that the settings name.

`BerthRegistry` for one with the API below ``/gitlab/v1/``, `DistributionRegistry` for one without.
"""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings

from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.container_registry.client.capabilities import Capabilities
from gitlab.container_registry.client.connection import Connection
from gitlab.container_registry.client.distribution import DistributionRegistry
from gitlab.container_registry.client.registry import Registry

_clients: dict[tuple[int, str, str], tuple[Registry, Registry]] = {}
_known: dict[tuple[int, str], Capabilities] = {}


def for_pages() -> Registry:
    """The client that a page uses: it gives up soon, somebody is waiting."""
    return _kept("pages", timeout=5, attempts=2)


def for_jobs() -> Registry:
    """The client that a worker uses: it is patient."""
    return _kept("jobs", timeout=60, attempts=3)


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
