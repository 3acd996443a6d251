"""Settings: where they come from, which wins, and what a bad one says."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gitlab import config
from gitlab.config import KEYS, PROJECT, BadConfiguration, load, reference

pytestmark = pytest.mark.engineless


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """``write("[registry]\\n…")``: an environment that names a file with this text."""

    def write_file(text: str) -> dict[str, str]:
        path = tmp_path / "gitlab.toml"
        path.write_text(text)
        return {"GITLAB_CONFIG": str(path)}

    return write_file


@pytest.fixture(autouse=True)
def no_file_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gitlab.config.loading.DEFAULT_FILE", tmp_path / "not-there.toml")


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(BadConfiguration) as caught:
        load(environ)
    return str(caught.value)


# Sources


def test_nothing_at_all_is_a_configuration() -> None:
    loaded = load({})
    assert loaded.configuration.external_url == "http://localhost:8000"
    assert loaded.configuration.registry_external_url == "http://localhost:5000"
    assert not loaded.origins


def test_the_file_is_read(write: Any) -> None:
    environ = write('external_url = "https://gitlab.example.com"\n[registry]\nenable = false\n')
    loaded = load(environ)
    assert loaded.configuration.external_url == "https://gitlab.example.com"
    assert loaded.configuration.registry.enable is False
    assert loaded.origins["registry.enable"] == environ["GITLAB_CONFIG"]


def test_the_machines_file_is_read_where_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc.toml").write_text("[berth]\nmax_page = 7\n")
    monkeypatch.setattr("gitlab.config.loading.DEFAULT_FILE", tmp_path / "etc.toml")
    assert load({}).configuration.berth.max_page == 7


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    assert "nowhere.toml" in refused({"GITLAB_CONFIG": str(tmp_path / "nowhere.toml")})


def test_a_file_that_is_no_toml_is_named(write: Any) -> None:
    assert "gitlab.toml" in refused(write("external_url = \n"))


def test_the_environment_is_stronger_than_a_secret_file_and_that_than_toml(
    write: Any, tmp_path: Path
) -> None:
    environ = write('[registry]\nhttp_secret = "toml"\n')
    assert secret(environ) == "toml"
    (tmp_path / "secret").write_text("file\n")
    environ["REGISTRY__HTTP_SECRET_FILE"] = str(tmp_path / "secret")
    assert secret(environ) == "file"
    environ["REGISTRY__HTTP_SECRET"] = "environment"
    assert secret(environ) == "environment"
    assert load(environ).origins["registry.http_secret"] == "environment REGISTRY__HTTP_SECRET"


def secret(environ: dict[str, str]) -> str:
    value = load(environ).configuration.registry.http_secret
    assert value is not None
    return value.get_secret_value()


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    message = refused({"REGISTRY__HTTP_SECRET_FILE": str(tmp_path / "none")})
    assert "REGISTRY__HTTP_SECRET_FILE" in message
    assert str(tmp_path / "none") in message


ADDRESSES = dict.fromkeys(
    (
        "external_url",
        "registry_external_url",
        "registry.token_realm",
        "registry.storage.endpoint",
        "gitlab_rails.registry_api_url",
    ),
    "https://example.com",
)
LISTENERS = dict.fromkeys(
    ("registry.registry_http_addr", "berth.web_http_addr", "berth.worker_metrics_addr"),
    "127.0.0.1:1",
)
SWITCHES = dict.fromkeys(
    (
        "registry.enable",
        "registry.health_storagedriver_enabled",
        "registry.storage.redirect",
        "gitlab_rails.registry_enabled",
        "berth.delete_enabled",
        "berth.push_creates_projects",
        "berth.signup_enabled",
        "berth.debug",
    ),
    "true",
)
NUMBERS = dict.fromkeys(
    (
        "gitlab_rails.registry_port",
        "berth.token_expire_delay",
        "berth.token_leeway",
        "berth.gc_review_delay",
        "berth.undo_window",
        "berth.events_kept",
        "berth.tag_history_kept",
        "berth.audit_events_kept",
        "berth.upload_expiry",
        "berth.database_timeout",
        "berth.processes",
        "berth.max_manifest_size",
        "berth.max_blob_size",
        "berth.max_page",
        "berth.max_scopes",
        "berth.rate_limits.failed_logins",
        "berth.rate_limits.failed_logins_per_address",
        "berth.rate_limits.per_user",
        "berth.rate_limits.per_token",
        "berth.rate_limits.per_address",
    ),
    "5",
)
OTHERS = {
    "registry.storage.driver": "filesystem",
    "registry.storage.addressing_style": "virtual",
    "registry.storage.accel_prefix": "/-/blobs",
    "berth.roles": "web",
    "berth.trusted_proxies": "10.0.0.0/8, 127.0.0.1",
    "berth.cors_origins": "https://ui.test, http://localhost:3000",
    "berth.max_form_size": "65536",
    "berth.hsts": "30d",
    "berth.log_format": "json",
    "berth.log_level": "debug",
    "berth.access_log": "all",
    "berth.metrics_networks": "10.1.0.0/16, 127.0.0.1",
}
VALUES = ADDRESSES | LISTENERS | SWITCHES | NUMBERS | OTHERS


@pytest.mark.parametrize("key", KEYS)
def test_every_key_can_be_set_in_the_environment(key: str) -> None:
    variable = key.upper().replace(".", "__")
    # A crash is only to be had together with debug.
    debug = {"BERTH__DEBUG": "true"} if key == "berth.crash_at" else {}
    loaded = load({variable: VALUES.get(key, "any text"), **debug})
    assert loaded.origins[key] == f"environment {variable}"
    if key in VALUES:
        assert key in refused({variable: "!"})


def test_short_names() -> None:
    loaded = load({"BERTH_HOME": "/srv/berth", "ROLES": "registry"})
    assert loaded.configuration.home == Path("/srv/berth")
    assert loaded.configuration.roles == {"registry"}


def test_the_root_password_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    loaded = load({"GITLAB_ROOT_PASSWORD_FILE": str(tmp_path / "password")})
    password = loaded.configuration.gitlab_root_password
    assert password is not None
    assert password.get_secret_value() == "from a file"


def test_other_variables_are_left_alone() -> None:
    load({"PATH": "/bin", "REGISTRY": "x", "BERTH_TEST": "x", "HOME": "/root"})


# Faults


def test_an_unknown_variable_stops_and_the_tables_are_named() -> None:
    message = refused({"REGISTRY__TOKEN_RELAM": "http://localhost"})
    assert "REGISTRY__TOKEN_RELAM" in message
    assert "REGISTRY__TOKEN_REALM" in message
    assert "BERTH__HOME" not in message


@pytest.mark.parametrize(
    ("text", "named", "offered"),
    [
        ("[registry]\ntoken_relam = 'x'", "registry.token_relam", "token_realm"),
        ("external_uri = 'x'", "external_uri", "external_url"),
        ("[registry.storage]\nfolder = 'x'", "registry.storage.folder", "bucket"),
        ("[nonsense]\na = 1", "nonsense", "external_url"),
    ],
)
def test_an_unknown_key_stops_and_its_tables_keys_are_named(
    write: Any, text: str, named: str, offered: str
) -> None:
    environ = write(text)
    message = refused(environ)
    assert named in message
    assert offered in message
    assert environ["GITLAB_CONFIG"] in message


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("external_url = 'localhost:8000'", "external_url"),
        ("external_url = 'http://user@localhost'", "external_url"),
        ("registry_external_url = 'http://localhost:5000/path'", "registry_external_url"),
        ("registry_external_url = 'http://localhost:99999'", "registry_external_url"),
        ("[registry]\nregistry_http_addr = ':5000'", "registry.registry_http_addr"),
        ("[registry]\nregistry_http_addr = 'localhost:70000'", "registry.registry_http_addr"),
        ("[registry]\nenable = 'perhaps'", "registry.enable"),
        ("[registry.storage]\ndriver = 'floppy'", "registry.storage.driver"),
        ("[gitlab_rails]\nregistry_port = 0", "gitlab_rails.registry_port"),
        ("[berth]\nroles = ['web', 'cook']", "berth.roles"),
        ("[berth]\nroles = []", "berth.roles"),
        ("[berth]\ngc_review_delay = 'soon'", "berth.gc_review_delay"),
        ("[berth]\ngc_review_delay = -1", "berth.gc_review_delay"),
        ("[berth]\ngc_review_delay = 1e300", "berth.gc_review_delay"),
        ("[berth]\ntrusted_proxies = ['proxy']", "berth.trusted_proxies"),
        ("[berth]\nmetrics_networks = ['here']", "berth.metrics_networks"),
        ("registry_external_url = 'http://localhost:0'", "registry_external_url"),
        ("[berth]\ntoken_expire_delay = 0", "berth.token_expire_delay"),
        ("[berth]\ntoken_leeway = '6m'", "berth.token_leeway"),
        ("[berth]\nmax_page = 0", "berth.max_page"),
        ("[berth]\ndebug = 'yes, please'", "berth.debug"),
        ("[berth.rate_limits]\nfailed_logins = -1", "berth.rate_limits.failed_logins"),
        ("registry = 3", "registry"),
    ],
)
def test_a_bad_value_is_named(write: Any, text: str, named: str) -> None:
    environ = write(text)
    message = refused(environ)
    assert f"{named}" in message
    assert environ["GITLAB_CONFIG"] in message


def test_a_table_is_no_value(write: Any) -> None:
    environ = write("registry = 3\n") | {"REGISTRY__ENABLE": "true"}
    assert "registry is a table" in refused(environ)


def test_several_faults_are_told_at_once(write: Any) -> None:
    message = refused(write("external_url = 'x'\n[berth]\nmax_page = 0\n"))
    assert "external_url" in message
    assert "berth.max_page" in message


def test_a_bad_value_is_not_repeated(write: Any) -> None:
    assert "hunter2" not in refused(write("[registry]\nhttp_secret = ['hunter2']\n"))
    assert "hunter2" not in refused({"BERTH__MAX_PAGE": "hunter2"})
    assert "hunter2" not in refused({"EXTERNAL_URL": "http://root:hunter2@localhost"})
    assert "hunter2" not in repr(load({"GITLAB_ROOT_PASSWORD": "hunter2"}).configuration)


def test_settings_stop_with_the_message() -> None:

    ran = subprocess.run(
        [sys.executable, "-c", "import gitlab.settings"],
        env={"BERTH__MAX_PAGE": "many", "PATH": ""},
        cwd=config.PROJECT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert "berth.max_page (environment BERTH__MAX_PAGE)" in ran.stderr
    assert "Traceback" not in ran.stderr


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400), ("1w", 604800), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    loaded = load({"BERTH__UNDO_WINDOW": text})
    assert loaded.configuration.berth.undo_window == timedelta(seconds=seconds)


def test_a_number_is_seconds(write: Any) -> None:
    loaded = load(write("[berth]\nundo_window = 2\n"))
    assert loaded.configuration.berth.undo_window == timedelta(seconds=2)


@pytest.mark.parametrize("text", ["1 fortnight", "-1d", "1d2h", "", "nan", "P1D", "01:00:00"])
def test_what_is_no_duration(text: str) -> None:
    assert "berth.undo_window" in refused({"BERTH__UNDO_WINDOW": text})


def test_a_boolean_is_no_duration(write: Any) -> None:
    assert "berth.undo_window" in refused(write("[berth]\nundo_window = true\n"))


# What follows


def follow(**environ: str) -> config.Configuration:
    return load(environ).configuration


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


def test_secrets_come_from_the_state_folder(tmp_path: Path) -> None:
    configuration = follow(BERTH_HOME=str(tmp_path))
    passing = configuration.secret("http_secret")
    assert passing == configuration.secret("http_secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "http_secret").write_text("kept\n")
    assert configuration.secret("http_secret") == "kept"
    assert (
        follow(BERTH_HOME=str(tmp_path), REGISTRY__HTTP_SECRET="given").secret("http_secret")
        == "given"
    )


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "registry.storage.bucket"),
        ({"BUCKET": "b", "ACCESS_KEY": "a"}, "secret_key"),
        ({"BUCKET": "b", "SECRET_KEY": "a"}, "access_key"),
        ({"BUCKET": "b", "REDIRECT": "true", "ACCEL_PREFIX": "/-/store"}, "choose one"),
    ],
)
def test_half_an_s3_store_is_refused(given: dict[str, str], missing: str) -> None:
    variables = {f"REGISTRY__STORAGE__{name}": value for name, value in given.items()}
    with pytest.raises(BadConfiguration, match=missing):
        load({"REGISTRY__STORAGE__DRIVER": "s3", **variables})


def test_a_whole_s3_store_is_accepted() -> None:
    loaded = load({"REGISTRY__STORAGE__DRIVER": "s3", "REGISTRY__STORAGE__BUCKET": "images"})
    assert loaded.configuration.registry.storage.bucket == "images"


SECRETS = [
    setting.key
    for setting in reference.settings()
    if "_FILE=/run/secrets" in setting.shell and setting.key not in reference.FILES
]


@pytest.mark.parametrize("key", SECRETS)
@pytest.mark.parametrize("empty", ["", "  ", "\n"])
def test_no_secret_is_empty(key: str, empty: str, tmp_path: Path) -> None:
    """An empty one would be a secret that everybody knows, and an open door."""
    variable = key.upper().replace(".", "__")
    assert key in refused({variable: empty})
    (tmp_path / "empty").write_text(empty)
    assert key in refused({f"{variable}_FILE": str(tmp_path / "empty")})


def test_there_are_secrets_to_look_at() -> None:
    assert {"registry.http_secret", "berth.events_secret", "gitlab_root_password"} <= set(SECRETS)


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
