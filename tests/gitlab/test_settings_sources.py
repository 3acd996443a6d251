"""Each key reaches what reads it: from the TOML file, the environment, and a secret file.

That what it reaches has the effect it should is shown elsewhere: `tests/test_settings_effects.py`
has the list. Each source is a process of its own, since settings are read once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitlab.config import KEYS, PROJECT

pytestmark = pytest.mark.engineless

Value = str | int | float | bool | list[str]

TABLE: dict[str, tuple[Value, str, Any]] = {
    "external_url": ("https://gitlab.test:8443", "s.EXTERNAL_URL", "https://gitlab.test:8443"),
    "registry_external_url": ("http://registry.test:81", "s.CONTAINER_REGISTRY_PLAIN_HTTP", True),
    "gitlab_root_password": (
        "a-root-password",
        "s.CONFIG.gitlab_root_password.get_secret_value()",
        "a-root-password",
    ),
    "registry.enable": (False, "sorted(s.ROLES)", ["web"]),
    "registry.registry_http_addr": ("127.0.0.1:5", "s.CONFIG.registry_http_addr", "127.0.0.1:5"),
    "registry.token_realm": (
        "https://sso.test",
        "s.REGISTRY_TOKEN_REALM",
        "https://sso.test/jwt/auth",
    ),
    "registry.http_secret": ("a-http-secret", "s.REGISTRY_HTTP_SECRET", "a-http-secret"),
    "registry.internal_key": (
        "a-key",
        "s.CONFIG.registry.internal_key.get_secret_value()",
        "a-key",
    ),
    "registry.internal_certificate": (
        "a-certificate",
        "s.CONFIG.registry.internal_certificate",
        "a-certificate",
    ),
    "registry.rootcertbundle": ("/b.crt", "str(s.TOKENS_CERTIFICATE_BUNDLE)", "/b.crt"),
    "registry.health_storagedriver_enabled": (
        False,
        "s.REGISTRY_HEALTH_STORAGEDRIVER_ENABLED",
        False,
    ),
    "registry.registry_issuer": ("one", "s.CONFIG.registry.registry_issuer", "one"),
    "registry.storage.driver": ("s3", "s.REGISTRY_STORAGE['driver']", "s3"),
    "registry.storage.root": ("/srv/images", "str(s.REGISTRY_STORAGE['root'])", "/srv/images"),
    "registry.storage.bucket": ("images", "s.REGISTRY_STORAGE['s3']['bucket']", "images"),
    "registry.storage.prefix": ("below", "s.REGISTRY_STORAGE['s3']['prefix']", "below"),
    "registry.storage.endpoint": (
        "http://store.test:9000",
        "s.REGISTRY_STORAGE['s3']['endpoint']",
        "http://store.test:9000",
    ),
    "registry.storage.region": (
        "eu-central-1",
        "s.REGISTRY_STORAGE['s3']['region']",
        "eu-central-1",
    ),
    "registry.storage.addressing_style": (
        "virtual",
        "s.REGISTRY_STORAGE['s3']['addressing_style']",
        "virtual",
    ),
    "registry.storage.access_key": ("AKIA", "s.REGISTRY_STORAGE['s3']['access_key']", "AKIA"),
    "registry.storage.secret_key": ("hush", "s.REGISTRY_STORAGE['s3']['secret_key']", "hush"),
    "registry.storage.redirect": (False, "s.REGISTRY_STORAGE['redirect']", False),
    "registry.storage.accel_prefix": ("/-/b", "s.REGISTRY_STORAGE['accel_prefix']", "/-/b"),
    "gitlab_rails.registry_enabled": (False, "s.CONTAINER_REGISTRY_ENABLED", False),
    "gitlab_rails.registry_api_url": (
        "http://inside.test:5",
        "s.CONTAINER_REGISTRY_API_URL",
        "http://inside.test:5",
    ),
    "gitlab_rails.registry_host": (
        "shown.test",
        "s.CONTAINER_REGISTRY_HOST_PORT.split(':')[0]",
        "shown.test",
    ),
    "gitlab_rails.registry_port": (5050, "s.CONTAINER_REGISTRY_HOST_PORT.split(':')[1]", "5050"),
    "gitlab_rails.registry_issuer": ("two", "s.TOKENS_ISSUER", "two"),
    "gitlab_rails.registry_key_path": ("/k.key", "str(s.TOKENS_KEY_PATH)", "/k.key"),
    "gitlab_rails.internal_key": (
        "their-key",
        "s.CONFIG.gitlab_rails.internal_key.get_secret_value()",
        "their-key",
    ),
    "gitlab_rails.smtp_enable": (
        True,
        "[s.MAIL_ENABLED, s.EMAIL_BACKEND]",
        [True, "django.core.mail.backends.smtp.EmailBackend"],
    ),
    "gitlab_rails.smtp_address": ("smtp.test", "s.EMAIL_HOST", "smtp.test"),
    "gitlab_rails.smtp_port": (587, "s.EMAIL_PORT", 587),
    "gitlab_rails.smtp_user_name": ("mailer", "s.EMAIL_HOST_USER", "mailer"),
    "gitlab_rails.smtp_password": ("a-mail-secret", "s.EMAIL_HOST_PASSWORD", "a-mail-secret"),
    "gitlab_rails.smtp_tls": (True, "s.EMAIL_USE_SSL", True),
    # With `smtp_tls`, which this file sets as well, it counts for nothing.
    "gitlab_rails.smtp_starttls": (
        True,
        "[s.CONFIG.gitlab_rails.smtp_starttls, s.EMAIL_USE_TLS]",
        [True, False],
    ),
    "gitlab_rails.gitlab_email_from": ("me@x.test", "s.DEFAULT_FROM_EMAIL", "me@x.test"),
    "berth.home": ("/srv/berth-home", "str(s.HOME)", "/srv/berth-home"),
    "berth.roles": (["web"], "sorted(s.ROLES)", ["web"]),
    "berth.processes": (5, "s.CONFIG.berth.processes", 5),
    "berth.web_http_addr": ("127.0.0.1:6", "s.CONFIG.web_http_addr", "127.0.0.1:6"),
    "berth.database_url": (
        "postgresql://one:p%40ss@db.test:5433/gitlab?sslmode=require",
        "[s.DATABASES['default'][k] for k in ('HOST', 'PORT', 'NAME', 'USER', 'PASSWORD')]",
        ["db.test", "5433", "gitlab", "one", "p@ss"],
    ),
    "berth.registry_database_url": (
        "sqlite:////srv/registry.sqlite3",
        "s.DATABASES['registry']['NAME']",
        "/srv/registry.sqlite3",
    ),
    "berth.database_timeout": ("7s", "s.DATABASE_TIMEOUT.total_seconds()", 7),
    "berth.broker_url": (
        "redis://broker.test/1",
        "s.CONFIG.berth.broker_url.get_secret_value()",
        "redis://broker.test/1",
    ),
    "berth.cache_url": (
        "redis://cache.test/2",
        "[s.CACHES['default']['LOCATION'], s.RATE_LIMITS_STORES[0]]",
        ["redis://cache.test/2", "redis://cache.test/2"],
    ),
    "berth.token_expire_delay": (2.5, "s.TOKENS_LIFETIME", 150),
    "berth.token_leeway": ("3s", "s.TOKENS_LEEWAY", 3),
    "berth.gc_review_delay": ("90s", "s.REGISTRY_GC_REVIEW_DELAY.total_seconds()", 90),
    "berth.undo_window": ("2m", "s.UNDO_WINDOW.total_seconds()", 120),
    "berth.events_kept": ("5d", "s.REGISTRY_EVENTS_KEPT.days", 5),
    "berth.tag_history_kept": ("6d", "s.REGISTRY_TAG_HISTORY_KEPT.days", 6),
    "berth.pulls_kept": ("9d", "s.REGISTRY_PULLS_KEPT.days", 9),
    "berth.audit_events_kept": ("7d", "s.AUDIT_EVENTS_KEPT.days", 7),
    "berth.denials_kept": ("3d", "s.DENIALS_KEPT.days", 3),
    "berth.audit_stream": ("syslog:///dev/log", "s.AUDIT_STREAM", "syslog:///dev/log"),
    "berth.max_token_lifetime": ("8d", "s.MAX_TOKEN_LIFETIME.days", 8),
    "berth.token_expiry_warning": ("9d", "s.TOKEN_EXPIRY_WARNING.days", 9),
    "berth.upload_expiry": ("3h", "s.REGISTRY_UPLOAD_EXPIRY.total_seconds()", 10800),
    "berth.delete_enabled": (False, "s.REGISTRY_DELETE_ENABLED", False),
    "berth.push_creates_projects": (False, "s.PUSH_CREATES_PROJECTS", False),
    "berth.hsts": ("30d", "s.CONFIG.berth.hsts.days", 30),
    "berth.signup_enabled": (True, "s.SIGNUP_ENABLED", True),
    "berth.signup_domains": (["x.test"], "s.SIGNUP_DOMAINS", ["x.test"]),
    "berth.signup_requires_approval": (True, "s.SIGNUP_REQUIRES_APPROVAL", True),
    "berth.deactivate_dormant_after": ("9d", "s.DEACTIVATE_DORMANT_AFTER.days", 9),
    "berth.invitation_expiry": ("9d", "s.INVITATION_EXPIRY.days", 9),
    "berth.invitations_make_accounts": (True, "s.INVITATIONS_MAKE_ACCOUNTS", True),
    # With a mail server, which this file sets as well, it counts for nothing.
    "berth.mail_to_log": (True, "s.CONFIG.berth.mail_to_log", True),
    "berth.password_min_length": (12, "s.PASSWORD_MIN_LENGTH", 12),
    "berth.require_two_factor": (True, "s.REQUIRE_TWO_FACTOR", True),
    "berth.two_factor_grace_period": ("7d", "s.TWO_FACTOR_GRACE.days", 7),
    "berth.max_manifest_size": (1000, "s.REGISTRY_MAX_MANIFEST_SIZE", 1000),
    "berth.max_blob_size": (2000, "s.REGISTRY_MAX_BLOB_SIZE", 2000),
    "berth.max_page": (30, "s.REGISTRY_MAX_PAGE", 30),
    "berth.max_scopes": (4, "s.TOKENS_MAX_SCOPES", 4),
    "berth.max_form_size": (
        5000,
        "[s.DATA_UPLOAD_MAX_MEMORY_SIZE, s.TOKENS_MAX_FORM_SIZE]",
        [5000, 5000],
    ),
    "berth.trusted_proxies": (["10.0.0.0/8"], "s.TRUSTED_PROXIES", ["10.0.0.0/8"]),
    "berth.cors_origins": (
        ["https://ui.test", "http://localhost:3000"],
        "s.CORS_ORIGINS",
        ["https://ui.test", "http://localhost:3000"],
    ),
    "berth.tls_certificate": (
        "/t.crt",
        "[str(s.CONFIG.berth.tls_certificate), s.SESSION_COOKIE_SECURE]",
        ["/t.crt", True],
    ),
    "berth.tls_key": ("/t.key", "str(s.CONFIG.berth.tls_key)", "/t.key"),
    "berth.registry_ca_bundle": ("/ca.crt", "str(s.CONTAINER_REGISTRY_CA_BUNDLE)", "/ca.crt"),
    "berth.sigstore_trust_root": ("/root.json", "str(s.SIGSTORE_TRUST_ROOT)", "/root.json"),
    "berth.issuer_networks": (["10.2.0.0/16"], "s.ISSUER_NETWORKS", ["10.2.0.0/16"]),
    "berth.issuer_ca_bundle": ("/issuers.crt", "s.ISSUER_CA_BUNDLE", "/issuers.crt"),
    "berth.secret_key": ("a-secret-key", "s.SECRET_KEY", "a-secret-key"),
    "berth.events_secret": ("an-e-secret", "s.CONTAINER_REGISTRY_EVENTS_SECRET", "an-e-secret"),
    "berth.metrics_networks": (["10.1.0.0/16"], "s.METRICS_NETWORKS", ["10.1.0.0/16"]),
    "berth.metrics_token": ("a-m-token", "s.METRICS_TOKEN", "a-m-token"),
    "berth.worker_metrics_addr": ("127.0.0.1:9", "s.WORKER_METRICS_ADDR", "127.0.0.1:9"),
    "berth.log_format": ("json", "s.LOGGING['formatters']['line']['form']", "json"),
    "berth.log_level": ("warning", "s.LOGGING['root']['level']", "WARNING"),
    "berth.access_log": ("all", "s.ACCESS_LOG", "all"),
    "berth.debug": (True, "s.DEBUG", True),
    "berth.crash_at": ("blob_renamed", "s.CRASH_AT", "blob_renamed"),
    "berth.rate_limits.failed_logins": (3, "s.FAILED_LOGIN_LIMIT", 3),
    "berth.rate_limits.failed_logins_per_address": (50, "s.FAILED_LOGINS_PER_ADDRESS", 50),
    "berth.rate_limits.per_user": (11, "s.RATE_LIMITS['user']", 11),
    "berth.rate_limits.per_token": (12, "s.RATE_LIMITS['token']", 12),
    "berth.rate_limits.per_address": (13, "s.RATE_LIMITS['address']", 13),
    "berth.limits.namespace_bytes": (10**9, "s.QUOTA_BYTES", 10**9),
    "berth.limits.namespace_images": (50, "s.QUOTA_IMAGES", 50),
    "berth.limits.uploads_per_person": (9, "s.REGISTRY_UPLOADS_PER_PERSON", 9),
    "berth.limits.projects_per_hour": (8, "s.PROJECTS_PER_HOUR", 8),
    "berth.limits.tokens_per_person": (7, "s.TOKENS_PER_PERSON", 7),
    "berth.oidc.name.label": ("Company", "s.IDENTITY_PROVIDERS['name'].label", "Company"),
    "berth.oidc.name.issuer": (
        "https://sso.test/",
        "s.IDENTITY_PROVIDERS['name'].issuer",
        "https://sso.test/",
    ),
    "berth.oidc.name.client_id": ("berth", "s.IDENTITY_PROVIDERS['name'].client_id", "berth"),
    "berth.oidc.name.client_secret": (
        "a-client-secret",
        "s.IDENTITY_PROVIDERS['name'].client_secret.get_secret_value()",
        "a-client-secret",
    ),
    "berth.oidc.name.scopes": (
        ["openid", "groups"],
        "s.IDENTITY_PROVIDERS['name'].scopes",
        ["openid", "groups"],
    ),
    "berth.oidc.name.username_claim": (
        "nickname",
        "s.IDENTITY_PROVIDERS['name'].username_claim",
        "nickname",
    ),
    "berth.oidc.name.groups_claim": ("roles", "s.IDENTITY_PROVIDERS['name'].groups_claim", "roles"),
    "berth.oidc.name.trust_emails": (True, "s.IDENTITY_PROVIDERS['name'].trust_emails", True),
    "berth.oidc.name.create_users": (True, "s.IDENTITY_PROVIDERS['name'].create_users", True),
    "berth.oidc.name.link_by_email": (True, "s.IDENTITY_PROVIDERS['name'].link_by_email", True),
    "berth.oidc.name.allowed_domains": (
        ["x.test"],
        "s.IDENTITY_PROVIDERS['name'].allowed_domains",
        ["x.test"],
    ),
    "berth.oidc.name.allowed_groups": (
        ["staff"],
        "s.IDENTITY_PROVIDERS['name'].allowed_groups",
        ["staff"],
    ),
    "berth.oidc.name.admin_group": ("admins", "s.IDENTITY_PROVIDERS['name'].admin_group", "admins"),
    "berth.oidc.name.memberships": (
        ["a b -> acme/app owner"],
        "s.IDENTITY_PROVIDERS['name'].given",
        [["a b", "acme/app", 50]],
    ),
    "berth.oidc.name.second_factor": (True, "s.IDENTITY_PROVIDERS['name'].second_factor", True),
    "berth.oidc.name.absent_after": ("30d", "s.IDENTITY_PROVIDERS['name'].absent_after.days", 30),
    "berth.ldap.name.label": ("Directory", "s.DIRECTORIES['name'].label", "Directory"),
    "berth.ldap.name.servers": (
        ["ldap://l.test"],
        "s.DIRECTORIES['name'].servers",
        ["ldap://l.test"],
    ),
    "berth.ldap.name.start_tls": (True, "s.DIRECTORIES['name'].start_tls", True),
    "berth.ldap.name.ca_file": ("/c/l.crt", "s.DIRECTORIES['name'].ca_file.name", "l.crt"),
    "berth.ldap.name.bind_dn": ("cn=berth,dc=x", "s.DIRECTORIES['name'].bind_dn", "cn=berth,dc=x"),
    "berth.ldap.name.bind_password_file": (
        "/c/l.password",
        "s.DIRECTORIES['name'].bind_password_file.name",
        "l.password",
    ),
    "berth.ldap.name.users_base": (
        "ou=people,dc=x",
        "s.DIRECTORIES['name'].users_base",
        "ou=people,dc=x",
    ),
    "berth.ldap.name.user_filter": ("(a=b)", "s.DIRECTORIES['name'].user_filter", "(a=b)"),
    "berth.ldap.name.login_attributes": (
        ["uid"],
        "s.DIRECTORIES['name'].login_attributes",
        ["uid"],
    ),
    "berth.ldap.name.id_attribute": (
        "objectGUID",
        "s.DIRECTORIES['name'].id_attribute",
        "objectGUID",
    ),
    "berth.ldap.name.username_attribute": ("cn", "s.DIRECTORIES['name'].username_attribute", "cn"),
    "berth.ldap.name.email_attribute": (
        "address",
        "s.DIRECTORIES['name'].email_attribute",
        "address",
    ),
    "berth.ldap.name.name_attribute": (
        "displayName",
        "s.DIRECTORIES['name'].name_attribute",
        "displayName",
    ),
    "berth.ldap.name.groups_base": (
        "ou=groups,dc=x",
        "s.DIRECTORIES['name'].groups_base",
        "ou=groups,dc=x",
    ),
    "berth.ldap.name.group_filter": ("(c=d)", "s.DIRECTORIES['name'].group_filter", "(c=d)"),
    "berth.ldap.name.group_member": (
        "uniqueMember",
        "s.DIRECTORIES['name'].group_member",
        "uniqueMember",
    ),
    "berth.ldap.name.nested_groups": (True, "s.DIRECTORIES['name'].nested_groups", True),
    "berth.ldap.name.create_users": (True, "s.DIRECTORIES['name'].create_users", True),
    "berth.ldap.name.link_by_email": (True, "s.DIRECTORIES['name'].link_by_email", True),
    "berth.ldap.name.allowed_groups": (
        ["staff"],
        "s.DIRECTORIES['name'].allowed_groups",
        ["staff"],
    ),
    "berth.ldap.name.admin_group": ("admins", "s.DIRECTORIES['name'].admin_group", "admins"),
    "berth.ldap.name.memberships": (
        ["a b -> acme/app owner"],
        "s.DIRECTORIES['name'].given",
        [["a b", "acme/app", 50]],
    ),
    "berth.ldap.name.timeout": ("3s", "s.DIRECTORIES['name'].seconds", 3.0),
}


def variable(key: str) -> str:
    return key.upper().replace(".", "__")


def as_text(value: Value) -> str:
    """A value as the environment and files spell it."""
    if isinstance(value, list):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_toml(values: dict[str, Value]) -> str:
    tables: dict[str, list[str]] = {}
    for key, value in values.items():
        table, _, name = key.rpartition(".")
        tables.setdefault(table, []).append(f"{name} = {json.dumps(value)}")
    parts = ["\n".join(tables.pop("", []))]
    parts += [f"[{table}]\n" + "\n".join(lines) for table, lines in tables.items()]
    return "\n".join(parts) + "\n"


def environment(source: str, folder: Path) -> dict[str, str]:
    values = {key: value for key, (value, _, _) in TABLE.items()}
    path = folder / "gitlab.toml"
    path.write_text(as_toml(values) if source == "toml" else "")
    found = {"GITLAB_CONFIG": str(path)}
    if source == "environment":
        found |= {variable(key): as_text(value) for key, value in values.items()}
    elif source == "file":
        for key, value in values.items():
            (folder / key).write_text(f"{as_text(value)}\n")
            found[f"{variable(key)}_FILE"] = str(folder / key)
    return found


@pytest.mark.parametrize("source", ["toml", "environment", "file"])
def test_each_key_reaches_what_reads_it(source: str, tmp_path: Path) -> None:
    assert list(TABLE) == list(KEYS), "each key stands here, in its order"
    lines = ",\n".join(f"{key!r}: {expression}" for key, (_, expression, _) in TABLE.items())
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import json\nfrom gitlab import settings as s\nprint(json.dumps({{{lines}}}))",
        ],
        env={"PATH": os.environ.get("PATH", ""), **environment(source, tmp_path)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found == {key: expected for key, (_, _, expected) in TABLE.items()}


@pytest.mark.parametrize(
    ("given", "requests", "logins"),
    [
        ({}, ["file"], ["file"]),
        ({"BERTH__DATABASE_URL": "postgresql://b@db.test/b"}, ["file"], ["database", "file"]),
        ({"BERTH__CACHE_URL": "redis://cache.test/2"}, ["redis", "file"], ["redis", "file"]),
        (
            {
                "BERTH__CACHE_URL": "rediss://cache.test/2",
                "BERTH__DATABASE_URL": "postgresql://b@db.test/b",
            },
            ["rediss", "file"],
            ["rediss", "database", "file"],
        ),
        (
            {"ROLES": "registry", "BERTH__DATABASE_URL": "postgresql://b@db.test/b"},
            ["file"],
            ["file"],
        ),
    ],
)
def test_where_limits_are_counted(
    given: dict[str, str], requests: list[str], logins: list[str], tmp_path: Path
) -> None:
    """Nodes that share a database share the failed logins, also without Redis."""
    stores = "s.RATE_LIMITS_STORES, s.FAILED_LOGINS_STORES"
    schemes = f"[[url.partition(':')[0] for url in urls] for urls in ({stores})]"
    code = f"import json\nfrom gitlab import settings as s\nprint(json.dumps({schemes}))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ.get("PATH", ""), **environment("none", tmp_path), **given},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == [requests, logins]
