"""Settings: where they come from, and which wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitlab.config import KEYS, load
from tests.gitlab.config.loading import refused

pytestmark = pytest.mark.engineless


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
        "berth.oidc.name.issuer",
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
        "gitlab_rails.smtp_enable",
        "gitlab_rails.smtp_tls",
        "gitlab_rails.smtp_starttls",
        "berth.oidc.name.trust_emails",
        "berth.oidc.name.create_users",
        "berth.oidc.name.link_by_email",
        "berth.oidc.name.second_factor",
        "berth.ldap.name.start_tls",
        "berth.ldap.name.nested_groups",
        "berth.ldap.name.create_users",
        "berth.ldap.name.link_by_email",
    ),
    "true",
)

NUMBERS = dict.fromkeys(
    (
        "gitlab_rails.registry_port",
        "gitlab_rails.smtp_port",
        "berth.token_expiry_warning",
        "berth.token_expire_delay",
        "berth.token_leeway",
        "berth.gc_review_delay",
        "berth.undo_window",
        "berth.events_kept",
        "berth.tag_history_kept",
        "berth.pulls_kept",
        "berth.audit_events_kept",
        "berth.denials_kept",
        "berth.max_token_lifetime",
        "berth.oidc.name.absent_after",
        "berth.ldap.name.timeout",
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
        "berth.limits.namespace_bytes",
        "berth.limits.namespace_images",
        "berth.limits.uploads_per_person",
        "berth.limits.projects_per_hour",
        "berth.limits.tokens_per_person",
    ),
    "5",
)

OTHERS = {
    "berth.password_min_length": "12",
    "berth.require_two_factor": "true",
    "berth.two_factor_grace_period": "7d",
    "berth.oidc.name.memberships": "engineering -> acme developer",
    "berth.ldap.name.servers": "ldaps://one.test, ldaps://two.test",
    "berth.ldap.name.user_filter": "(objectClass=person)",
    "berth.ldap.name.login_attributes": "uid, mail",
    "berth.ldap.name.id_attribute": "entryUUID",
    "berth.ldap.name.username_attribute": "uid",
    "berth.ldap.name.email_attribute": "mail",
    "berth.ldap.name.name_attribute": "cn",
    "berth.ldap.name.group_filter": "(objectClass=groupOfNames)",
    "berth.ldap.name.group_member": "memberUid",
    "berth.ldap.name.memberships": "engineering -> acme developer",
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
    "berth.audit_stream": "syslog:///dev/log",
    "berth.issuer_networks": "10.2.0.0/16, 127.0.0.1",
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
