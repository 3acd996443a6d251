"""Readiness follows the store and the database, there and back; liveness asks nobody."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from registry import health
from registry.health import Probe
from registry.storage.base import StorageFull, StorageUnavailable
from tests.e2e.installation import wait_until
from tests.registry.tmpfs import mounted

pytestmark = pytest.mark.django_db(databases=["registry"], transaction=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Looks follow each other at once, and threads end with the test."""
    monkeypatch.setattr(health, "INTERVAL", 0.05)
    monkeypatch.setattr(health, "IDLE", 0.0)
    health.probes.cache_clear()
    yield
    health.probes.cache_clear()
    wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("health-")])


@pytest.fixture
def client() -> Client:
    """Somebody without a token."""
    return Client(HTTP_HOST="10.0.0.1")


def status(client: Client, path: str = "/-/readiness") -> int:
    """The status of an address."""
    code: int = client.get(path).status_code
    return code


def test_all_is_well(client: Client) -> None:
    response = client.get("/-/readiness")
    assert response.json() == {
        "status": "ok",
        "database_check": [{"status": "ok"}],
        "storage_check": [{"status": "ok"}],
    }
    assert response["Cache-Control"] == "no-store"
    assert client.get("/debug/health").json() == {}
    assert client.get("/-/health").content == b"Registry OK\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [(StorageFull("x"), "it is full"), (StorageUnavailable("x"), "it can not be used")],
)
def test_a_store_in_trouble(
    client: Client, store: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def check() -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(store, "check", check)
        response = client.get("/-/readiness")
        assert response.status_code == 503
        assert response.json()["storage_check"] == [{"status": "failed", "message": said}]
        assert response.json()["database_check"] == [{"status": "ok"}]
        broken = client.get("/debug/health")
        assert (broken.status_code, broken.json()) == (503, {"storage": said})
        assert status(client, "/-/liveness") == 200
        assert status(client, "/-/health") == 200
    wait_until(lambda: status(client) == 200)


def test_the_storage_can_be_left_out(client: Client, settings: Any) -> None:
    settings.REGISTRY_HEALTH_STORAGEDRIVER_ENABLED = False
    assert "storage_check" not in client.get("/-/readiness").json()


def test_liveness_starts_nothing(client: Client) -> None:
    assert status(client, "/-/liveness") == 200
    assert not [t for t in threading.enumerate() if t.name.startswith("health-")]


def test_a_look_that_hangs_is_a_fault_and_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "STALE", 0.3)
    hang, go_on = threading.Event(), threading.Event()

    def look() -> None:
        if hang.is_set():
            go_on.wait(120)

    monkeypatch.setattr(health, "IDLE", 60.0)
    probe = Probe("thing", look)
    assert probe.fault() == ""
    hang.set()
    wait_until(lambda: probe.fault() == "it does not answer", timeout=60)
    started = time.monotonic()
    assert probe.fault() == "it does not answer"
    assert time.monotonic() - started < 60
    hang.clear()
    go_on.set()
    wait_until(lambda: probe.fault() == "", timeout=60)
    monkeypatch.setattr(health, "IDLE", 0.0)


def test_it_looks_only_while_somebody_asks() -> None:
    looks: list[float] = []
    probe = Probe("thing", lambda: looks.append(time.monotonic()))
    assert probe.fault() == ""
    wait_until(lambda: probe._thread is None)
    seen = len(looks)
    time.sleep(0.2)
    assert len(looks) == seen
    assert probe.fault() == ""
    assert len(looks) > seen


def test_a_fault_is_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health, "IDLE", 60.0)
    caplog.set_level(logging.INFO, "registry.health")
    broken = threading.Event()
    broken.set()

    def look() -> None:
        if broken.is_set():
            raise StorageUnavailable

    probe = Probe("storage", look)
    assert probe.fault()
    time.sleep(0.3)
    broken.clear()
    wait_until(lambda: probe.fault() == "")
    wait_until(lambda: len(caplog.messages) == 2)
    assert caplog.messages == [
        "health of the storage: it can not be used",
        "health of the storage: well again",
    ]
    monkeypatch.setattr(health, "IDLE", 0.0)


def test_a_disk_that_can_only_be_read(client: Client, settings: Any, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=4m") as root:
        settings.REGISTRY_STORAGE = {"driver": "filesystem", "root": root}
        assert status(client) == 200
        subprocess.run(["mount", "-o", "remount,ro", root], check=True)
        wait_until(lambda: status(client) == 503, timeout=60)
        subprocess.run(["mount", "-o", "remount,rw", root], check=True)
        wait_until(lambda: status(client) == 200, timeout=60)
        assert not list((root / "health").iterdir())
        wait_until(lambda: not [t for t in threading.enumerate() if "health-s" in t.name])
