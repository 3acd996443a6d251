"""What settings do, in the processes of a node that is configured as administrators do it.

A TOML file has what is no secret, files have the secrets, the environment overrides one key. Each
test names the keys whose effect it shows; `tests/test_settings_effects.py` has the list of all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import images
from tests.e2e.components import free_port
from tests.e2e.images import digest_of
from tests.e2e.installation import Installation, wait_until
from tests.e2e.wire import Wire
from tests.gitlab.test_settings_sources import as_toml
from tests.system.test_logs import sign_in

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("settings")]

SECRETS = {
    "GITLAB_ROOT_PASSWORD": "root-password-of-a-file",
    "REGISTRY__HTTP_SECRET": "http-secret-of-a-file",
    "BERTH__SECRET_KEY": "secret-key-of-a-file",
    "BERTH__EVENTS_SECRET": "events-secret-of-a-file",
    "BERTH__METRICS_TOKEN": "metrics-token-of-a-file",
}
FORWARDED = "X-Forwarded-For"


class Configured(Installation):
    """A node whose settings are in files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.elsewhere = folder / "elsewhere"
        self.home = folder / "state"
        self.root_password = SECRETS["GITLAB_ROOT_PASSWORD"]
        self.listeners = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        addresses = [f"http://{listener}" for listener in self.listeners]
        self.settings = {
            "EXTERNAL_URL": addresses[0],
            "REGISTRY_EXTERNAL_URL": addresses[1],
            "GITLAB_CONFIG": str(folder / "gitlab.toml"),
        }
        keys = self.elsewhere / "keys"
        self.values: dict[str, Any] = {
            "external_url": addresses[0],
            "registry_external_url": "http://localhost:5999",
            "registry.registry_http_addr": self.listeners[1],
            "registry.token_realm": "http://sso.test:81",
            "registry.rootcertbundle": str(keys / "bundle.crt"),
            "registry.health_storagedriver_enabled": False,
            "registry.registry_issuer": "an-issuer",
            "registry.storage.root": str(self.elsewhere / "images"),
            "gitlab_rails.registry_api_url": addresses[1],
            "gitlab_rails.registry_host": "shown.test",
            "gitlab_rails.registry_port": 5050,
            "gitlab_rails.registry_issuer": "an-issuer",
            "gitlab_rails.registry_key_path": str(keys / "signing.key"),
            "berth.home": str(self.home),
            "berth.web_http_addr": self.listeners[0],
            "berth.database_url": f"sqlite:///{self.elsewhere}/one.sqlite3",
            "berth.registry_database_url": f"sqlite:///{self.elsewhere}/two.sqlite3",
            "berth.token_expire_delay": 2,
            "berth.upload_expiry": "1h",
            "berth.delete_enabled": False,
            "berth.push_creates_projects": False,
            "berth.signup_enabled": True,
            "berth.max_manifest_size": 5000,
            "berth.max_blob_size": 1000,
            "berth.max_page": 2,
            "berth.max_scopes": 3,
            "berth.max_form_size": 3000,
            "berth.trusted_proxies": ["127.0.0.1"],
            "berth.metrics_networks": ["192.0.2.0/24"],
            "berth.rate_limits.failed_logins": 2,
            "berth.rate_limits.failed_logins_per_address": 4,
            "berth.rate_limits.per_user": 1000,
            "berth.rate_limits.per_token": 60,
            "berth.rate_limits.per_address": 40,
            "berth.log_format": "text",
            "berth.access_log": "all",
        }
        for name, value in SECRETS.items():
            (folder / name).write_text(f"{value}\n")
        self.elsewhere.mkdir()
        keys.mkdir()
        (folder / "gitlab.toml").write_text(as_toml(self.values))

    @cached_property
    def environment(self) -> dict[str, str]:
        """None of the settings but the names of files, and one that is stronger than its file."""
        kept = super().environment
        for name in ("EXTERNAL_URL", "REGISTRY_EXTERNAL_URL"):
            del kept[name]
        return kept | {
            **{f"{name}_FILE": str(self.folder / name) for name in SECRETS},
            "BERTH__LOG_FORMAT": "json",
        }


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Configured]:
    installation = Configured(tmp_path_factory.mktemp("configured"))
    installation.start()
    installation.create_project("root/app", owner="root")
    yield installation
    installation.discard()


@pytest.fixture
def wire(site: Configured) -> Iterator[Wire]:
    with Wire(site, "root/app", actions="pull,push,delete") as opened:
        yield opened


def jwt_auth(site: Configured, **options: Any) -> httpx.Response:
    params = [("service", "container_registry"), *options.pop("scopes", [])]
    return httpx.get(f"{site.url}/jwt/auth", params=params, timeout=60, **options)


def granted(site: Configured, *scopes: str) -> int:
    """How many of `scopes` root's token is for."""
    import jwt

    asked = [("scope", scope) for scope in scopes]
    answer = jwt_auth(site, scopes=asked, auth=("root", site.root_password))
    found = jwt.decode(answer.json()["token"], options={"verify_signature": False})
    return len(found["access"])


def test_where_things_are(site: Configured) -> None:
    """home, storage.root, the databases, the key and the bundle, the two listeners."""
    with Wire(site, "root/app") as wire:
        wire.push_blob(b"somewhere")
    assert (site.home / "secrets").is_dir()
    assert not (site.home / "registry").exists()
    assert any(path.is_file() for path in (site.elsewhere / "images").rglob("*"))
    for name, table in (("one", "accounts_user"), ("two", "registry_blob")):
        with sqlite3.connect(site.elsewhere / f"{name}.sqlite3") as database:
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 1
    assert b"PRIVATE KEY" in (site.elsewhere / "keys" / "signing.key").read_bytes()
    assert b"CERTIFICATE" in (site.elsewhere / "keys" / "bundle.crt").read_bytes()
    assert httpx.get(f"http://{site.listeners[0]}/-/liveness").status_code == 200
    assert httpx.get(f"http://{site.listeners[1]}/v2/").status_code == 401


def test_the_realm(site: Configured) -> None:
    challenge = httpx.get(f"{site.registry_url}/v2/").headers["WWW-Authenticate"]
    assert 'realm="http://sso.test:81/jwt/auth"' in challenge


def test_the_issuer_and_the_life_of_a_token(site: Configured) -> None:
    import jwt

    answer = jwt_auth(site, auth=("root", site.root_password)).json()
    claims = jwt.decode(answer["token"], options={"verify_signature": False})
    assert claims["iss"] == "an-issuer"
    assert answer["expires_in"] == claims["exp"] - claims["iat"] == 120


def test_the_secret_of_uploads(site: Configured) -> None:
    begun = site.request("POST", "/v2/root/app/blobs/uploads/", "repository:root/app:pull,push")
    address, _, state = begun.headers["Location"].partition("?_state=")
    session = address.rpartition("/")[2]
    key = hashlib.sha256(b"registry.upload" + SECRETS["REGISTRY__HTTP_SECRET"].encode()).digest()
    repository, expires, algorithm, signature = state.split(".")
    told = f"{session}\0{repository}\0{expires}\0{algorithm}\0root/app\0root"
    assert signature == hmac.new(key, told.encode(), "sha256").hexdigest()


def test_the_largest_of_each(site: Configured, wire: Wire) -> None:
    """max_blob_size, max_manifest_size, max_page, max_scopes, max_form_size."""
    large = bytes(1001)
    answer = wire.http.post("blobs/uploads/", params={"digest": digest_of(large)}, content=large)
    assert answer.status_code == 413, answer.text
    wire.push_blob(bytes(1000))
    answer = wire.http.put("manifests/1", content=b" " * 5001)
    assert answer.status_code == 413, answer.text
    for tag in ("a", "b", "c"):
        wire.push(images.tiny("settings"), tag)
    listed = wire.get("tags/list", params={"n": "100"})
    assert listed.json()["tags"] == ["a", "b"]
    assert "last=b" in listed.headers["Link"]
    before = [f"repository:nobody/none-{number}:pull" for number in range(3)]
    assert granted(site, *before[:2], "repository:root/app:pull") == 1
    assert granted(site, *before, "repository:root/app:pull") == 0
    form = {"service": "container_registry", "grant_type": "password", "username": "x" * 3000}
    assert httpx.post(f"{site.url}/jwt/auth", data=form).status_code == 413


def test_deletion_is_off(site: Configured, wire: Wire) -> None:
    wire.push(images.tiny("settings"), "kept")
    assert wire.http.delete("manifests/kept").status_code == 405


def test_a_push_creates_no_project(site: Configured) -> None:
    assert granted(site, "repository:root/new:push") == 0


def test_strangers_may_register_and_see_the_registry_that_is_shown(site: Configured) -> None:
    with httpx.Client(base_url=site.url, follow_redirects=True, timeout=60) as browser:
        assert browser.get("/users/sign_up").status_code == 200
        sign_in(site, browser, site.root_password)
        shown = browser.get("/root/app/container_registry").text
    assert "shown.test:5050" in shown
    assert "localhost:5999" not in shown
    # What the page says of images comes from the registry's internal address.
    assert "The registry does not answer" not in shown


def test_readiness_leaves_the_store_out(site: Configured) -> None:
    ready = httpx.get(f"{site.registry_url}/-/readiness")
    assert ready.status_code == 200
    assert "stor" not in ready.text


def test_who_may_see_numbers(site: Configured) -> None:
    """metrics_networks without loopback, so that only metrics_token opens them."""
    for url in (site.url, site.registry_url):
        assert httpx.get(f"{url}/-/metrics").status_code == 404
        token = {"Authorization": f"Bearer {SECRETS['BERTH__METRICS_TOKEN']}"}
        assert httpx.get(f"{url}/-/metrics", headers=token).status_code == 200


def test_sessions_are_signed_with_the_secret_key(site: Configured) -> None:
    from django.core import signing

    with httpx.Client(base_url=site.url, follow_redirects=True, timeout=60) as browser:
        sign_in(site, browser, site.root_password)
    with sqlite3.connect(site.elsewhere / "one.sqlite3") as database:
        rows = database.execute("SELECT session_data FROM django_session").fetchall()
    assert rows
    for (stored,) in rows:
        signer = signing.TimestampSigner(
            key=SECRETS["BERTH__SECRET_KEY"], salt="django.contrib.sessions.SessionStore"
        )
        assert signer.unsign(stored)


def test_the_environment_is_stronger_and_each_request_has_a_line(site: Configured) -> None:
    """log_format from the environment, access_log from the file."""
    httpx.get(f"{site.registry_url}/v2/", headers={"X-Request-Id": "shown-in-a-line"})

    def seen() -> bool:
        found = [json.loads(line) for line in site.log().splitlines() if line.startswith("{")]
        return any(line.get("request_id") == "shown-in-a-line" for line in found)

    wait_until(seen, timeout=60)


def test_rates(site: Configured) -> None:
    """per_address across the processes of both sides, for the address that a trusted proxy names.

    failed_logins and failed_logins_per_address too; per_user and per_token in the tests of each
    side.
    """
    for url in (f"{site.registry_url}/v2/", f"{site.url}/jwt/auth?service=container_registry"):
        address = {FORWARDED: f"203.0.113.{len(url)}"}
        with httpx.Client(headers=address, timeout=60) as stranger:
            statuses = []
            # One more is allowed each second and a half that this takes.
            while len(statuses) < 400 and 429 not in statuses:
                answer = stranger.get(url)
                statuses.append(answer.status_code)
        assert len(statuses) > 40
        assert statuses[-1] == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert answer.json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    elsewhere = {FORWARDED: "203.0.113.200"}
    assert httpx.get(f"{site.registry_url}/v2/", headers=elsewhere).status_code == 401
    guesses = [("nobody-here", "one"), ("nobody-here", "one"), ("nobody-here", "two")]
    guesses += [("nobody-here", "three"), ("else", "one"), ("else", "two"), ("another", "one")]
    answers = [
        jwt_auth(site, auth=guess, headers={FORWARDED: f"{mapped}203.0.113.201"})
        for guess, mapped in zip(guesses, ["", "::ffff:"] * 4, strict=False)
    ]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 401, 401, 429]


def test_the_rate_of_a_token(site: Configured) -> None:
    """A pull's own addresses count too, whatever way they are answered."""
    with Wire(site, "root/app") as wire:
        wire.push(images.tiny("rates"), "rates")
        statuses = [200]
        while len(statuses) < 400 and statuses[-1] == 200:
            statuses.append(wire.http.get("manifests/rates").status_code)
    assert len(statuses) > 50
    assert statuses[-1] == 429


def test_an_upload_ends(site: Configured) -> None:
    """upload_expiry."""
    scope = "repository:root/app:pull,push"
    begun = site.request("POST", "/v2/root/app/blobs/uploads/", scope)
    # Until it has a part, its address says when it ends.
    expires = int(begun.headers["Location"].partition("?_state=")[2].split(".")[1])
    assert 3000 < expires - time.time() <= 3600
    assert site.request("PATCH", begun.headers["Location"], scope, content=b"x").status_code == 202
    left = site.run_python(
        "from django.utils import timezone\n"
        "from registry.models import UploadSession\n"
        f"row = UploadSession.objects.get(pk={begun.headers['Docker-Upload-UUID']!r})\n"
        "answer = (row.expires_at - timezone.now()).total_seconds()"
    )
    assert 3000 < left <= 3600


def test_show_config_names_the_sources(site: Configured) -> None:
    rows = {row["key"]: row for row in json.loads(site.manage("show_config", "--format=json"))}
    assert rows["berth.max_page"]["origin"] == str(site.folder / "gitlab.toml")
    assert rows["registry.http_secret"]["origin"].startswith("file ")
    assert rows["berth.log_format"]["origin"] == "environment BERTH__LOG_FORMAT"
