"""``prepare`` and ``show_config``, run as people run them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitlab.config import KEYS
from gitlab.management.commands.show_config import mask_password
from tests.e2e.installation import PROJECT, Installation
from tokens import keys

pytestmark = [pytest.mark.engineless, pytest.mark.xdist_group("commands")]

_SHOWN = [key for key in KEYS if ".name." not in key]
"""Those of several tables of a kind are shown where there are any."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path / "node")
    yield made
    made.discard()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def snapshot(home: Path) -> dict[str, bytes]:
    kept = ["secrets", "keys", "static"]
    return {
        str(path): path.read_bytes()
        for name in kept
        for path in sorted((home / name).rglob("*"))
        if path.is_file()
    }


def refused(node: Installation, **settings: str) -> str:
    with pytest.raises(AssertionError) as caught:
        node.manage("prepare", **settings)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


def test_prepare_makes_everything_and_a_second_run_changes_nothing(node: Installation) -> None:
    del node.settings["GITLAB_ROOT_PASSWORD"]
    printed = node.manage("prepare")
    # What is printed to no terminal goes to a journal: the password stands in a file.
    kept = node.home / "secrets" / "initial_root_password"
    password = kept.read_text().strip()
    assert str(kept) in printed
    assert password not in printed
    assert len(password) >= 16
    assert mode(kept) == 0o600
    assert mode(node.home) == 0o700
    for name in ("secret_key", "http_secret", "events_secret"):
        assert mode(node.home / "secrets" / name) == 0o600
        assert len((node.home / "secrets" / name).read_text()) >= 48
    assert mode(node.home / "keys" / "gitlab-registry.key") == 0o600
    keys.signing_key(
        (node.home / "keys" / "gitlab-registry.key").read_bytes(),
        (node.home / "keys" / "gitlab-registry.crt").read_bytes(),
    )
    assert (node.home / "db" / "gitlab.sqlite3").exists()
    assert (node.home / "db" / "registry.sqlite3").exists()
    assert (node.home / "static" / "staticfiles.json").exists()
    assert node.run_python(
        "from django.contrib.auth import authenticate\n"
        f"answer = authenticate(username='root', password={password!r}) is not None"
    )
    before = snapshot(node.home)
    assert node.manage("prepare") == ""
    assert snapshot(node.home) == before


def test_a_reader_who_has_enough_is_no_fault(node: Installation) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, PROJECT / "manage.py", "show_config"],
        check=False,
        env=node.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writer)
    assert ended.stderr == ""
    assert ended.returncode == 128 + signal.SIGPIPE


def test_two_at_once_with_a_root_password(node: Installation) -> None:
    both = [
        subprocess.Popen(
            [sys.executable, "manage.py", "prepare"],
            cwd=PROJECT,
            env=node.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    printed = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert "".join(printed).count("Made the administrator") == 1
    assert "".join(printed).count("Made the key pair") == 1
    # The root password can be given.
    assert "GITLAB_ROOT_PASSWORD" in "".join(printed)
    assert node.root_password not in "".join(printed)
    assert node.run_python(
        "from django.contrib.auth import authenticate\n"
        f"answer = authenticate(username='root', password={node.root_password!r}) is not None"
    )
    # It counts when the administrator is made, and never again.
    assert node.manage("prepare", GITLAB_ROOT_PASSWORD="another-password-entirely") == ""


def test_a_registry_needs_the_certificate_only(node: Installation, tmp_path: Path) -> None:
    _, certificate = keys.generate()
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(certificate)
    node.manage("prepare", BERTH__ROLES="registry", REGISTRY__ROOTCERTBUNDLE=str(bundle))
    assert not (node.home / "keys" / "gitlab-registry.key").exists()
    assert not (node.home / "db" / "gitlab.sqlite3").exists()
    assert (node.home / "db" / "registry.sqlite3").exists()


def test_a_registry_without_a_pair_makes_one_and_says_where_to_carry_it(node: Installation) -> None:
    printed = node.manage("prepare", BERTH__ROLES="registry")
    assert "carry gitlab-registry.key" in printed
    assert mode(node.home / "keys" / "gitlab-registry.key") == 0o600


def test_gitlabs_node_without_a_key_stops_and_says_what_to_carry(node: Installation) -> None:
    message = refused(node, BERTH__ROLES="web")
    assert "gitlab-registry.key" in message
    assert "gitlab_rails.internal_key" in message
    assert str(node.home / "keys" / "gitlab-registry.key") in message
    assert not (node.home / "db" / "gitlab.sqlite3").exists()


def test_gitlabs_node_without_the_certificate_stops(node: Installation) -> None:
    key, _ = keys.generate()
    message = refused(node, BERTH__ROLES="web", GITLAB_RAILS__INTERNAL_KEY=key.decode())
    assert "gitlab-registry.crt" in message
    assert "registry.internal_certificate" in message
    assert key.decode() not in message


def test_a_pair_can_be_configured(node: Installation) -> None:
    key, certificate = keys.generate(rsa_bits=2048)
    settings = {
        "REGISTRY__INTERNAL_KEY": key.decode(),
        "REGISTRY__INTERNAL_CERTIFICATE": certificate.decode(),
    }
    node.copy_prepared()
    shutil.rmtree(node.home / "keys")
    node.manage("prepare", **settings)
    path = node.home / "keys" / "gitlab-registry.key"
    assert path.read_bytes().strip() == key.strip()
    assert mode(path) == 0o600
    assert mode(node.home / "keys" / "gitlab-registry.crt") == 0o644
    # A new pair replaces it.
    key, certificate = keys.generate()
    settings |= {"REGISTRY__INTERNAL_KEY": key.decode()}
    settings |= {"REGISTRY__INTERNAL_CERTIFICATE": certificate.decode()}
    node.manage("prepare", **settings)
    assert path.read_bytes().strip() == key.strip()
    assert mode(path) == 0o600


def test_a_pair_that_does_not_belong_together_stops(node: Installation) -> None:
    (key, _), (_, certificate) = keys.generate(), keys.generate()
    message = refused(
        node,
        GITLAB_RAILS__INTERNAL_KEY=key.decode(),
        REGISTRY__INTERNAL_CERTIFICATE=certificate.decode(),
    )
    assert "none of the certificates belongs to the private key" in message
    assert "registry.internal_certificate" in message


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"GITLAB_RAILS__REGISTRY_ISSUER": "other"}, "registry.registry_issuer"),
        ({"BERTH__TLS_KEY": "/nowhere.key"}, "berth.tls_certificate"),
        ({"BERTH__REGISTRY_CA_BUNDLE": "/nowhere.crt"}, "berth.registry_ca_bundle"),
        ({"BERTH__ISSUER_CA_BUNDLE": "/nowhere.crt"}, "berth.issuer_ca_bundle"),
        ({"BERTH__ROLES": "registry", "REGISTRY__ENABLE": "false"}, "registry.enable"),
        ({"BERTH_HOME": "/proc/nowhere"}, "berth.home"),
        ({"GITLAB_RAILS__INTERNAL_KEY": "a", "REGISTRY__INTERNAL_KEY": "b"}, "different keys"),
    ],
)
def test_what_stops_a_node(node: Installation, settings: dict[str, str], named: str) -> None:
    assert named in refused(node, **settings)


def test_a_backup_as_json(node: Installation, tmp_path: Path) -> None:
    node.copy_prepared()
    said = json.loads(node.manage("backup", str(tmp_path / "out"), "--format=json"))
    assert said["folder"] == str(tmp_path / "out")
    assert said["databases"] == {"default": "sqlite3", "registry": "sqlite3"}
    assert (tmp_path / "out" / "backup.json").exists()


def test_an_empty_secret_is_made_again(node: Installation) -> None:
    """A power cut between making the file and writing it leaves one."""
    node.copy_prepared()
    (node.home / "secrets" / "http_secret").write_text("")
    node.manage("prepare")
    assert len((node.home / "secrets" / "http_secret").read_text()) >= 48


# show_config


def rows(node: Installation, **settings: str) -> dict[str, dict[str, object]]:
    printed = json.loads(node.manage("show_config", "--format", "json", **settings))
    return {row["key"]: row for row in printed}


def test_every_key_is_shown_with_its_origin(node: Installation, tmp_path: Path) -> None:
    (node.folder / "gitlab.toml").write_text("[berth]\nmax_page = 7\nundo_window = '1m'\n")
    (tmp_path / "secret").write_text("hunter2-hunter2\n")
    shown = rows(
        node,
        REGISTRY__HTTP_SECRET_FILE=str(tmp_path / "secret"),
        BERTH__DATABASE_URL="postgresql://berth:hunter2@db.example.com/gitlab",
        BERTH__BROKER_URL="redis://:hunter2@redis.example.com:6379/0",
    )
    assert set(shown) == set(_SHOWN)
    assert shown["berth.max_page"]["value"] == 7
    assert shown["berth.max_page"]["origin"] == str(node.folder / "gitlab.toml")
    assert shown["berth.undo_window"]["value"] == "60s"
    assert shown["external_url"]["origin"] == "environment EXTERNAL_URL"
    assert shown["registry.enable"]["origin"] == "default"
    assert shown["registry.token_realm"]["value"] == f"{node.url}/jwt/auth"
    assert shown["registry.http_secret"]["value"] == "********"
    assert shown["registry.http_secret"]["origin"] == f"file {tmp_path / 'secret'}"
    assert shown["gitlab_root_password"]["value"] == "********"
    assert (
        shown["berth.database_url"]["value"] == "postgresql://berth:********@db.example.com/gitlab"
    )
    assert shown["berth.broker_url"]["value"] == "redis://:********@redis.example.com:6379/0"
    assert "hunter2" not in json.dumps(shown)
    assert node.root_password not in json.dumps(shown)


def test_the_text_form_has_a_line_for_each_key(node: Installation) -> None:
    lines = node.manage("show_config").splitlines()
    assert [line.split()[0] for line in lines] == _SHOWN
    assert all(" = " in line and "  # " in line for line in lines)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("sqlite:////srv/x.sqlite3", "sqlite:////srv/x.sqlite3"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://u:p%40:x@h/d", "postgresql://u:********@h/d"),
        ("postgresql://h/d?user=u&password=p&sslmode=x", "postgresql://h/d?user=u&password=********&sslmode=x"),
        ("rediss://default:p@h:6379/0", "rediss://default:********@h:6379/0"),
        ("redis://:p@ss/word@h:6379/0", "redis://:********@h:6379/0"),
    ],
)  # fmt: skip
def test_passwords_in_addresses_are_masked(url: str, masked: str) -> None:
    assert mask_password(url) == masked
