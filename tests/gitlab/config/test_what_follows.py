"""What follows from settings: addresses, listeners, files, roles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitlab.config import PROJECT, load
from tests.gitlab.config.loading import follow, refused

pytestmark = pytest.mark.engineless


@pytest.mark.parametrize(
    ("realm", "expected"),
    [
        (None, "https://gitlab.example.com/jwt/auth"),
        ("https://sso.example.com", "https://sso.example.com/jwt/auth"),
        ("https://sso.example.com/", "https://sso.example.com/jwt/auth"),
        ("https://sso.example.com/jwt/auth", "https://sso.example.com/jwt/auth"),
        ("https://sso.example.com/jwt/auth/", "https://sso.example.com/jwt/auth"),
    ],
)
def test_the_realm(realm: str | None, expected: str) -> None:
    environ = {"EXTERNAL_URL": "https://gitlab.example.com/"}
    if realm:
        environ["REGISTRY__TOKEN_REALM"] = realm
    assert follow(**environ).token_realm == expected


@pytest.mark.parametrize(
    ("address", "listener"),
    [
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:8001", "127.0.0.1:8001"),
        ("http://gitlab.example.com", "0.0.0.0:80"),
        ("https://gitlab.example.com", "0.0.0.0:443"),
        ("http://gitlab.example.com:8080/", "0.0.0.0:8080"),
    ],
)
def test_where_to_listen(address: str, listener: str) -> None:
    assert follow(EXTERNAL_URL=address).web_http_addr == listener
    assert follow(REGISTRY_EXTERNAL_URL=address).registry_http_addr == listener


def test_listening_elsewhere() -> None:
    configuration = follow(
        BERTH__WEB_HTTP_ADDR="127.0.0.1:1", REGISTRY__REGISTRY_HTTP_ADDR="127.0.0.1:2"
    )
    assert configuration.web_http_addr == "127.0.0.1:1"
    assert configuration.registry_http_addr == "127.0.0.1:2"


def test_the_registry_as_gitlab_reaches_it() -> None:
    assert follow().registry_api_url == "http://127.0.0.1:5000"
    assert (
        follow(REGISTRY__REGISTRY_HTTP_ADDR="0.0.0.0:5005").registry_api_url
        == "http://127.0.0.1:5005"
    )
    assert (
        follow(GITLAB_RAILS__REGISTRY_API_URL="http://registry:5000").registry_api_url
        == "http://registry:5000"
    )


def test_the_registry_as_people_type_it() -> None:
    assert follow().registry_host_port == "localhost:5000"
    https = {"REGISTRY_EXTERNAL_URL": "https://registry.example.com"}
    assert follow(**https).registry_host_port == "registry.example.com"
    named = follow(
        **https, GITLAB_RAILS__REGISTRY_HOST="r.example", GITLAB_RAILS__REGISTRY_PORT="4"
    )
    assert named.registry_host_port == "r.example:4"


def test_plain_http_is_known() -> None:
    assert follow().plain_http
    assert not follow(REGISTRY_EXTERNAL_URL="https://registry.example.com").plain_http


def test_roles() -> None:
    assert follow().roles == {"web", "registry"}
    assert follow(BERTH__ROLES="web").roles == {"web"}
    assert follow(REGISTRY__ENABLE="false").roles == {"web"}


def test_files_live_in_the_state_folder(tmp_path: Path) -> None:
    configuration = follow(BERTH_HOME=str(tmp_path))
    assert configuration.key_path == tmp_path / "keys" / "gitlab-registry.key"
    assert configuration.certificate_bundle == tmp_path / "keys" / "gitlab-registry.crt"
    assert configuration.storage_root == tmp_path / "registry"
    assert configuration.database_url("gitlab") == f"sqlite:///{tmp_path}/db/gitlab.sqlite3"
    assert configuration.database_url("registry") == f"sqlite:///{tmp_path}/db/registry.sqlite3"


def test_files_can_live_elsewhere() -> None:
    configuration = follow(
        GITLAB_RAILS__REGISTRY_KEY_PATH="/k",
        REGISTRY__ROOTCERTBUNDLE="/c",
        REGISTRY__STORAGE__ROOT="/s",
        BERTH__DATABASE_URL="postgresql://h/g",
        BERTH__REGISTRY_DATABASE_URL="postgresql://h/r",
    )
    assert configuration.key_path == Path("/k")
    assert configuration.certificate_bundle == Path("/c")
    assert configuration.storage_root == Path("/s")
    assert configuration.database_url("gitlab") == "postgresql://h/g"
    assert configuration.database_url("registry") == "postgresql://h/r"


def test_hosts() -> None:
    hosts = follow(
        EXTERNAL_URL="https://gitlab.example.com",
        REGISTRY_EXTERNAL_URL="https://registry.example.com",
        GITLAB_RAILS__REGISTRY_API_URL="http://internal:5000",
    ).hosts
    assert {"gitlab.example.com", "registry.example.com", "internal", "localhost"} <= set(hosts)
    assert "" not in hosts
    assert "*" not in hosts


@pytest.mark.parametrize(
    ("key", "value", "cure"),
    [
        ("external_url", "https://example.com/gitlab", "no path"),
        ("registry_external_url", "https://example.com/registry", "no path"),
        ("external_url", "http://::1:8000", "brackets"),
        ("registry_external_url", "http://2001:db8::1", "brackets"),
        ("berth.web_http_addr", "::1:8000", "brackets"),
        ("registry.registry_http_addr", "2001:db8::1:5000", "brackets"),
    ],
)
def test_an_address_that_cant_be_served_is_refused_with_the_cure(
    key: str, value: str, cure: str
) -> None:
    message = refused({key.upper().replace(".", "__"): value})
    assert key in message
    assert cure in message


def test_ipv6_from_end_to_end() -> None:
    here = load(
        {"EXTERNAL_URL": "http://[::1]:8000", "REGISTRY_EXTERNAL_URL": "http://[::1]:5000"}
    ).configuration
    assert here.web_http_addr == "[::1]:8000"
    assert here.registry_http_addr == "[::1]:5000"
    assert here.registry_api_url == "http://[::1]:5000"
    assert here.registry_host_port == "[::1]:5000"
    assert here.token_realm == "http://[::1]:8000/jwt/auth"
    assert "[::1]" in here.hosts
    there = load({"REGISTRY_EXTERNAL_URL": "http://[2001:db8::7]:5000"}).configuration
    assert there.registry_http_addr == "[::]:5000"
    assert there.registry_host_port == "[2001:db8::7]:5000"
    assert "[2001:db8::7]" in there.hosts


@pytest.mark.parametrize(
    ("url", "hsts", "told"),
    [
        ("https://gitlab.example.com", None, "31536000"),
        ("https://gitlab.example.com", "30d", "2592000"),
        ("https://gitlab.example.com", "0", "0"),
        ("http://gitlab.example.com", "30d", "0"),
    ],
)
def test_browsers_are_told_of_https_where_there_is_any(
    url: str, hsts: str | None, told: str, tmp_path: Path
) -> None:
    environ = {**os.environ, "EXTERNAL_URL": url, "BERTH_HOME": str(tmp_path)}
    if hsts is not None:
        environ["BERTH__HSTS"] = hsts
    code = "from gitlab import settings; print(settings.SECURE_HSTS_SECONDS)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=environ,
        text=True,
        capture_output=True,
        check=True,
    )
    assert run.stdout.strip() == told
