"""What a signature is worth: by which key, for which image, and nothing that was not checked."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from gitlab.container_registry.signatures import keys, statements
from gitlab.container_registry.signatures.keys import InvalidKey
from gitlab.container_registry.signatures.statements import State
from tests.gitlab.container_registry.layers.archives import digest_of
from tests.gitlab.container_registry.signatures.signing import (
    SLSA,
    as_json,
    envelope,
    named,
    new_key,
    new_pem,
    payload,
    sign,
    statement,
)

pytestmark = pytest.mark.engineless

MANIFEST = b'{"layers": []}'
DIGEST = digest_of(MANIFEST)
OTHER = digest_of(b"another")
KEY = new_key()
RELEASE = named(KEY)
STRANGER = new_key()


@pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA", "Ed25519"])
def test_each_kind_of_key_is_read_and_checked(kind: str) -> None:
    key = new_key(kind)
    mine = named(key)
    signature = base64.b64decode(sign(key, b"message"))
    assert keys.made(mine.key, signature, b"message")
    assert not keys.made(mine.key, signature, b"messagE")
    assert not keys.made(mine.key, signature[:-1], b"message")
    assert not keys.made(mine.key, b"", b"message")
    assert keys.algorithm_of(mine.key).startswith(
        {"RSA": "RSA 2048", "Ed25519": "Ed25519"}.get(kind, f"ECDSA {kind}")
    )
    assert keys.read_pem(keys.pem_of(mine.key)) == mine.key


@pytest.mark.parametrize(
    ("kind", "algorithm"), [("P-384", hashes.SHA384()), ("P-521", hashes.SHA512())]
)
def test_larger_curves_may_have_their_own_hash(kind: str, algorithm: Any) -> None:
    key = new_key(kind)
    assert keys.made(named(key).key, base64.b64decode(sign(key, b"m", algorithm)), b"m")


def private_pem() -> str:
    return (
        KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    ).decode()


def pem_of(key: Any) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (private_pem, "private key"),
        (lambda: "hello", "Paste one public key"),
        (lambda: "", "Paste one public key"),
        (lambda: new_pem() * 2, "one key at a time"),
        (lambda: new_pem().replace("M", "N", 3), "can't be read"),
        (lambda: f"{new_pem()}{'x' * 20000}", "Paste one public key"),
        (lambda: pem_of(rsa.generate_private_key(65537, 1024)), "2,048 to 8,192 bits"),
        (lambda: pem_of(ec.generate_private_key(ec.SECP256K1())), "Keys are ECDSA"),
        (lambda: pem_of(dsa.generate_private_key(1024)), "Keys are ECDSA"),
    ],
)
def test_what_is_no_key_is_refused(make: Callable[[], str], says: str) -> None:
    with pytest.raises(InvalidKey, match=says):
        keys.read_pem(make())


def simple(content: bytes, key: Any = KEY, signature: str = "") -> statements.Checked:
    return statements.simple_signing(
        content, signature or sign(key, content), DIGEST, [named(STRANGER, "other"), RELEASE]
    )


def test_a_payload_that_names_this_image_is_signed_by_its_key() -> None:
    found = simple(payload(DIGEST))
    assert (found.state, found.key, found.what) == (State.SIGNED, RELEASE, "")


def test_a_signature_of_another_image_is_invalid_here() -> None:
    found = simple(payload(OTHER))
    assert (found.state, found.key) == (State.INVALID, None)
    assert found.sentence == "The key release has signed another image with it."


def test_a_key_that_is_not_held_is_unknown() -> None:
    content = payload(DIGEST)
    assert simple(content, new_key()).state is State.UNKNOWN
    # Nor does a payload that was changed pass for what was signed.
    assert simple(content, signature=sign(KEY, payload(OTHER))).state is State.UNKNOWN
    assert statements.simple_signing(content, sign(KEY, content), DIGEST, []).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("content", "signature", "says"),
    [
        (b"no json", "", "can't be read"),
        (b"[]", "", "can't be read"),
        (b"[" * 100_000, "", "can't be read"),
        (b"{}", "", "can't be read"),
        (payload(DIGEST, type="something else"), "", "not known"),
        (payload(DIGEST, image="text"), "", "can't be read"),
        (payload(DIGEST, image={}), "", "another image"),
        (payload(DIGEST, image={"docker-manifest-digest": [DIGEST]}), "", "another image"),
        (payload(DIGEST).replace(b'"critical"', b'"critical": {}, "critical"'), "", "be read"),
        (payload(DIGEST), "*" * 20, "base64"),
    ],
)
def test_what_is_malformed_is_invalid(content: bytes, signature: str, says: str) -> None:
    found = simple(content, signature=signature)
    assert found.state is State.INVALID
    assert says in found.sentence


def checked_envelope(document: Any) -> statements.Checked:
    return statements.envelope(as_json(document), DIGEST, [RELEASE])


def test_a_statement_about_this_image_is_signed_and_no_signature_of_the_image() -> None:
    found = checked_envelope(envelope(KEY, statement(DIGEST)))
    assert (found.state, found.key, found.what) == (State.SIGNED, RELEASE, SLSA)
    found = checked_envelope(envelope(KEY, statement(OTHER)))
    assert (found.state, found.what) == (State.INVALID, SLSA)
    assert checked_envelope(envelope(STRANGER, statement(DIGEST))).state is State.UNKNOWN


def test_what_cosign_states_of_an_image_itself_is_its_signature() -> None:
    made = envelope(KEY, statement(DIGEST, "https://sigstore.dev/cosign/sign/v1"))
    assert checked_envelope(made).what == ""


def test_the_type_of_an_envelope_is_signed_too() -> None:
    made = envelope(KEY, statement(DIGEST), "application/other")
    made["payloadType"] = "application/vnd.in-toto+json"
    assert checked_envelope(made).state is State.UNKNOWN


@pytest.mark.parametrize(
    "change",
    [
        {"payload": 5},
        {"payload": "***"},
        {"payloadType": None},
        {"payloadType": "application/json"},
        {"signatures": []},
        {"signatures": "text"},
        {"signatures": [{"sig": "x"}] * 21},
        {"signatures": [{"sig": 5}]},
    ],
)
def test_an_envelope_that_is_none_is_invalid(change: dict[str, Any]) -> None:
    made = {**envelope(KEY, statement(DIGEST)), **change}
    assert checked_envelope(made).state is State.INVALID


def test_subjects_are_digests_and_nothing_else() -> None:
    for subject in ("text", [5], [{"digest": DIGEST}], [{"digest": {"sha256": "x"}}], []):
        content = json.dumps({"subject": subject, "predicateType": SLSA}).encode()
        assert checked_envelope(envelope(KEY, content)).state is State.INVALID, subject


def bundled(document: Any) -> statements.Checked:
    return statements.bundle(as_json(document), MANIFEST, DIGEST, [RELEASE])


def test_a_bundle_is_checked_by_keys_and_not_by_certificates() -> None:
    material = {"publicKey": {"hint": "x"}}
    made = {"verificationMaterial": material, "dsseEnvelope": envelope(KEY, statement(DIGEST))}
    assert bundled(made).state is State.SIGNED
    of_bytes = {
        "verificationMaterial": material,
        "messageSignature": {"signature": sign(KEY, MANIFEST)},
    }
    assert bundled(of_bytes).state is State.SIGNED
    keyless = {
        "verificationMaterial": {"certificate": {"rawBytes": "AA=="}},
        "dsseEnvelope": envelope(STRANGER, statement(DIGEST)),
    }
    found = bundled(keyless)
    assert found.state is State.UNKNOWN
    assert "certificate, which is not checked here" in found.sentence


@pytest.mark.parametrize(
    "document", [{}, [], {"dsseEnvelope": 5}, {"messageSignature": {}}, "text", None]
)
def test_a_bundle_that_is_none_is_invalid(document: Any) -> None:
    assert bundled(document).state is State.INVALID
