"""Faults of what is around: descriptors, secrets, migrations, nginx."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e.components import free_port
from tests.e2e.installation import PROJECT, Installation, wait_until
from tests.e2e.postgresql import Server
from tests.faults import nodes
from tests.faults.load import NAMES, Journal, Load, Registry
from tests.faults.test_running import SEED, assert_whole

pytestmark = [
    pytest.mark.faults,
    pytest.mark.system,
    pytest.mark.engineless,
    pytest.mark.slow,
]


def test_f64_descriptors_run_out(node: Installation, journal: Journal) -> None:
    """The registry's workers may open nothing more for a while; then they may again."""
    registry = Registry(node)
    assert registry.push_image(NAMES[0], "before", [b"x"])[0] == 201
    with Load(node, journal, seed=SEED, clients=4) as load:
        for _ in range(2):
            # So that one is just beginning.
            nodes.kill_one(nodes.registry_processes(node)[1], random.Random(SEED))
            time.sleep(0.7)
            before: dict[int, tuple[int, int]] = {}
            for pid in nodes.registry_processes(node)[1]:
                with suppress(ProcessLookupError, FileNotFoundError):
                    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
                    used = len(os.listdir(f"/proc/{pid}/fd"))
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, limits[1]))
                    before[pid] = limits
            journal.injections += 1
            time.sleep(2)
            for pid, limits in before.items():
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        time.sleep(2)
    # A worker without a descriptor may answer 500 to what it can't open; never a lie.
    assert not node.ended
    assert set(load.faults) <= {"I10: answered 500"}
    assert_whole(node, journal)


def test_f66_another_secret(node: Installation, journal: Journal) -> None:
    """Uploads of before are unknown, and nobody who pulls or begins anew notices."""
    registry = Registry(node)
    assert registry.push_image(NAMES[0], "before", [b"x"])[0] == 201
    started = registry.request("POST", f"/v2/{NAMES[0]}/blobs/uploads/")
    address = httpx.URL(started.headers["Location"])
    node.stop()
    node.settings["REGISTRY__HTTP_SECRET"] = f"another-secret-{SEED}"
    try:
        node.start()
        journal.injections += 1
        address = address.copy_with(port=httpx.URL(node.registry_url).port)
        assert registry.request("PATCH", str(address), content=b"late").status_code == 404
        assert registry.pull(NAMES[0], "before")
        assert_whole(node, journal)
    finally:
        del node.settings["REGISTRY__HTTP_SECRET"]
        node.stop()
        node.start()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_f68_killed_in_the_middle_of_migrations(
    engine: str, tmp_path: Path, journal: Journal, require: object
) -> None:
    """Run again they end, and the node is whole."""
    server = Server() if engine == "postgresql" else None
    settings: dict[str, str] = {}
    try:
        if server is not None:
            require("postgresql")  # type: ignore[operator]
            server.start()
            settings = nodes.databases(server, "migrated", empty=True)
        berth = Installation(tmp_path / "node", **nodes.QUICK, **settings)
        chance = random.Random(SEED)
        for _ in range(4):
            popen = subprocess.Popen(
                [sys.executable, "manage.py", "prepare"],
                cwd=PROJECT,
                env=berth.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            with suppress(subprocess.TimeoutExpired):
                popen.wait(chance.uniform(1.2, 4))
            with suppress(ProcessLookupError):
                os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()
            journal.injections += 1
        berth.start()
        try:
            assert Registry(berth).push_image(NAMES[0], "first", [b"x"])[0] == 201
            assert_whole(berth, journal)
        finally:
            berth.discard()
    finally:
        if server is not None:
            server.stop()


_NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 2;
events {{}}
http {{
    access_log off; client_max_body_size 0; client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://{registry}; proxy_set_header Host $http_host;
            proxy_http_version 1.1; proxy_request_buffering off;
        }}
    }}
}}
"""


def test_f62_nginx_is_reloaded(
    node: Installation, journal: Journal, require: Callable[[str], str], tmp_path: Path
) -> None:
    """Pushes go on through each reload, and none of their requests is lost."""
    program, port = require("nginx"), free_port()
    (tmp_path / "nginx.conf").write_text(
        _NGINX.format(folder=tmp_path, port=port, registry=node.registry)
    )
    nginx = subprocess.Popen([program, "-p", tmp_path, "-c", tmp_path / "nginx.conf"])
    try:
        wait_until((tmp_path / "pid").exists, timeout=60)
        registry = Registry(node)
        # A connection a request: one that rests is closed by a reload, as HTTP lets any server do.
        registry._http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=60, headers={"Connection": "close"}
        )
        chance = random.Random(SEED)
        for number in range(20):
            if number % 4 == 1:
                nginx.send_signal(signal.SIGHUP)
                journal.injections += 1
            status, digest = registry.push_image(NAMES[0], "reloaded", [chance.randbytes(300_000)])
            assert status == 201
            assert registry.pull(NAMES[0], "reloaded") == digest
        assert_whole(node, journal)
    finally:
        nginx.terminate()
        nginx.wait(60)
