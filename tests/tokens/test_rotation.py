"""Changing the key, file by file: each step twice, and what is refused changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokens import keys, rotation
from tokens.keys import UnusableKey

pytestmark = pytest.mark.engineless


class Files:
    """A node's key and bundle."""

    def __init__(self, folder: Path) -> None:
        self.key, self.bundle = folder / "gitlab-registry.key", folder / "bundle.crt"
        key, certificate = keys.generate()
        keys.write_secret(self.key, key)
        self.bundle.write_bytes(certificate)
        self.bundle.chmod(0o640)

    def ids(self) -> list[str]:
        return [one.key_id for one in rotation.bundled(self.bundle, self.key)]

    def contents(self) -> tuple[bytes, bytes]:
        return self.key.read_bytes(), self.bundle.read_bytes()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "node").mkdir()
    return Files(tmp_path / "node")


@pytest.mark.parametrize("rsa_bits", [None, 2048])
def test_every_step_may_run_twice(files: Files, rsa_bits: int | None) -> None:
    key, certificate = keys.generate(rsa_bits=rsa_bits)
    (old,) = files.ids()
    assert [rotation.trust(files.bundle, certificate) for _ in range(2)] == [True, False]
    old_again, fresh = files.ids()
    assert old_again == old
    for _ in range(2):
        assert rotation.sign_with(files.key, files.bundle, key, certificate) == fresh
    assert [one.signs for one in rotation.bundled(files.bundle, files.key)] == [False, True]
    for _ in range(2):
        rotation.distrust(files.bundle, files.key, old)
    assert files.ids() == [fresh]
    # Whoever could read them before can do so now, and nobody else.
    assert files.key.stat().st_mode & 0o777 == 0o600
    assert files.bundle.stat().st_mode & 0o777 == 0o640
    assert {path.name for path in files.key.parent.iterdir()} == {files.key.name, files.bundle.name}


def test_a_new_pair_brings_its_certificate_along(files: Files) -> None:
    """At no moment there is a key without its certificate."""
    key, certificate = keys.generate()
    rotation.sign_with(files.key, files.bundle, key, certificate)
    keys.signing_key(*files.contents())
    assert len(files.ids()) == 2


def test_either_spelling_names_a_key(files: Files) -> None:
    rotation.trust(files.bundle, keys.generate()[1])
    other = next(one for one in rotation.bundled(files.bundle, files.key) if not one.signs)
    rotation.distrust(files.bundle, files.key, other.thumbprint)
    assert other.key_id not in files.ids()


def test_the_last_certificate_and_the_one_that_signs_stay(files: Files) -> None:
    (own,) = files.ids()
    before = files.contents()
    with pytest.raises(rotation.Refused, match="last one"):
        rotation.distrust(files.bundle, files.key, own)
    assert files.contents() == before
    rotation.trust(files.bundle, keys.generate()[1])
    before = files.contents()
    with pytest.raises(rotation.Refused, match="signs with it"):
        rotation.distrust(files.bundle, files.key, own)
    assert files.contents() == before
    # A node without a key, as the registry's, has nothing that it would break.
    rotation.distrust(files.bundle, files.key.with_name("nowhere"), own)
    assert own not in files.ids()


def test_a_pair_that_is_none_changes_nothing(files: Files) -> None:
    before = files.contents()
    for key, certificate in (
        (keys.generate()[0], keys.generate()[1]),
        (b"no key", keys.generate()[1]),
        (keys.generate()[0], b"no certificate"),
    ):
        with pytest.raises(UnusableKey):
            rotation.sign_with(files.key, files.bundle, key, certificate)
    with pytest.raises(UnusableKey):
        rotation.trust(files.bundle, b"no certificate")
    assert files.contents() == before
