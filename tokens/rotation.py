"""Changing the key without an interruption: what stands in the bundle, and in which order it
changes.

1. The registry's nodes trust the new certificate as well (`trust`).
2. GitLab's nodes sign with the new key (`sign_with`).
3. When the last token of the old key has ended, its certificate goes (`distrust`).

Each step replaces one file at once, and running processes read it anew. Each may run twice.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tokens import keys


class Refused(Exception):
    """A step that would leave tokens that nobody accepts. The message says why."""


@dataclass(frozen=True)
class BundledKey:
    """One certificate of a bundle: both ids of its key, until when, and whether this node
    signs so.
    """

    key_id: str
    thumbprint: str
    algorithm: str
    subject: str
    not_after: dt.datetime
    signs: bool


def bundled(bundle: Path, key_path: Path) -> list[BundledKey]:
    """What is trusted, in the file's order. Raises `OSError` or `UnusableKey`."""
    own = _own_key_id(key_path)
    found = []
    for certificate in keys.load_certificates(bundle.read_bytes()):
        public = keys.trusted_key(certificate).public
        key_id = keys.libtrust_key_id(public)
        found.append(
            BundledKey(
                key_id=key_id,
                thumbprint=keys.thumbprint(public),
                algorithm=keys.algorithm_of(public),
                subject=certificate.subject.rfc4514_string(),
                not_after=certificate.not_valid_after_utc,
                signs=key_id == own,
            )
        )
    return found


def trust(bundle: Path, certificate_pem: bytes) -> bool:
    """Append what is not there yet; whether anything was. Raises `OSError` or `UnusableKey`."""
    fresh = keys.load_certificates(certificate_pem)
    keys.trusted_keys(certificate_pem)
    there = keys.load_certificates(bundle.read_bytes()) if bundle.exists() else []
    missing = [certificate for certificate in fresh if certificate not in there]
    if missing:
        _replace(bundle, _pem([*there, *missing]), 0o644)
    return bool(missing)


def sign_with(key_path: Path, bundle: Path, key_pem: bytes, certificate_pem: bytes) -> str:
    """Sign with this pair from now on; the id of its key. Raises `OSError` or `UnusableKey`.

    The certificate comes first, so that at no moment there is a key without its certificate.
    """
    pair = keys.signing_key(key_pem, certificate_pem)
    trust(bundle, pair.certificate.public_bytes(Encoding.PEM))
    _replace(key_path, key_pem, 0o600)
    return pair.key_id


def distrust(bundle: Path, key_path: Path, key_id: str) -> None:
    """Take a key's certificate out; `key_id` in either spelling. Nothing where it is not there.

    Raises `Refused` for the last one and for the one that this node signs with.
    """
    certificates = keys.load_certificates(bundle.read_bytes())
    left = [certificate for certificate in certificates if key_id not in _ids(certificate)]
    if len(left) == len(certificates):
        return
    if not left:
        raise Refused("it is the last one: no token would be accepted any more")
    own = _own_key_id(key_path)
    if own is not None and not any(own in _ids(certificate) for certificate in left):
        raise Refused("this node signs with it: let it sign with the new key first")
    _replace(bundle, _pem(left), 0o644)


def _ids(certificate: x509.Certificate) -> set[str]:
    """Both spellings of the id of a certificate's key."""
    public = keys.trusted_key(certificate).public
    return {keys.libtrust_key_id(public), keys.thumbprint(public)}


def _own_key_id(key_path: Path) -> str | None:
    """The id of this node's private key, None where it has none."""
    if not key_path.exists():
        return None
    return keys.libtrust_key_id(keys.load_private_key(key_path.read_bytes()).public_key())


def _pem(certificates: list[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _replace(path: Path, content: bytes, mode: int) -> None:
    """In one step, durable, and owned as it was: root may do this for the processes' user."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    keys.write_secret(fresh, content)
    fresh.chmod(mode)
    if path.exists():
        status = path.stat()
        fresh.chmod(status.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(fresh, status.st_uid, status.st_gid)
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
