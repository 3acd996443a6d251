"""What was signed, and by which of some keys: pure, over the bytes that a registry has.

    simple signing   a payload that names the manifest, the signature beside it   cosign, Atomic
    DSSE             an envelope about a statement, whose subjects are digests     in-toto
    a bundle         an envelope or a signature with what it is checked by         Sigstore

Nothing is said that was not checked. A signature counts where a key that is held made it, or a
certificate of an identity that is held (see `certificates`), and where what was signed names the
digest of this manifest. Neither the identity in a payload, nor its annotations, nor what a
statement claims is checked by that; nor, of what a key has made, are certificates and logs.
Sources: cosign's SIGNATURE_SPEC.md; https://github.com/secure-systems-lab/dsse (v1.0.2);
in-toto Statement v1; Sigstore's protobuf-specs, ``bundle.proto``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gitlab.container_registry.signatures import certificates
from gitlab.container_registry.signatures.certificates import NotShown, Signer
from gitlab.container_registry.signatures.keys import PublicKey, made

MAX_SIGNATURES = 20
"""In one envelope."""

MAX_TRIED = 200
"""Keys times signatures of one envelope: each try takes up to a millisecond."""

_SIMPLE_SIGNING = ("cosign container image signature", "atomic container signature")
_STATEMENT = "application/vnd.in-toto+json"
_OF_IMAGE = "https://sigstore.dev/cosign/sign/v1"
"""The statement by which cosign signs an image itself since its third version."""

_TYPE = 200


class State(StrEnum):
    """What came of checking a signature."""

    SIGNED = "signed"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class NamedKey:
    """A key with the name by which pages call it."""

    name: str
    of: str
    fingerprint: str
    key: PublicKey


@dataclass(frozen=True)
class NamedIdentity:
    """An identity with the name by which pages call it; see `models.SigningIdentity`."""

    name: str
    of: str
    identity: str
    issuer: str

    @property
    def fingerprint(self) -> str:
        """By what it is told from others: it has no key of its own."""
        return f"{self.identity} {self.issuer}"

    def means(self, signer: Signer) -> bool:
        """Whether a certificate's name is this one, vouched for by the same."""
        if signer.issuer != self.issuer:
            return False
        if self.identity.endswith("*"):
            return signer.identity.startswith(self.identity[:-1])
        return signer.identity == self.identity


@dataclass(frozen=True)
class Checked:
    """What came of a signature: `key` where one made it, or an identity, and a sentence.

    `what` says what was signed: "" for the image itself, else the type of a statement about it.
    """

    state: State
    sentence: str
    key: NamedKey | NamedIdentity | None = None
    what: str = ""


class _Malformed(ValueError):
    """What is there is no signature of its kind. The text is a sentence."""


def simple_signing(
    payload: bytes, signature: str, digest: str, keys: Sequence[NamedKey]
) -> Checked:
    """A payload of cosign's and the text of its signature, base64, about the manifest `digest`."""
    try:
        key = _signer(payload, [_decoded(signature)], keys)
        named = _manifest_in(_object(payload))
    except _Malformed as error:
        return Checked(State.INVALID, str(error))
    return _judged(key, named == digest)


def envelope(document: bytes, digest: str, keys: Sequence[NamedKey]) -> Checked:
    """An envelope (DSSE) about the manifest `digest`."""
    try:
        return _envelope(_object(document), digest, keys)
    except _Malformed as error:
        return Checked(State.INVALID, str(error))


def bundle(
    document: bytes,
    manifest: bytes,
    digest: str,
    keys: Sequence[NamedKey],
    identities: Sequence[NamedIdentity] = (),
) -> Checked:
    """A bundle of Sigstore's, about a manifest by its bytes and digest."""
    try:
        said = _object(document)
        if "dsseEnvelope" in said:
            found = _envelope(_within(said, "dsseEnvelope"), digest, keys)
        else:
            signature = _within(said, "messageSignature").get("signature")
            found = _judged(_signer(manifest, [_decoded(signature)], keys), True)
    except _Malformed as error:
        return Checked(State.INVALID, str(error))
    material = said.get("verificationMaterial")
    has_certificate = isinstance(material, Mapping) and (
        "certificate" in material or "x509CertificateChain" in material
    )
    if found.state is not State.UNKNOWN or not has_certificate:
        return found
    if not certificates.is_set():
        why = "It was made with a certificate, which is not checked here."
        return Checked(State.UNKNOWN, why, what=found.what)
    try:
        return _by_certificate(document, said, manifest, digest, identities)
    except NotShown as error:
        return Checked(State.UNKNOWN, str(error), what=found.what)
    except _Malformed as error:
        return Checked(State.INVALID, str(error))


def _by_certificate(
    document: bytes,
    said: Mapping[str, Any],
    manifest: bytes,
    digest: str,
    identities: Sequence[NamedIdentity],
) -> Checked:
    """What came of a bundle by the name in its certificate. Raises `NotShown`, `_Malformed`."""
    what, is_about_this = "", True
    if "dsseEnvelope" in said:
        signer, kind, payload = certificates.of_envelope(document)
        what, is_about_this = _stated(kind, payload, digest)
    else:
        signer = certificates.of_artifact(document, manifest)
    told = f"{signer.identity}, for whom {signer.issuer} vouches"
    held = next((each for each in identities if each.means(signer)), None)
    if held is None:
        why = f"Made by {told}, and who is no identity held here."
        return Checked(State.UNKNOWN, why, what=what)
    if not is_about_this:
        return Checked(State.INVALID, f"{told}, has signed another image with it.", what=what)
    return Checked(State.SIGNED, f"Made by {told}.", held, what)


def _judged(key: NamedKey | None, is_about_this: bool, what: str = "") -> Checked:
    if key is None:
        return Checked(State.UNKNOWN, "No key that is held here has made it.", what=what)
    if not is_about_this:
        return Checked(
            State.INVALID, f"The key {key.name} has signed another image with it.", what=what
        )
    return Checked(State.SIGNED, f"Made by the key {key.name}.", key, what)


def _envelope(said: Mapping[str, Any], digest: str, keys: Sequence[NamedKey]) -> Checked:
    kind, payload = said.get("payloadType"), _decoded(said.get("payload"))
    if not isinstance(kind, str):
        raise _Malformed("The envelope does not say what is in it.")
    listed = said.get("signatures")
    if not isinstance(listed, list) or not listed or len(listed) > MAX_SIGNATURES:
        raise _Malformed(f"The envelope has not 1 to {MAX_SIGNATURES} signatures.")
    found = [_decoded(each.get("sig")) for each in listed if isinstance(each, Mapping)]
    key = _signer(_pre_authenticated(kind, payload), found, keys)
    what, is_about_this = _stated(kind, payload, digest)
    return _judged(key, is_about_this, what)


def _stated(kind: str, payload: bytes, digest: str) -> tuple[str, bool]:
    """The type of a statement in an envelope, and whether it is about this manifest; the type is ""
    for the statement that signs it. Raises `_Malformed`.
    """
    if kind != _STATEMENT:
        raise _Malformed("The envelope holds no statement.")
    statement = _object(payload)
    what = statement.get("predicateType")
    what = what[:_TYPE] if isinstance(what, str) and what else "statement"
    return "" if what == _OF_IMAGE else what, digest in _subjects(statement)


def _pre_authenticated(kind: str, payload: bytes) -> bytes:
    """What an envelope's signature is over: DSSE's protocol.md, "Signature Definition"."""
    name = kind.encode("utf-8", "replace")
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def _signer(
    message: bytes, signatures: Sequence[bytes], keys: Sequence[NamedKey]
) -> NamedKey | None:
    """The first key that has made one of the signatures. Raises `_Malformed`."""
    if len(signatures) > 1 and len(signatures) * len(keys) > MAX_TRIED:
        raise _Malformed("It has more signatures than are tried with so many keys.")
    for named in keys:
        if any(made(named.key, signature, message) for signature in signatures):
            return named
    return None


def _subjects(statement: Mapping[str, Any]) -> Iterator[str]:
    listed = statement.get("subject")
    for each in listed if isinstance(listed, list) else []:
        digests = each.get("digest") if isinstance(each, Mapping) else None
        for algorithm, value in digests.items() if isinstance(digests, Mapping) else []:
            yield f"{algorithm}:{value}"


def _manifest_in(payload: Mapping[str, Any]) -> str:
    """The digest that a payload of simple signing names. Raises `_Malformed`."""
    critical = _within(payload, "critical")
    if critical.get("type") not in _SIMPLE_SIGNING:
        raise _Malformed("The payload is of a kind that is not known.")
    digest = _within(critical, "image").get("docker-manifest-digest")
    return digest if isinstance(digest, str) else ""


def _within(said: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = said.get(key)
    if not isinstance(found, Mapping):
        raise _Malformed("What was signed can't be read.")
    return found


def _object(document: bytes) -> Mapping[str, Any]:
    """A JSON object that says each thing once. Raises `_Malformed`."""
    try:
        found = json.loads(document, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _Malformed("What was signed can't be read.") from error
    if not isinstance(found, Mapping):
        raise _Malformed("What was signed can't be read.")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _decoded(text: object) -> bytes:
    """Base64, of either alphabet. Raises `_Malformed`."""
    if not isinstance(text, str):
        raise _Malformed("The signature is missing.")
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise _Malformed("The signature is not written in base64.") from error
