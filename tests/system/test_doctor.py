"""``manage.py doctor``: each fault is planted between real processes, and found by its name."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.e2e.components import free_port
from tests.e2e.installation import PROJECT, Installation
from tokens import keys

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("doctor")]

Findings = dict[str, dict[str, Any]]
GITLAB = {"BERTH__ROLES": "web"}
"""As on a node of GitLab's own, which has to ask the registry for everything."""


def doctor(node: Installation, *arguments: str, **settings: str) -> Findings:
    """What is wrong, by check. The exit code says the same."""
    ran = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--format", "json", *arguments],
        cwd=PROJECT, env={**node.environment, **settings}, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert ran.stdout, ran.stderr
    checks = json.loads(ran.stdout)
    for check in checks:
        assert set(check) == {"check", "ok", "setting", "finding", "cure"}
    found = {check["check"]: check for check in checks if not check["ok"]}
    for check in found.values():
        assert check["setting"]
        assert check["finding"]
        assert check["cure"]
    assert ran.returncode == (1 if found else 0), ran.stderr
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(tmp_path_factory.mktemp("doctor") / "one", BERTH__PROCESSES="1")
    installation.start()
    yield installation
    installation.discard()


@pytest.fixture(scope="module")
def other(site: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A second registry that trusts the same key, and agrees with the first about nothing else."""
    installation = Installation(
        tmp_path_factory.mktemp("doctor") / "other",
        BERTH__ROLES="registry",
        BERTH__PROCESSES="1",
        REGISTRY__ROOTCERTBUNDLE=str(site.home / "keys" / "gitlab-registry.crt"),
        REGISTRY__TOKEN_REALM=f"http://localhost:{free_port()}",
    )
    installation.start()
    yield installation
    installation.discard()


def test_a_sound_installation(site: Installation) -> None:
    assert doctor(site) == {}
    assert doctor(site, **GITLAB) == {}
    assert "BAD" not in site.manage("doctor")
    # The upload that it began is gone, and so is its repository.
    with sqlite3.connect(site.home / "db" / "registry.sqlite3") as database:
        uploads = database.execute(
            "SELECT count(*) FROM registry_uploadsession WHERE committed_digest <> 'cancelled'"
        ).fetchone()
        opened = database.execute(
            "SELECT count(*) FROM registry_repository WHERE closed_at IS NULL"
        ).fetchone()
    assert (uploads, opened) == ((0,), (0,))


def test_another_issuer(site: Installation) -> None:
    found = doctor(site, **GITLAB, GITLAB_RAILS__REGISTRY_ISSUER="somebody-else")
    assert set(found) == {"issuer"}
    assert "registry.registry_issuer" in found["issuer"]["setting"]
    assert set(doctor(site, REGISTRY__REGISTRY_ISSUER="somebody-else")) == {"issuer"}


def test_a_key_that_does_not_match_its_certificate(site: Installation, tmp_path: Path) -> None:
    (tmp_path / "other.key").write_bytes(keys.generate()[0])
    found = doctor(site, GITLAB_RAILS__REGISTRY_KEY_PATH=str(tmp_path / "other.key"))
    assert set(found) == {"key_pair"}
    assert "gitlab_rails.registry_key_path" in found["key_pair"]["setting"]


def test_a_pair_that_the_registry_does_not_trust(site: Installation, tmp_path: Path) -> None:
    key, certificate = keys.generate()
    (tmp_path / "other.key").write_bytes(key)
    (tmp_path / "other.crt").write_bytes(certificate)
    pair = {
        "GITLAB_RAILS__REGISTRY_KEY_PATH": str(tmp_path / "other.key"),
        "REGISTRY__ROOTCERTBUNDLE": str(tmp_path / "other.crt"),
    }
    found = doctor(site, **GITLAB, **pair)
    assert set(found) == {"key_trusted"}
    assert "registry.rootcertbundle" in found["key_trusted"]["setting"]


@pytest.mark.parametrize(("days", "word"), [(10, "ends on"), (-1, "ended on")])
def test_a_certificate_that_ends(site: Installation, tmp_path: Path, days: int, word: str) -> None:
    pem = (site.home / "keys" / "gitlab-registry.key").read_bytes()
    path = tmp_path / "short.crt"
    path.write_bytes(_certificate(pem, days))
    found = doctor(site, REGISTRY__ROOTCERTBUNDLE=str(path))
    assert set(found) == {"certificate_ends"}
    assert word in found["certificate_ends"]["finding"]


def test_a_tls_certificate_that_ends(site: Installation, tmp_path: Path) -> None:
    pem = (site.home / "keys" / "gitlab-registry.key").read_bytes()
    (tmp_path / "tls.crt").write_bytes(_certificate(pem, 3))
    tls = {"BERTH__TLS_CERTIFICATE": str(tmp_path / "tls.crt"), "BERTH__TLS_KEY": "/nowhere"}
    api = {"GITLAB_RAILS__REGISTRY_API_URL": site.registry_url}
    assert set(doctor(site, **tls, **api)) == {"tls_certificate_ends"}


def _certificate(key_pem: bytes, days: int) -> bytes:
    key: Any = serialization.load_pem_private_key(key_pem, None)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "short")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_tokens_that_live_shorter_than_a_push(site: Installation) -> None:
    found = doctor(site, BERTH__TOKEN_EXPIRE_DELAY="2")
    assert set(found) == {"token_lifetime"}
    assert found["token_lifetime"]["setting"] == "berth.token_expire_delay"


def test_migrations_that_were_not_applied(site: Installation, tmp_path: Path) -> None:
    found = doctor(site, BERTH__DATABASE_URL=f"sqlite:///{tmp_path}/empty.sqlite3")
    assert set(found) == {"migrations"}


def test_nobody_answers(site: Installation) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    found = doctor(site, GITLAB_RAILS__REGISTRY_API_URL=nobody)
    assert set(found) == {"registry_reached"}
    assert "gitlab_rails.registry_api_url" in found["registry_reached"]["setting"]


def test_a_realm_that_nobody_reaches(site: Installation, other: Installation) -> None:
    found = doctor(site, **GITLAB, **_at(other))
    assert set(found) == {"realm"}
    assert "registry.token_realm" in found["realm"]["setting"]


def test_secrets_that_differ_between_nodes(site: Installation, other: Installation) -> None:
    nodes = ("--node", site.registry_url, "--node", other.registry_url)
    assert set(doctor(site, *nodes)) == {"http_secret"}


def test_migrations_that_the_registrys_node_missed(site: Installation, other: Installation) -> None:
    with sqlite3.connect(other.home / "db" / "registry.sqlite3", isolation_level=None) as database:
        last = "SELECT max(id) FROM django_migrations WHERE app = 'registry'"
        row = database.execute(
            f"SELECT app, name, applied FROM django_migrations WHERE id = ({last})"
        )
        kept = row.fetchone()
        database.execute(f"DELETE FROM django_migrations WHERE id = ({last})")
        found = doctor(site, **GITLAB, **_at(other))
        database.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, ?)", kept
        )
    assert set(found) == {"realm", "registry_migrations"}
    assert kept[1] in found["registry_migrations"]["finding"]


def test_a_store_that_can_not_be_written(site: Installation, other: Installation) -> None:
    store, away = other.home / "registry", other.home / "registry-away"
    store.rename(away)
    store.write_text("no folder")
    try:
        deadline = time.monotonic() + 60
        while "store" not in (found := doctor(site, **GITLAB, **_at(other))):
            assert time.monotonic() < deadline, found
    finally:
        store.unlink()
        shutil.move(away, store)
    assert "registry.storage.root" in found["store"]["setting"]


def _at(node: Installation) -> dict[str, str]:
    return {
        "GITLAB_RAILS__REGISTRY_API_URL": node.registry_url,
        "REGISTRY_EXTERNAL_URL": node.registry_url,
    }


# Proxies that spoil


class Spoiler(BaseHTTPRequestHandler):
    """Passes requests without a body, or a short one, on to a registry, and spoils what it
    is told.
    """

    protocol_version = "HTTP/1.1"
    behind: str
    faults: frozenset[str]

    def pass_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if "small" in self.faults and length > 2**20:
            self._answer(413, {}, b"")
            return
        if length > 2**20:  # As a proxy that streams: it waits for more, and nobody sends it.
            self.close_connection = True
            self.rfile.read(length)
            return
        chunks = self.headers.get("Transfer-Encoding") == "chunked"
        if chunks and "unchunked" in self.faults:
            self._answer(411, {}, b"")
            return
        connection = http.client.HTTPConnection(self.behind, timeout=20)
        headers = {k: v for k, v in self.headers.items() if k != "Transfer-Encoding"}
        body = self._chunks() if chunks else self.rfile.read(length)
        connection.request(self.command, self.path, body=body or None, headers=headers)
        answer = connection.getresponse()
        kept = {
            name: value
            for name, value in answer.getheaders()
            if name.lower() not in ("connection", "transfer-encoding", "date")
        }
        kept["Date"] = self.date_time_string(time.time() + (600 if "late" in self.faults else 0))
        if "Location" in kept and "portless" in self.faults:
            kept["Location"] = f"http://localhost{kept['Location']}"
        if "realm" in self.faults and "WWW-Authenticate" in kept:
            challenge = kept["WWW-Authenticate"]
            kept["WWW-Authenticate"] = challenge.replace("/jwt/auth", "/users/sign_in")
        self._answer(answer.status, kept, answer.read())
        connection.close()

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.close_connection = True
        self.send_response_only(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        if "Content-Length" not in headers and status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


@contextmanager
def spoiled(site: Installation, *faults: str) -> Iterator[dict[str, str]]:
    """The settings of a GitLab that sees the registry through a proxy with `faults`."""
    methods = {f"do_{method}": Spoiler.pass_on for method in ("GET", "POST", "PATCH", "DELETE")}
    own = {"behind": site.registry, "faults": frozenset(faults)}
    kind = type("One", (Spoiler,), {**own, **methods})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://localhost:{server.server_address[1]}"
        yield {
            **GITLAB,
            "GITLAB_RAILS__REGISTRY_API_URL": address,
            "REGISTRY_EXTERNAL_URL": address,
        }
        server.shutdown()


@pytest.mark.parametrize(
    ("fault", "check", "setting"),
    [
        ("", "", ""),
        ("late", "clock", "the system's clock"),
        ("realm", "realm", "registry.token_realm"),
        ("portless", "location", "the proxy"),
        ("unchunked", "chunked_bodies", "the proxy"),
        ("small", "large_bodies", "the proxy"),
    ],
)
def test_proxies(site: Installation, fault: str, check: str, setting: str) -> None:
    with spoiled(site, fault) as settings:
        found = doctor(site, **settings)
    assert set(found) == ({check} if check else set())
    assert not check or setting in found[check]["setting"]
