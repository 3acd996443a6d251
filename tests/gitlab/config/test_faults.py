"""Settings that are refused: each is named, with what was to be had instead."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from gitlab import config
from gitlab.config import load
from tests.gitlab.config.loading import refused

pytestmark = pytest.mark.engineless


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
        ("[berth.oidc.sso]\nclient = 'x'", "berth.oidc.sso.client", "client_id"),
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
        ("[berth.oidc.sso]\nissuer = 'http://sso.test'", "berth.oidc.sso.issuer"),
        ("[berth.oidc.SSO]\nlabel = 'x'", "berth.oidc.SSO"),
        ("[berth.oidc]\nlabel = 'x'", "berth.oidc.label"),
        ("[berth.oidc.sso]\nmemberships = ['a b developer']", "berth.oidc.sso.memberships"),
        ("[berth.oidc.sso]\nmemberships = ['a -> b boss']", "berth.oidc.sso.memberships"),
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
