"""``/-/metrics``: who may ask, and what is added up for them."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gitlab.server import metrics
from tokens import addresses

PATH = "/-/metrics"
_TYPE = "text/plain; version=0.0.4; charset=utf-8"
log = logging.getLogger("gitlab.server.metrics")

Measure = tuple[str, str, dict[str, str], float]
"""Name, what it is, labels, value."""


def answer(request: HttpRequest) -> HttpResponse:
    """The numbers, or 404: whoever may not ask learns nothing."""
    if request.method not in ("GET", "HEAD") or not _may(request):
        return HttpResponse(status=404)
    text = generate_latest(_registry()) + _workers()
    response = HttpResponse(text, content_type=_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def _may(request: HttpRequest) -> bool:
    token: str | None = settings.METRICS_TOKEN
    given = request.META.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
    if token and hmac.compare_digest(given.encode(), token.encode()):
        return True
    # What a proxy passes on has the proxy's address, which is often loopback.
    if "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META:
        return False
    networks = tuple(addresses.network(one) for one in settings.METRICS_NETWORKS)
    return addresses.is_in(request.META.get("REMOTE_ADDR", ""), networks)


def _workers() -> bytes:
    """What the worker of this node has written down, where it has no address of its own."""
    if "web" not in settings.ROLES or settings.WORKER_METRICS_ADDR:
        return b""
    try:
        return metrics.file_of_worker(settings.HOME).read_bytes()
    except FileNotFoundError:
        return b""


def _registry() -> CollectorRegistry:
    if not metrics.shared:
        found = REGISTRY
        return _with_sources(found)
    found = CollectorRegistry()
    multiprocess.MultiProcessCollector(found, path=str(metrics.shared[0]))
    return _with_sources(found)


def _with_sources(found: CollectorRegistry) -> CollectorRegistry:
    whole = CollectorRegistry()
    whole.register(_Joined(found))
    return whole


class _Joined(Collector):
    """What was counted, and what the databases say at this moment."""

    def __init__(self, counted: CollectorRegistry) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        """Every family once."""
        yield from self._counted.collect()
        families: dict[str, GaugeMetricFamily] = {}
        for source in settings.METRICS_SOURCES:
            for name, text, labels, value in _measured(source):
                if name not in families:
                    families[name] = GaugeMetricFamily(name, text, labels=list(labels))
                families[name].add_metric(list(labels.values()), value)
        yield from families.values()


def _measured(source: str) -> Iterable[Measure]:
    measure: Callable[[], Iterable[Measure]] = import_string(source)
    try:
        return list(measure())
    except Exception as error:  # noqa: BLE001 - a database that is away must not hide the rest
        log.error("%s: %s", source, type(error).__name__)
        return []
