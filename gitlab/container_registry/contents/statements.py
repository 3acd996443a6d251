"""Statements about an image, out of what they are wrapped in. Nothing of it is verified.

Source: in-toto attestation framework, "Statement" 0.1 and 1; DSSE 1.0, "Envelope"; Sigstore's
bundle 0.3. BuildKit writes the statement as it is, cosign wraps it in an envelope.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gitlab.container_registry.client.responses import MAX_TEXT
from gitlab.container_registry.contents import documents
from gitlab.container_registry.contents.documents import shown

MAX_MARKS = 500_000
"""Quotes and brackets of a statement: an SBOM names each package in a dozen ways."""


@dataclass(frozen=True)
class Statement:
    """What somebody says of an image: a predicate of a type, and how many things it is about."""

    predicate_type: str
    predicate: Mapping[str, Any] = field(repr=False)
    subjects: int = 0


def read(payload: bytes) -> Statement | None:
    """The statement in a blob, None where there is none."""
    said = unwrapped(documents.read_object(payload, MAX_MARKS))
    kind = shown(said.get("predicateType"), MAX_TEXT)
    if not kind:
        return None
    return Statement(
        kind, documents.within(said, "predicate"), len(documents.listed(said.get("subject")))
    )


def unwrapped(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an envelope or a bundle holds; the document itself where it is neither."""
    envelope = documents.within(said, "dsseEnvelope") or said
    payload = envelope.get("payload")
    if not isinstance(payload, str) or "payloadType" not in envelope:
        return said
    try:
        inner = base64.b64decode(payload)
    except (binascii.Error, ValueError):
        return {}
    return documents.read_object(inner, MAX_MARKS)
