"""Authorities and the certificates that they issue, for tests: small, private, as ``openssl``
makes.
"""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tokens.keys import PrivateKey


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """The certificate as a bundle has it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def x5c(self) -> str:
        """The certificate as a token has it."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return base64.b64encode(der).decode()


def issue(
    name: str,
    by: Issued | None = None,
    *,
    authority: bool = False,
    key: PrivateKey | None = None,
    path_length: int | None = None,
    days: tuple[int, int] = (-1, 30),
    constraints: bool = True,
    signs: bool | None = None,
) -> Issued:
    """A certificate for `name`, issued `by` somebody or by itself.

    `days` from now on, from and until; `signs` is what its key usage says, None without one.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
    )
    if constraints:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=authority, path_length=path_length if authority else None),
            critical=True,
        )
    if signs is not None:
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=signs,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    return Issued(key, builder.sign(by.key if by else key, hashes.SHA256()))
