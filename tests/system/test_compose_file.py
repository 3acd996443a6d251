"""docker-compose.yml and its setup without docker; tests/compose runs them for real."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from cryptography import x509

from gitlab.config import load
from tests.e2e.installation import PROJECT
from tokens import keys, rotation

pytestmark = [pytest.mark.system, pytest.mark.engineless]

FILE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
LONG = ("nginx", "web", "registry", "worker", "beat", "postgres", "redis", "store")
OURS = ("web", "registry", "worker", "beat", "manage")
SECRET = re.compile("SECRET|PASSWORD|ACCESS_KEY|(DATABASE|BROKER|CACHE)_URL")
URLS = {"GITLAB_URL": "https://gitlab.test:8443", "REGISTRY_URL": "https://registry.test:8443"}


def test_every_service_is_confined() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert (service["restart"] == "unless-stopped") == (name in LONG), name
        assert not service.get("privileged"), name
    for name in ("postgres", "redis", "store"):
        # Only nginx is reached from outside; those who keep something have no way out.
        assert "ports" not in SERVICES[name]
        assert all(FILE["networks"][network]["internal"] for network in SERVICES[name]["networks"])


@pytest.mark.parametrize("name", OURS)
def test_the_settings_are_known_and_agree(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("postgresql://gitlab:x@postgres/gitlab")
    environment = {"GITLAB_CONFIG": str(tmp_path / "gitlab.toml")}
    (tmp_path / "gitlab.toml").touch()
    for key, value in SERVICES[name]["environment"].items():
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
        environment[key] = str(tmp_path / "secret") if key.endswith("_FILE") else text
        assert key.endswith("_FILE") or not SECRET.search(key), key
    config = load(environment).configuration
    assert config.external_url == "https://gitlab.localhost"
    assert config.registry_host_port == "registry.localhost"
    assert config.registry_api_url == "http://registry:5000"
    assert "registry" in config.hosts
    mounted = [volume.split(":")[1] for volume in SERVICES[name]["volumes"]]
    for value in SERVICES[name]["environment"].values():
        if value.startswith("/run/secrets/"):
            assert str(Path(value).parent) in mounted


def test_it_runs_what_the_procfile_runs() -> None:
    script = (PROJECT / "deploy" / "start").read_text()
    for line in (PROJECT / "Procfile").read_text().splitlines():
        command = line.partition(" -m ")[2].replace("--clock ", "")
        assert command in script, command
    assert {service["command"][0] for service in SERVICES.values() if service.get("command")} >= {
        "web", "registry", "worker", "beat",
    }  # fmt: skip


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The one-shot service, on folders of the test's own."""
    path = PROJECT / "deploy" / "compose" / "setup.py"
    spec = importlib.util.spec_from_file_location("compose_setup", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "VOLUMES", tmp_path / "volumes")
    monkeypatch.setattr(module, "GIVEN", tmp_path / "given")
    for name in module.OWNERS:
        (tmp_path / "volumes" / name).mkdir(parents=True)
    if os.geteuid() != 0:
        monkeypatch.setattr(module.os, "chown", lambda *_: None)
    for variable, value in URLS.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(module.sys, "argv", ["setup.py"])
    umask = os.umask(0o022)
    yield module
    os.umask(umask)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_setup_makes_everything_once(setup: ModuleType) -> None:
    setup.main()
    made = contents(setup.VOLUMES)
    setup.main()
    assert contents(setup.VOLUMES) == made
    for path in setup.VOLUMES.rglob("*"):
        if path.is_file() and path.name != "ca.crt":
            assert path.stat().st_mode & 0o777 == 0o600, path
        if path.is_dir():
            assert path.stat().st_mode & 0o777 == 0o700, path
    keys.signing_key(made["web/token.key"], made["registry/token.crt"])
    assert not [name for name in made if name.startswith("registry/") and b"PRIVATE" in made[name]]
    assert b"server_name gitlab.test;" in made["nginx/nginx.conf"]
    assert b"example.com;" not in made["nginx/nginx.conf"]
    certificate = x509.load_pem_x509_certificate(made["nginx/tls.crt"])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["gitlab.test", "registry.test"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(made["web/ca.crt"]))


def test_another_name_gets_another_certificate_and_nothing_else_changes(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.main()
    before = contents(setup.VOLUMES)
    monkeypatch.setenv("REGISTRY_URL", "https://images.test")
    setup.main()
    after = contents(setup.VOLUMES)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        "nginx/nginx.conf", "nginx/tls.crt", "nginx/tls.key", "nginx/ca.crt", "web/ca.crt",
    }  # fmt: skip


def test_an_administrators_certificate_is_taken(setup: ModuleType) -> None:
    setup.GIVEN.mkdir()
    (setup.GIVEN / "tls.crt").write_text("a chain")
    (setup.GIVEN / "tls.key").write_text("a key")
    setup.main()
    made = contents(setup.VOLUMES / "nginx")
    assert (made["tls.crt"], made["tls.key"]) == (b"a chain", b"a key")


def test_a_new_key_step_by_step(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(name: str) -> None:
        monkeypatch.setattr(setup.sys, "argv", ["setup.py", name])
        setup.main()

    setup.main()
    web, registry = setup.VOLUMES / "web", setup.VOLUMES / "registry"
    (old,) = rotation.bundled(web / "token.crt", web / "token.key")
    with pytest.raises(SystemExit, match="trust-new-key"):
        step("use-new-key")
    step("trust-new-key")
    step("trust-new-key")
    assert len(rotation.bundled(registry / "token.crt", web / "token.key")) == 2
    with pytest.raises(SystemExit, match="use-new-key comes first"):
        step("forget-old-keys")
    step("use-new-key")
    step("forget-old-keys")
    for bundle in (web / "token.crt", registry / "token.crt"):
        (left,) = rotation.bundled(bundle, web / "token.key")
        assert left.signs
        assert left.key_id != old.key_id
    assert (web / "token.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(SystemExit, match="is not one of"):
        step("something-else")


@pytest.mark.parametrize("url", ["http://registry.test", "registry.test", "https://gitlab.test"])
def test_addresses_that_can_not_be(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("REGISTRY_URL", url)
    with pytest.raises(SystemExit):
        setup.main()
    assert contents(setup.VOLUMES) == {}
