"""Secrets, and the credentials of a store: whole, never empty, kept where nobody looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitlab.config import BadConfiguration, load, reference
from tests.gitlab.config.loading import follow, refused

pytestmark = pytest.mark.engineless


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
