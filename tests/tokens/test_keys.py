"""Keys: ids against known vectors, pairs, bundles, and what is refused."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from django.core.management import CommandError, call_command

from tokens import keys

pytestmark = pytest.mark.engineless


def number(text: str) -> int:
    """A base64url number of a JWK."""
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


RFC_7638_N = (
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebW"
    "KRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQ"
    "MicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2"
    "NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
)


def test_the_rfcs_own_example() -> None:
    """RFC 7638, section 3.1."""
    key = rsa.RSAPublicNumbers(number("AQAB"), number(RFC_7638_N)).public_key()
    assert keys.thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_an_ec_thumbprint() -> None:
    """The key of RFC 7517, appendix A.1; computed with another implementation."""
    key = ec.EllipticCurvePublicNumbers(
        number("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"),
        number("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"),
        ec.SECP256R1(),
    ).public_key()
    import hashlib

    members = (
        b'{"crv":"P-256","kty":"EC","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",'
        b'"y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}'
    )
    expected = base64.urlsafe_b64encode(hashlib.sha256(members).digest()).rstrip(b"=").decode()
    assert keys.thumbprint(key) == expected


def test_a_coordinate_with_leading_zeros_keeps_its_length() -> None:
    """RFC 7518, 6.2.1.2: the full size of the curve, always."""
    for value in range(1, 2000):
        key = ec.derive_private_key(value, ec.SECP256R1()).public_key()
        if key.public_numbers().x < 2**248:
            break
    else:
        pytest.fail("no such key")
    import json

    import jwt

    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key))
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    import hashlib

    expected = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
    assert keys.thumbprint(key) == expected.decode()


def test_the_libtrust_id() -> None:
    """Twelve groups of four, base 32 of 240 bits of the SHA-256 of the DER form."""
    key = rsa.RSAPublicNumbers(number("AQAB"), number(RFC_7638_N)).public_key()
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    import hashlib

    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode().rstrip("=")
    groups = keys.libtrust_key_id(key).split(":")
    assert len(groups) == 12
    assert {len(group) for group in groups} == {4}
    assert "".join(groups) == text


@pytest.mark.parametrize(
    ("make", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (lambda: rsa.generate_private_key(65537, 2048), "RS256"),
    ],
)
def test_algorithms(make: object, algorithm: str) -> None:
    assert keys.algorithm_of(make().public_key()) == algorithm  # type: ignore[operator]


def pem(key: object) -> bytes:
    return key.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"", b"x", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n",
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP224R1())),
        pem(ec.generate_private_key(ec.SECP256K1())),
        pem(rsa.generate_private_key(65537, 1024)),
        keys.generate()[1],
    ],
    ids=["empty", "x", "damaged", "ed25519", "p224", "k256", "rsa1024", "certificate"],
)  # fmt: skip
def test_other_keys_are_refused_without_showing_them(content: bytes) -> None:
    with pytest.raises(keys.UnusableKey) as refused:
        keys.load_private_key(content)
    assert "BEGIN" not in str(refused.value)


def test_a_key_with_a_passphrase_is_refused() -> None:
    content = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"x"),
    )
    with pytest.raises(keys.UnusableKey):
        keys.load_private_key(content)


@pytest.mark.parametrize("rsa_bits", [None, 2048])
def test_a_generated_pair_belongs_together(rsa_bits: int | None) -> None:
    key, certificate = keys.generate(rsa_bits=rsa_bits)
    found = keys.signing_key(key, certificate)
    assert found.algorithm == ("ES256" if rsa_bits is None else "RS256")
    trusted = keys.trusted_keys(certificate)
    public = found.private.public_key()
    assert set(trusted) == {keys.libtrust_key_id(public), keys.thumbprint(public)}
    assert found.key_id in trusted
    assert base64.b64decode(found.x5c[0]) == trusted[found.key_id].certificate_der
    assert trusted[found.key_id].not_after.year >= 2034


def test_the_right_certificate_is_found_among_several() -> None:
    key, certificate = keys.generate()
    _, other = keys.generate()
    found = keys.signing_key(key, other + b"# a comment\n" + certificate)
    assert found.certificate.public_key() == found.private.public_key()
    assert len(keys.trusted_keys(other + certificate)) == 4


def test_a_key_without_its_certificate_is_refused() -> None:
    with pytest.raises(keys.UnusableKey):
        keys.signing_key(keys.generate()[0], keys.generate()[1])


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
     keys.generate()[0]],
    ids=["empty", "x", "damaged", "key"],
)  # fmt: skip
def test_a_bundle_without_certificates_is_refused(content: bytes) -> None:
    with pytest.raises(keys.UnusableKey):
        keys.trusted_keys(content)


def test_a_secret_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys.write_secret(tmp_path / "new" / "secret", b"x")
    finally:
        os.umask(before)
    path = tmp_path / "new" / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with pytest.raises(FileExistsError):
        keys.write_secret(path, b"y")
    assert path.read_bytes() == b"x"


def test_the_command_writes_a_pair_once(tmp_path: Path) -> None:
    call_command("generate_keys", "--out", tmp_path / "keys", verbosity=0)
    key = tmp_path / "keys" / "gitlab-registry.key"
    certificate = tmp_path / "keys" / "gitlab-registry.crt"
    keys.signing_key(key.read_bytes(), certificate.read_bytes())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    with pytest.raises(CommandError):
        call_command("generate_keys", "--out", tmp_path / "keys")
    certificate.unlink()
    with pytest.raises(CommandError):
        call_command("generate_keys", "--out", tmp_path / "keys")
    assert key.read_bytes() == before
