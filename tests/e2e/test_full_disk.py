"""A disk that fills up under a running registry: docker is told, and goes on when there is
space.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import images
from tests.e2e.clients import Docker
from tests.e2e.installation import Installation, wait_until
from tests.registry.tmpfs import mounted

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    with mounted(tmp_path / "disk", "size=16m") as folder:
        yield folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Path]]:
    """An installation on such a disk, for tests that leave both as they were; and the disk."""
    folder = tmp_path_factory.mktemp("full-disk")
    with mounted(folder / "disk", "size=16m") as disk:
        berth = Installation(
            folder / "node", BERTH__PROCESSES="1", REGISTRY__STORAGE__ROOT=str(disk)
        )
        try:
            berth.start()
            yield berth, disk
        finally:
            berth.discard()


def statuses(berth: Installation) -> set[int]:
    """What its processes say of their readiness."""
    url = f"{berth.registry_url}/-/readiness"
    return {httpx.get(url, timeout=20).status_code for _ in range(8)}


def test_docker_finishes_when_there_is_space_again(
    docker: Docker, disk: Path, make_installation: Any
) -> None:
    """docker tries a layer five times: the space that comes back meanwhile is enough."""
    berth: Installation = make_installation(REGISTRY__STORAGE__ROOT=str(disk))
    docker.login(berth.registry, "root", berth.root_password)
    name = f"{berth.registry}/root/app:1"
    docker.load(images.large(30), name)
    with ThreadPoolExecutor(1) as pool:
        push = pool.submit(docker, "push", "--quiet", name)
        wait_until(lambda: "StorageFull" in berth.log() or push.done())
        assert not push.done()
        left = [path.stat().st_size for path in disk.rglob("*") if path.is_file()]
        assert all(size < 100_000 for size in left), left
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        push.result(timeout=120)
    assert "Traceback" not in berth.log()


def test_a_large_body_that_is_refused_gets_its_answer(kept: tuple[Installation, Path]) -> None:
    """The client is still sending when the disk is full, and is told why all the same."""
    berth, disk = kept
    scope = "repository:root/app:pull,push"
    for _ in range(3):
        location = berth.request("POST", "/v2/root/app/blobs/uploads/", scope).headers["Location"]
        answer = berth.request("PATCH", location, scope, content=os.urandom(20 * 1024 * 1024))
        assert answer.status_code == 507
        assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
    assert [path for path in (disk / "uploads").rglob("*") if path.is_file()] == []


def test_readiness_of_a_disk(kept: tuple[Installation, Path]) -> None:
    berth, disk = kept
    assert statuses(berth) == {200}
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    wait_until(lambda: statuses(berth) == {503}, timeout=60)
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    wait_until(lambda: statuses(berth) == {200}, timeout=60)
    filler = disk / "filler"
    with pytest.raises(OSError, match="space"):
        filler.write_bytes(bytes(20 * 1024 * 1024))
    wait_until(lambda: statuses(berth) == {503}, timeout=60)
    filler.unlink()
    wait_until(lambda: statuses(berth) == {200}, timeout=60)
