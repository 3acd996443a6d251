"""Sigstore in small: an authority, a log of certificates and one of signatures, and bundles.

What the public one does by services is done here by three keys, so that a bundle holds by a trust
root of the test's own. Sources: RFC 6962 (logs of certificates), Rekor's ``hashedrekord`` and
``dsse`` entries, C2SP's signed notes; Sigstore's protobuf-specs.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import struct
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.gitlab.container_registry.signatures.signing import BUNDLE, envelope

ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"
_ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_SCT_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")


def _new() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def _spki(key: Any) -> bytes:
    made: bytes = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made


def _id(key: Any) -> bytes:
    return hashlib.sha256(_spki(key)).digest()


def _sign(key: Any, message: bytes) -> bytes:
    made: bytes = key.sign(message, ec.ECDSA(hashes.SHA256()))
    return made


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _canonical(value: Any) -> bytes:
    """RFC 8785, as far as it is needed: sorted keys, no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Sigstore:
    """An authority with its logs. `trust_root` is the file by which its bundles hold."""

    def __init__(self) -> None:
        self.now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        self.ca_key, self.ct_key, self.log_key = _new(), _new(), _new()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.ca = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.ca_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - dt.timedelta(days=1))
            .not_valid_after(self.now + dt.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.ca_key.public_key()), critical=False
            )
            .sign(self.ca_key, hashes.SHA256())
        )

    @property
    def trust_root(self) -> bytes:
        valid = {"start": (self.now - dt.timedelta(days=1)).isoformat().replace("+00:00", "Z")}

        def log(key: Any) -> dict[str, Any]:
            return {
                "baseUrl": "https://log.example.com",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": _text(_spki(key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": valid,
                },
                "logId": {"keyId": _text(_id(key))},
            }

        certificate = self.ca.public_bytes(serialization.Encoding.DER)
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log(self.log_key)],
                "ctlogs": [log(self.ct_key)],
                "certificateAuthorities": [
                    {
                        "subject": {"organization": "acme", "commonName": "test authority"},
                        "uri": "https://ca.example.com",
                        "certChain": {"certificates": [{"rawBytes": _text(certificate)}]},
                        "validFor": valid,
                    }
                ],
            }
        ).encode()

    def certificate(
        self, key: Any, identity: str = WORKFLOW, issuer: str = ISSUER, *, minutes: int = 10
    ) -> x509.Certificate:
        """A certificate for `identity`, logged, valid for some minutes."""
        name: x509.GeneralName = (
            x509.UniformResourceIdentifier(identity)
            if "://" in identity
            else x509.RFC822Name(identity)
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - dt.timedelta(minutes=1))
            .not_valid_after(self.now + dt.timedelta(minutes=minutes))
            .add_extension(_usage(certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.ca_key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(
                x509.UnrecognizedExtension(
                    _ISSUER_OID, b"\x0c" + bytes([len(issuer)]) + issuer.encode()
                ),
                critical=False,
            )
        )
        before = builder.sign(self.ca_key, hashes.SHA256())
        stamps = x509.UnrecognizedExtension(_SCT_OID, self._stamp(before))
        return builder.add_extension(stamps, critical=False).sign(self.ca_key, hashes.SHA256())

    def _stamp(self, certificate: x509.Certificate) -> bytes:
        """The list of one timestamp of the log of certificates (RFC 6962, sections 3.2 and 3.3)."""
        body = certificate.tbs_certificate_bytes
        moment = int(self.now.timestamp() * 1000)
        entry = _id(self.ca_key) + len(body).to_bytes(3, "big") + body
        signature = _sign(self.ct_key, struct.pack("!BBQH", 0, 0, moment, 1) + entry + b"\0\0")
        stamp = struct.pack("!B32sQH", 0, _id(self.ct_key), moment, 0)
        stamp += struct.pack("!BBH", 4, 3, len(signature)) + signature
        listed = struct.pack("!H", len(stamp)) + stamp
        listed = struct.pack("!H", len(listed)) + listed
        # DER: an OCTET STRING, whose length takes a byte or two.
        size = bytes([len(listed)]) if len(listed) < 128 else b"\x81" + bytes([len(listed)])
        return b"\x04" + size + listed

    def bundle(self, content: bytes, identity: str = WORKFLOW, **more: Any) -> dict[str, Any]:
        """A signature of `content`, as ``cosign sign-blob`` bundles it."""
        key = _new()
        certificate = self.certificate(key, identity, **more)
        signature, digest = _sign(key, content), hashlib.sha256(content).digest()
        body = {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
                "signature": {
                    "content": _text(signature),
                    "publicKey": {"content": _text(_pem(certificate))},
                },
            },
        }
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": self._material(certificate, body),
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": _text(digest)},
                "signature": _text(signature),
            },
        }

    def attestation(
        self, statement: bytes, identity: str = WORKFLOW, **more: Any
    ) -> dict[str, Any]:
        """A statement in a signed envelope, as ``cosign sign`` and ``attest`` bundle it."""
        key = _new()
        certificate = self.certificate(key, identity, **more)
        signed = envelope(key, statement)
        body = {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": {
                    "algorithm": "sha256",
                    "value": hashlib.sha256(_canonical(signed)).hexdigest(),
                },
                "payloadHash": {
                    "algorithm": "sha256",
                    "value": hashlib.sha256(statement).hexdigest(),
                },
                "signatures": [
                    {
                        "signature": signed["signatures"][0]["sig"],
                        "verifier": _text(_pem(certificate)),
                    }
                ],
            },
        }
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": self._material(certificate, body),
            "dsseEnvelope": signed,
        }

    def _material(self, certificate: x509.Certificate, body: dict[str, Any]) -> dict[str, Any]:
        """The certificate, and the log's entry with its promise and its proof: it has no other."""
        canonical = _canonical(body)
        moment = int(self.now.timestamp())
        root = hashlib.sha256(b"\0" + canonical).digest()
        promised = {
            "body": _text(canonical),
            "integratedTime": moment,
            "logID": _id(self.log_key).hex(),
            "logIndex": 0,
        }
        note = f"log.example.com - 1\n1\n{_text(root)}\n"
        signed = _text(_id(self.log_key)[:4] + _sign(self.log_key, note.encode()))
        der = certificate.public_bytes(serialization.Encoding.DER)
        return {
            "certificate": {"rawBytes": _text(der)},
            "tlogEntries": [
                {
                    "logIndex": "0",
                    "logId": {"keyId": _text(_id(self.log_key))},
                    "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
                    "integratedTime": str(moment),
                    "inclusionPromise": {
                        "signedEntryTimestamp": _text(_sign(self.log_key, _canonical(promised)))
                    },
                    "inclusionProof": {
                        "logIndex": "0",
                        "rootHash": _text(root),
                        "treeSize": "1",
                        "hashes": [],
                        "checkpoint": {"envelope": f"{note}\n\u2014 log.example.com {signed}\n"},
                    },
                    "canonicalizedBody": _text(canonical),
                }
            ],
        }


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
