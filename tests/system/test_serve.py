"""``manage.py serve``: starts, says so once, stops cleanly, and never half."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from tests.e2e.components import free_port
from tests.e2e.installation import Installation, wait_until

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("serve")]

_INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One that has prepared itself from nothing, for tests that only look."""
    made = Installation(
        tmp_path_factory.mktemp("serve") / "one", from_nothing=True, BERTH__PROCESSES="3"
    )
    made.start()
    yield made
    made.discard()


@pytest.fixture
def installation(make_installation: Any) -> Installation:
    made: Installation = make_installation()
    return made


def test_it_says_once_where_everything_is(looked_at: Installation) -> None:
    log = looked_at.log()
    assert log.count("Ready.") == 1
    assert looked_at.url in log
    assert f"docker login {looked_at.registry}" in log
    assert "--tls-verify=false" in log
    assert looked_at.root_password not in log
    assert httpx.get(f"{looked_at.registry_url}/v2/").status_code == 401
    assert httpx.get(looked_at.url, follow_redirects=True).status_code == 200


def test_a_password_is_dear_to_try(looked_at: Installation) -> None:
    """Other installations of tests have quick ones: see `tests.e2e.quick_settings`."""
    with closing(sqlite3.connect(looked_at.home / "db" / "gitlab.sqlite3")) as database:
        stored = database.execute("SELECT password FROM accounts_user WHERE username = 'root'")
        assert stored.fetchone()[0].startswith(f"pbkdf2_sha256${PBKDF2PasswordHasher.iterations}$")
    assert looked_at.token()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_it_stops_cleanly(installation: Installation, number: signal.Signals) -> None:
    assert len(installation.processes()) > 5
    assert installation.stop(number) == 0
    assert installation.processes() == []


def test_as_many_processes_serve_as_are_set(looked_at: Installation) -> None:
    children = _children(looked_at.pid)
    for role in ("web", "registry"):
        assert len(_tree(children[role])) == 1 + 3, role


@pytest.mark.parametrize("name", ["web", "registry", "worker"])
def test_if_one_dies_the_rest_stop(installation: Installation, name: str) -> None:
    children = _children(installation.pid)
    os.kill(children[name], signal.SIGKILL)
    assert installation.wait(60) not in (0, None)
    assert f"{name} ended with exit code" in installation.log()
    assert installation.processes() == []


def test_if_it_is_killed_the_rest_stop_and_it_can_be_started_again(
    installation: Installation,
) -> None:
    """Nobody would watch over them, and they would keep the ports."""
    os.kill(installation.pid, signal.SIGKILL)
    installation.wait(60)
    installation.start()
    wait_until(lambda: len(installation.processes()) <= len(_tree(installation.pid)), timeout=80)
    assert installation.token()


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in _tree(int(child)))]


def _children(pid: int) -> dict[str, int]:
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
        roles = re.search(r"BERTH__ROLES=(\w+)", Path(f"/proc/{child}/environ").read_text())
        assert roles, command
        found["worker" if "celery" in command else roles[1]] = int(child)
    return found


def test_what_is_in_flight_is_finished_and_silence_does_not_keep_it(
    installation: Installation,
) -> None:
    """Uploads that are under way when SIGTERM comes get their answers, also one whose body is
    waited for aside. Connections on which nothing comes, as browsers and proxies open them ahead,
    are not waited for, nor those that have pulled and may do so again.
    """
    token = installation.token("repository:root/app:push,pull")
    host, port = installation.registry.split(":")
    lines = f"Host: {installation.registry}\r\nAuthorization: Bearer {token}\r\n"
    headers = {"Authorization": f"Bearer {token}"}
    started = httpx.post(f"{installation.registry_url}/v2/root/app/blobs/uploads/", headers=headers)
    location = started.headers["Location"].removeprefix(installation.registry_url)
    digest = f"sha256:{hashlib.sha256(b'slow').hexdigest()}"
    with ExitStack() as stack:
        silent, (chunk, whole), pulling = (
            [
                stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
                for _ in range(count)
            ]
            for count in (40, 2, 10)
        )
        for connection in pulling:
            for _ in range(2):
                connection.sendall(
                    f"GET /v2/root/app/manifests/v1 HTTP/1.1\r\n{lines}\r\n".encode()
                )
                answer = b""
                # The head may come before the body.
                while not answer.endswith(b"}]}") and (more := connection.recv(65536)):
                    answer += more
                assert answer.startswith(b"HTTP/1.1 404"), answer
        chunk.sendall(
            f"PATCH {location} HTTP/1.1\r\n{lines}Content-Type: application/octet-stream\r\n"
            "Content-Length: 10\r\n\r\nhello".encode()
        )
        whole.sendall(
            f"POST /v2/root/app/blobs/uploads/?digest={digest} HTTP/1.1\r\n{lines}"
            "Content-Length: 4\r\n\r\ns".encode()
        )
        time.sleep(1)
        os.kill(installation.pid, signal.SIGTERM)
        stopping = time.monotonic()
        time.sleep(2)
        chunk.sendall(b"world")
        said = chunk.recv(65536).decode()
        assert said.startswith("HTTP/1.1 202"), said
        assert "Range: 0-9" in said
        time.sleep(3)
        whole.sendall(b"low")
        assert whole.recv(12) == b"HTTP/1.1 201"
        assert installation.wait(70) == 0
        assert time.monotonic() - stopping < 30
        assert {connection.recv(1) for connection in silent + pulling} == {b""}


def test_connections_pull_push_and_wait_in_turn(looked_at: Installation) -> None:
    """What is answered at once, and what is not, on the same connections and side by side."""
    token = looked_at.token("repository:root/turns:push,pull")
    headers = {"Authorization": f"Bearer {token}"}
    base = f"{looked_at.registry_url}/v2/root/turns"
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [], "annotations": {"a": "b" * 999}}
    ).encode()
    put = {**headers, "Content-Type": _INDEX}
    httpx.put(f"{base}/manifests/v1", headers=put, content=manifest).raise_for_status()

    def work(number: int) -> None:
        blob = b"%d" % number * 30_000
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        with httpx.Client(headers=headers, timeout=60) as client:
            for _ in range(5):
                assert client.get(f"{base}/manifests/v1").content == manifest
                assert client.head(f"{base}/manifests/v1").status_code == 200
                assert client.get(f"{base}/manifests/none").status_code == 404
            pushed = client.post(f"{base}/blobs/uploads/?digest={digest}", content=blob)
            assert pushed.status_code == 201
            assert client.get(f"{base}/manifests/v1").content == manifest
            assert client.get(f"{base}/blobs/{digest}").content == blob
            refused = client.get(f"{base}/manifests/v1", headers={"Authorization": "Bearer no"})
            assert refused.status_code == 401
            assert client.get(f"{base}/manifests/v1").content == manifest

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))


@pytest.mark.parametrize(
    ("setting", "named"),
    [("EXTERNAL_URL", "external_url"), ("REGISTRY_EXTERNAL_URL", "registry_external_url")],
)
def test_a_port_in_use(tmp_path: Path, setting: str, named: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        installation = Installation(tmp_path / "i", **{setting: f"http://localhost:{port}"})
        with pytest.raises(AssertionError) as caught:
            installation.start()
    assert "is in use" in str(caught.value)
    assert str(port) in str(caught.value)
    assert named in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_only_one_half(tmp_path: Path, make_installation: Any) -> None:
    """Two nodes: the registry's makes the pair, GitLab's gets it, and the key leaves the first."""
    ports = {
        "EXTERNAL_URL": f"http://localhost:{free_port()}",
        "REGISTRY_EXTERNAL_URL": f"http://localhost:{free_port()}",
    }
    registry = Installation(tmp_path / "registry", **ports, BERTH__ROLES="registry")
    registry.copy_prepared()
    registry.manage("prepare")
    key = (registry.home / "keys" / "gitlab-registry.key").read_text()
    certificate = (registry.home / "keys" / "gitlab-registry.crt").read_text()
    (registry.home / "keys" / "gitlab-registry.key").unlink()
    web: Installation = make_installation(
        **ports,
        BERTH__ROLES="web",
        GITLAB_RAILS__INTERNAL_KEY=key,
        REGISTRY__INTERNAL_CERTIFICATE=certificate,
    )
    try:
        registry.start()
        assert web.request("GET", "/v2/").status_code == 200
        assert not (registry.home / "db" / "gitlab.sqlite3").exists()
        assert not (web.home / "db" / "registry.sqlite3").exists()
        assert httpx.get(f"{registry.registry_url}/users/sign_in").status_code == 404
        assert not (registry.home / "keys" / "gitlab-registry.key").exists()
    finally:
        assert registry.stop() == 0


def test_the_lines_say_whose_they_are(looked_at: Installation) -> None:
    wait_until(lambda: "worker   | " in looked_at.log())
    for name in ("web     ", "registry", "worker  "):
        assert re.search(rf"^{name} \| ", looked_at.log(), re.MULTILINE)


def test_no_secret_is_in_a_process_environment(looked_at: Installation) -> None:
    for pid in looked_at.processes():
        if pid != looked_at.pid:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            assert looked_at.root_password.encode() not in environment


def test_make_says_that_python_is_too_old(tmp_path: Path) -> None:
    old = tmp_path / "python2"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 2.7.18\nexit 1\n')
    old.chmod(0o755)
    project = Path(__file__).resolve().parent.parent.parent
    ran = subprocess.run(
        [project / "scripts" / "make-environment", tmp_path / "venv", "requirements.txt"],
        env={**os.environ, "PYTHON": str(old)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert "Python 2.7.18" in ran.stderr
    assert "3.11" in ran.stderr


def test_it_stops_cleanly_and_starts_again_quickly(looked_at: Installation) -> None:
    """The last of this file: the others look at the processes of the first start."""
    assert len(looked_at.processes()) > 5
    assert looked_at.stop(signal.SIGTERM) == 0
    assert looked_at.processes() == []
    started = time.monotonic()
    looked_at.start()
    assert time.monotonic() - started < 30  # Seconds; more than a few only where tests compete
    assert looked_at.log().count("Made the administrator") == 1
    assert looked_at.log().count("Made the key pair") == 1
    assert looked_at.token()
