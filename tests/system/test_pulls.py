"""Pulls are written down while a node runs and when it ends; a crash loses the last seconds."""

from __future__ import annotations

import os
import signal
from typing import Any

import httpx
import pytest

from tests.e2e import images
from tests.e2e.foreign import Line
from tests.e2e.installation import Installation, wait_until

pytestmark = pytest.mark.system

NAME = "root/app"


@pytest.fixture
def berth(make_installation: Any) -> Installation:
    made: Installation = make_installation()
    line = Line(made, NAME, "root")
    line.push(images.tiny("pulled"), "application/vnd.oci.image.manifest.v1+json", "v1")
    return made


def pull(berth: Installation, count: int) -> None:
    scope = f"repository:{NAME}:pull"
    for _ in range(count):
        assert berth.request("GET", f"/v2/{NAME}/manifests/v1", scope).status_code == 200


def counted(berth: Installation) -> int:
    path, scope = f"/gitlab/v1/berth/pulls/{NAME}/?tag=v1", f"repository:{NAME}:pull"
    answer = berth.request("GET", path, scope).raise_for_status()
    return sum(day["pulls"] for day in answer.json()["days"])


def test_an_end_loses_nothing(berth: Installation) -> None:
    pull(berth, 7)
    assert berth.stop() == 0
    berth.start()
    assert counted(berth) == 7


def test_a_crash_loses_what_came_since_it_was_written_down_last(berth: Installation) -> None:
    """And nothing is counted twice."""
    pull(berth, 3)
    wait_until(lambda: counted(berth) == 3)
    pull(berth, 2)
    for pid in berth.processes():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: berth.ended)
    berth.start()
    assert 3 <= counted(berth) <= 5
    before = counted(berth)
    pull(berth, 1)
    wait_until(lambda: counted(berth) == before + 1)


def test_they_are_numbers_for_prometheus(berth: Installation) -> None:
    """By kind of credential, and by nothing that grows with what is stored."""
    pull(berth, 2)
    line = 'berth_pulls_total{credential="password"} 2.0'

    def told() -> str:
        return httpx.get(f"{berth.registry_url}/-/metrics").text

    wait_until(lambda: line in told())
    assert NAME not in told()
