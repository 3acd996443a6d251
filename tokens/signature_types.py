"""Types of artifacts that are signatures, for both sides: what carries one of them is signed.

The registry looks them up in an index of types, so they are whole and not words within. Beside
them stands cosign's tag, ``sha256-….sig``. Sources: cosign's SIGNATURE_SPEC.md; the Notary
Project's signature specification; sigstore's protobuf-specs, sigstore_bundle.proto.
"""

from __future__ import annotations

SIGNATURE_TYPES = (
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.dev.cosign.simplesigning.v1+json",
    "application/vnd.cncf.notary.signature",
    "application/vnd.cncf.notary.v2.signature",
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle.v0.3+json",
)
"""Of an artifact, or of the configuration of one that names no type of its own."""
