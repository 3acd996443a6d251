"""Bundles of Sigstore's that were made with a certificate: whom it names, where all of it holds.

By Sigstore's own library, and a trust root that the settings name as a file: nobody is asked, and
nothing is fetched. It holds that the certificate is of one of the root's authorities, was logged,
and was valid at a time that a log or a timestamp of the root tells; that the log has this very
signature; and that the certificate's key has made it. Who may sign what is not decided here.

Source: Sigstore's client specification, "Verification"; its protobuf-specs, ``bundle.proto`` and
``trustroot.proto``.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from cryptography import x509
from django.conf import settings

log = logging.getLogger(__name__)

T = TypeVar("T")

_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_ISSUER_BEFORE = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
"""Who has vouched for the name, as DER's text and, until 2022, as it is.

Source: Fulcio's oid-info.md.
"""

_MAX = 500
"""Characters of a name that is told."""


class NotShown(Exception):
    """It does not hold, or that can't be told. The text is a sentence."""


@dataclass(frozen=True)
class Signer:
    """Whom a certificate names: an address of mail or of a workflow, and who vouched for it."""

    identity: str
    issuer: str


def is_set() -> bool:
    """Whether there is a trust root by which certificates are checked."""
    return settings.SIGSTORE_TRUST_ROOT is not None


def stamp() -> str:
    """What the trust root is known by: another one has another. "" without one."""
    if settings.SIGSTORE_TRUST_ROOT is None:
        return ""
    try:
        found = os.stat(settings.SIGSTORE_TRUST_ROOT)
    except OSError:
        return "none"
    return f"{settings.SIGSTORE_TRUST_ROOT} {found.st_mtime_ns} {found.st_size}"


def of_artifact(bundle: bytes, content: bytes) -> Signer:
    """Who has signed `content` with a bundle. Raises `NotShown`."""

    def check(verifier: Any, read: Any, policy: Any) -> None:
        verifier.verify_artifact(content, read, policy)

    return _checked(bundle, check)[0]


def of_envelope(bundle: bytes) -> tuple[Signer, str, bytes]:
    """Who has signed a bundle's envelope, its type and what is in it. Raises `NotShown`."""

    def check(verifier: Any, read: Any, policy: Any) -> tuple[str, bytes]:
        kind, payload = verifier.verify_dsse(read, policy)
        return str(kind), bytes(payload)

    signer, (kind, payload) = _checked(bundle, check)
    return signer, kind, payload


def _checked(bundle: bytes, check: Callable[[Any, Any, Any], T]) -> tuple[Signer, T]:
    verifier = _verifier()
    from sigstore.models import Bundle
    from sigstore.verify import policy

    # A stranger's document in a library's hands: whatever is raised, it does not hold.
    try:
        read = Bundle.from_json(bundle)
        # The name is compared by whoever asks: all others of a certificate's claims are checked.
        found = check(verifier, read, policy.UnsafeNoOp())
        return _signer(read.signing_certificate), found
    except Exception as error:
        log.info("a bundle of Sigstore's does not hold: %s", error)
        raise NotShown(f"By the trust root here it does not hold: {str(error)[:_MAX]}.") from error


def _verifier() -> Any:
    """What checks by the trust root, as it is now. Raises `NotShown`."""
    try:
        return _load(stamp())
    except ImportError as error:
        log.warning("berth.sigstore_trust_root is set and sigstore is not installed: %s", error)
        raise NotShown(
            "It was made with a certificate, which can't be checked here now."
        ) from error
    except Exception as error:
        log.warning("the trust root of Sigstore's can't be read: %s", error)
        raise NotShown(
            "It was made with a certificate, which can't be checked here now."
        ) from error


@functools.lru_cache(maxsize=2)
def _load(stamp: str) -> Any:
    from sigstore.models import TrustedRoot
    from sigstore.verify import Verifier

    return Verifier(trusted_root=TrustedRoot.from_file(str(settings.SIGSTORE_TRUST_ROOT)))


def _signer(certificate: x509.Certificate) -> Signer:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = [
        *names.get_values_for_type(x509.RFC822Name),
        *names.get_values_for_type(x509.UniformResourceIdentifier),
    ]
    if len(found) != 1:
        raise NotShown("Its certificate names not one person or workflow.")
    return Signer(found[0], _issuer(certificate))


def _issuer(certificate: x509.Certificate) -> str:
    """Who vouched for the name. Raises `NotShown`, `ExtensionNotFound`."""
    for oid, beginning in ((_ISSUER, 2), (_ISSUER_BEFORE, 0)):
        try:
            extension = certificate.extensions.get_extension_for_oid(oid).value
        except x509.ExtensionNotFound:
            continue
        assert isinstance(extension, x509.UnrecognizedExtension)
        value = extension.value
        # A UTF8String of less than 128 bytes, which has its tag and length before it.
        if beginning and not (value[:1] == b"\x0c" and len(value) == value[1] + 2 < 130):
            continue
        return value[beginning:].decode()
    raise NotShown("Its certificate does not say who vouched for its name.")
