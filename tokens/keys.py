"""The key pair: the private key that signs, the certificates that tokens are checked with.

GitLab's side holds the private key; the registry holds one or several certificates and no key.
A key's id has two spellings, which verifiers of different ages expect:

* `libtrust_key_id`: distribution 2.x and GitLab's registry;
* `thumbprint`: RFC 7638, distribution 3.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

CERTIFICATE_LIFETIME = dt.timedelta(days=3650)
_MINIMUM_RSA_BITS = 2048
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_CURVES = {
    "secp256r1": ("P-256", "ES256", 32),
    "secp384r1": ("P-384", "ES384", 48),
    "secp521r1": ("P-521", "ES512", 66),
}
_RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")


class UnusableKey(ValueError):
    """A key or certificate that can't be used. The message never holds key material."""


def algorithm_of(key: PublicKey) -> str:
    """The JWS algorithm (RFC 7518, section 3.1) that goes with `key`."""
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _MINIMUM_RSA_BITS:
            raise UnusableKey(f"an RSA key needs {_MINIMUM_RSA_BITS} bits, this has {key.key_size}")
        return "RS256"
    if key.curve.name not in _CURVES:
        raise UnusableKey(f"the curve {key.curve.name} is not one of {', '.join(_CURVES)}")
    return _CURVES[key.curve.name][1]


def algorithms_of(key: PublicKey) -> tuple[str, ...]:
    """Every JWS algorithm that a signature of `key` may be accepted for. Raises `UnusableKey`.

    One family each: a key never decides between a signature and a keyed hash.
    """
    first = algorithm_of(key)
    return _RSA_ALGORITHMS if isinstance(key, rsa.RSAPublicKey) else (first,)


def libtrust_key_id(key: PublicKey) -> str:
    """The key id of docker's libtrust: 12 groups of four characters.

    Base 32 of the first 30 bytes of the SHA-256 of the DER form of the public key.
    """
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = base64.b32encode(hashlib.sha256(der).digest()[:30]).decode()
    return ":".join(text[start : start + 4] for start in range(0, len(text), 4))


def thumbprint(key: PublicKey) -> str:
    """The JWK thumbprint of RFC 7638 with SHA-256, in base64url without padding."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        length = (numbers.n.bit_length() + 7) // 8
        exponent = (numbers.e.bit_length() + 7) // 8
        members = {
            "e": _base64url(numbers.e.to_bytes(exponent, "big")),
            "kty": "RSA",
            "n": _base64url(numbers.n.to_bytes(length, "big")),
        }
    else:
        curve, _, size = _CURVES[key.curve.name]
        point = key.public_numbers()
        members = {
            "crv": curve,
            "kty": "EC",
            "x": _base64url(point.x.to_bytes(size, "big")),
            "y": _base64url(point.y.to_bytes(size, "big")),
        }
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(text.encode()).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True, eq=False)
class SigningKey:
    """The private key with the certificate that belongs to it. Each that is read is another one."""

    private: PrivateKey
    certificate: x509.Certificate
    algorithm: str
    key_id: str
    x5c: tuple[str, ...]

    @property
    def signature_length(self) -> int:
        """The bytes of its signatures (RFC 7518, sections 3.3 and 3.4)."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.key_size // 8
        return 2 * _CURVES[self.private.curve.name][2]


@dataclass(frozen=True)
class TrustedKey:
    """A public key that signatures are accepted from."""

    public: PublicKey
    algorithms: tuple[str, ...]
    certificate_der: bytes
    not_after: dt.datetime


def load_private_key(pem: bytes) -> PrivateKey:
    """The private key in `pem`. Raises `UnusableKey`."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise UnusableKey("this is no unencrypted private key in PEM form") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise UnusableKey("a private key is an EC key (P-256, P-384, P-521) or an RSA key")
    algorithm_of(key.public_key())
    return key


def load_certificates(pem: bytes) -> list[x509.Certificate]:
    """All certificates in `pem`, in order. Raises `UnusableKey` where there is none."""
    try:
        found = [x509.load_pem_x509_certificate(part) for part in _CERTIFICATE.findall(pem)]
    except ValueError as error:
        raise UnusableKey("one of the certificates can't be read") from error
    if not found:
        raise UnusableKey("there is no certificate in PEM form")
    return found


def signing_key(key_pem: bytes, certificate_pem: bytes) -> SigningKey:
    """The key to sign with, paired with its own certificate among those of `certificate_pem`.

    Raises `UnusableKey` where none of them belongs to the key.
    """
    private = load_private_key(key_pem)
    public = private.public_key()
    for certificate in load_certificates(certificate_pem):
        if certificate.public_key() == public:
            der = certificate.public_bytes(serialization.Encoding.DER)
            return SigningKey(
                private=private,
                certificate=certificate,
                algorithm=algorithm_of(public),
                key_id=libtrust_key_id(public),
                x5c=(base64.b64encode(der).decode(),),
            )
    raise UnusableKey("none of the certificates belongs to the private key")


def trusted_keys(pem: bytes) -> dict[str, TrustedKey]:
    """The keys of the certificates in `pem`, each under both of its ids. Raises `UnusableKey`."""
    trusted: dict[str, TrustedKey] = {}
    for certificate in load_certificates(pem):
        key = trusted_key(certificate)
        trusted[libtrust_key_id(key.public)] = key
        trusted[thumbprint(key.public)] = key
    return trusted


def trusted_key(certificate: x509.Certificate) -> TrustedKey:
    """The key of one certificate. Raises `UnusableKey`."""
    public = certificate.public_key()
    if not isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise UnusableKey("a certificate holds an EC key (P-256, P-384, P-521) or an RSA key")
    return TrustedKey(
        public=public,
        algorithms=algorithms_of(public),
        certificate_der=certificate.public_bytes(serialization.Encoding.DER),
        not_after=certificate.not_valid_after_utc,
    )


def generate(*, rsa_bits: int | None = None, name: str = "gitlab-issuer") -> tuple[bytes, bytes]:
    """A new pair as PEM texts: the private key and its self-signed certificate.

    An EC key on P-256, or an RSA key of `rsa_bits` where that is given.
    """
    private: PrivateKey
    if rsa_bits is None:
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + CERTIFICATE_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    key_pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return key_pem, certificate.public_bytes(serialization.Encoding.PEM)


def write_secret(path: Path, content: bytes) -> None:
    """Write `content` to a new file that only its owner reads. Raises `FileExistsError`.

    The mode is set when the file is made, so that it is never open to others, not even shortly.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
