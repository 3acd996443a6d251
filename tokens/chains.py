"""A token whose certificate is not in the bundle, but was issued by an authority that is.

Token servers of others carry their certificate in the header ``x5c``, with those between it and the
authority (RFC 7515, section 4.1.6). Docker's registry accepts it where the chain ends at a
certificate of the bundle; so do we, by the rules of RFC 5280 as `cryptography` implements them.
Nothing is fetched: neither what is missing of a chain nor a list of what was revoked.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import replace

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from tokens.keys import TrustedKey, UnusableKey, trusted_key

MAX_CERTIFICATES = 6
"""Of one token: its own and those above it. Each costs a signature to check."""


class BrokenChain(ValueError):
    """The certificates do not lead to an authority of the bundle. The message is for the log."""


def certificates(chain: object) -> list[x509.Certificate]:
    """What the header ``x5c`` holds, the token's own first. Raises `BrokenChain`."""
    if not isinstance(chain, list) or not 0 < len(chain) <= MAX_CERTIFICATES:
        raise BrokenChain(f"x5c is a list of 1 to {MAX_CERTIFICATES} certificates")
    try:
        return [x509.load_der_x509_certificate(_decoded(text)) for text in chain]
    except ValueError as error:
        raise BrokenChain("malformed x5c") from error


def _decoded(text: object) -> bytes:
    if not isinstance(text, str):
        raise BrokenChain("x5c holds texts")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BrokenChain("malformed x5c") from error


def verified(chain: list[x509.Certificate], trusted: Iterable[TrustedKey]) -> TrustedKey:
    """The key of the first of `chain`, where an authority in `trusted` vouches for it now.

    Raises `BrokenChain`.
    """
    roots = {key.certificate_der for key in trusted}
    store = Store([x509.load_der_x509_certificate(der) for der in sorted(roots)])
    verifier = (
        PolicyBuilder()
        .store(store)
        .extension_policies(ca_policy=_AUTHORITIES, ee_policy=ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        verifier.verify(chain[0], chain[1:])
        ends_at = min(certificate.not_valid_after_utc for certificate in chain)
        return replace(trusted_key(chain[0]), not_after=ends_at)
    except VerificationError as error:
        raise BrokenChain("no trusted key") from error
    except UnusableKey as error:
        raise BrokenChain(str(error)) from error


def _is_authority(
    policy: Policy, certificate: x509.Certificate, found: x509.BasicConstraints
) -> None:
    if not found.ca:
        raise ValueError("this certificate issues none")


def _signs_certificates(
    policy: Policy, certificate: x509.Certificate, found: x509.KeyUsage | None
) -> None:
    if found is not None and not found.key_cert_sign:
        raise ValueError("this key signs no certificates")


_AUTHORITIES = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
)
"""A private authority need not follow the rules of those that browsers trust."""
