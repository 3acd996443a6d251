"""Keys and signatures as cosign makes them, made with `cryptography`."""

from __future__ import annotations

import base64
import dataclasses
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from gitlab.container_registry.client.responses import Referrer, StoredManifest
from gitlab.container_registry.signatures import keys
from gitlab.container_registry.signatures.statements import NamedKey
from tests.gitlab.container_registry.layers.archives import digest_of
from tests.gitlab.container_registry.layers.played_layers import put
from tests.gitlab.played_registry import MANIFEST

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
ENVELOPE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
STATEMENT = "application/vnd.in-toto+json"
SLSA = "https://slsa.dev/provenance/v1"


def new_key(kind: str = "P-256") -> Any:
    """A private key."""
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curves = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
    return ec.generate_private_key(curves[kind]())


def pem(key: Any) -> str:
    """The public half, as cosign writes it to ``cosign.pub``."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def new_pem(kind: str = "P-256") -> str:
    return pem(new_key(kind))


def named(key: Any, name: str = "release", of: str = "acme") -> NamedKey:
    found = keys.read_pem(pem(key))
    return NamedKey(name, of, keys.fingerprint(found), found)


def sign(key: Any, message: bytes, algorithm: Any = None) -> str:
    """A signature in base64."""
    algorithm = algorithm or hashes.SHA256()
    if isinstance(key, rsa.RSAPrivateKey):
        made = key.sign(message, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        made = key.sign(message)
    else:
        made = key.sign(message, ec.ECDSA(algorithm))
    return base64.b64encode(made).decode()


def payload(digest: str, **critical: Any) -> bytes:
    """What cosign signs of an image."""
    return json.dumps(
        {
            "critical": {
                "identity": {"docker-reference": "registry.example.com/acme/app/web"},
                "image": {"docker-manifest-digest": digest},
                "type": "cosign container image signature",
                **critical,
            },
            "optional": {"by": "the release"},
        }
    ).encode()


def statement(digest: str, predicate: str = SLSA) -> bytes:
    algorithm, _, value = digest.partition(":")
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "web", "digest": {algorithm: value}}],
            "predicateType": predicate,
            "predicate": {},
        }
    ).encode()


def envelope(key: Any, content: bytes, kind: str = STATEMENT) -> dict[str, Any]:
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(content), content)
    return {
        "payloadType": kind,
        "payload": base64.b64encode(content).decode(),
        "signatures": [{"keyid": "", "sig": sign(key, message)}],
    }


def as_json(document: Any) -> bytes:
    return json.dumps(document).encode()


def holding(played: Any, *layers: dict[str, Any], **more: Any) -> str:
    """A manifest that holds signatures; its digest."""
    content = as_json({"schemaVersion": 2, "mediaType": MANIFEST, "layers": list(layers), **more})
    played.manifests[digest_of(content)] = StoredManifest(MANIFEST, content)
    return digest_of(content)


def signature_layer(played: Any, content: bytes, signature: str) -> dict[str, Any]:
    annotations = {"dev.cosignproject.cosign/signature": signature}
    return {**put(played, content, SIMPLE_SIGNING), "annotations": annotations}


def by_tag(played: Any, path: str, digest: str, kind: str, held: str) -> None:
    """Let the tag that cosign looks for point at what holds signatures."""
    tag = f"{digest.replace(':', '-')}.{kind}"
    played.push(path, tag)
    played.now[path][tag] = dataclasses.replace(played.now[path][tag], digest=held)


def by_referrer(played: Any, digest: str, held: str, artifact_type: str) -> None:
    played.referring.setdefault(digest, []).append(Referrer(held, MANIFEST, 100, artifact_type))
