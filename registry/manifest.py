"""Reading a manifest or an index, and refusing what would be read differently by somebody else.

No I/O here. Sources: OCI image specification 1.1, "Image Manifest" and "Image Index"; docker's
"Image Manifest Version 2, Schema 2". One digest must never be a manifest to one reader and an
index to another (CVE-2021-41190), so the type that is declared, the type inside and the fields have
to agree, and no key may stand twice or in another case. What decides nothing here is not looked at:
the media types of layers and children are their authors' and may hold anything, or nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from registry import digest as digests
from registry import media_types
from registry.errors import Code, RegistryError

MAX_REFERENCES = 10_000
"""Descriptors in one manifest."""

MAX_PLATFORMS = 64
"""Different platforms that an index is known to be for. What it says is served as it came; this is
what lists of tags tell, where more would only be in the way."""

_MAX_SIZE = 2**63 - 1
_LONGEST_TYPE = 255
"""Characters of an artifact type: it is kept in a column of its own, and referrers are listed by
it.
"""

_FIELDS = {
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
}
_FIELDS_OF_A_DESCRIPTOR = {
    "mediaType",
    "digest",
    "size",
    "urls",
    "annotations",
    "data",
    "platform",
    "artifactType",
}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to content. Source: OCI image specification, "Content Descriptors"."""

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    urls: bool = False
    platform: dict[str, str] | None = None

    @property
    def is_foreign(self) -> bool:
        """Whether clients get it from elsewhere, so that nobody need push it here."""
        return self.urls or self.media_type in media_types.NONDISTRIBUTABLE


@dataclass(frozen=True, slots=True)
class ParsedManifest:
    """What a manifest or an index says."""

    media_type: str
    artifact_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    annotations: dict[str, str]

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests rather than blobs."""
        return self.media_type in media_types.INDEXES

    @property
    def needed_blobs(self) -> dict[str, Descriptor]:
        """The blobs that have to be here, by digest."""
        found = [self.config] if self.config is not None else []
        found += [layer for layer in self.layers if not layer.is_foreign]
        return {descriptor.digest: descriptor for descriptor in found}

    @property
    def foreign_blobs(self) -> set[str]:
        """The digests of layers that need not be here. Where they are, they belong to the image."""
        return {layer.digest for layer in self.layers if layer.is_foreign} - set(self.needed_blobs)

    @property
    def listed(self) -> set[str]:
        """The digests of what need not be here, and is held from when it comes."""
        return {child.digest for child in self.children} | self.foreign_blobs

    @property
    def content_size(self) -> int:
        """Bytes of the blobs that it refers to, each counted once."""
        return sum(descriptor.size for descriptor in self.needed_blobs.values())

    @property
    def platforms(self) -> list[dict[str, str]]:
        """The platforms that an index names, each once, at most `MAX_PLATFORMS`.

        Without the attestations that buildx adds.
        """
        named = [child.platform for child in self.children if child.platform]
        known = [platform for platform in named if platform.get("os") != "unknown"]
        different = {tuple(platform.items()): platform for platform in known}
        return list(different.values())[:MAX_PLATFORMS]


def parse(payload: bytes, content_type: str | None) -> ParsedManifest:
    """What `payload` says, where it is what `content_type` declares.

    A ``charset`` parameter is ignored. Raises MANIFEST_INVALID.
    """
    document = _load(payload)
    declared = (content_type or "").partition(";")[0].strip().lower()
    media_type = _media_type(document, declared)
    version = document.get("schemaVersion")
    if type(version) is not int or version != 2:
        raise _invalid("schemaVersion is 2")
    is_index = media_type in media_types.INDEXES
    # Go's writers say null for what is absent, and its readers read it so.
    if is_index and (document.get("config") is not None or document.get("layers") is not None):
        raise _invalid("an index has no config and no layers")
    if not is_index and document.get("manifests") is not None:
        raise _invalid("a manifest has no list of manifests: is it an index?")
    config = None if is_index else _descriptor(document.get("config"), "config")
    layers = () if is_index else _descriptors(document.get("layers"), "layers")
    children = _descriptors(document.get("manifests"), "manifests") if is_index else ()
    subject = document.get("subject")
    artifact_type = _text(document.get("artifactType"), "artifactType")
    if not artifact_type and config is not None and not is_index:
        artifact_type = config.media_type
    if len(artifact_type) > _LONGEST_TYPE or not artifact_type.isprintable():
        raise _invalid(f"an artifact type has at most {_LONGEST_TYPE} printable characters")
    return ParsedManifest(
        media_type=media_type,
        artifact_type=artifact_type,
        config=config,
        layers=layers,
        children=children,
        subject=None if subject is None else _descriptor(subject, "subject"),
        annotations=_annotations(document.get("annotations")),
    )


def _invalid(message: str, **details: Any) -> RegistryError:
    return RegistryError(Code.MANIFEST_INVALID, message, **details)


def _load(payload: bytes) -> dict[str, Any]:
    try:
        document = json.loads(
            payload.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant
        )
    except RegistryError:
        raise
    except (ValueError, RecursionError) as error:
        raise _invalid("the body is not a JSON document in UTF-8") from error
    if not isinstance(document, dict):
        raise _invalid("the body is not a JSON object")
    _refuse_other_cases(document, _FIELDS)
    return document


def _refuse_other_cases(value: dict[str, Any], fields: set[str]) -> None:
    """Go's readers take ``Layers`` for ``layers``, and so would read another manifest than here."""
    if value.keys() <= fields:
        return
    folded = {name.casefold(): name for name in fields}
    for key in value.keys() - fields:
        if key.casefold() in folded:
            raise _invalid(f"a key differs from {folded[key.casefold()]} in its case only")


def _refuse_constant(name: str) -> None:
    raise _invalid(f"{name} is no JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ: readers disagree about which of two wins."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _invalid("a key stands twice in one object")
    return found


def _media_type(document: dict[str, Any], declared: str) -> str:
    inside = document.get("mediaType")
    if inside is not None and not isinstance(inside, str):
        raise _invalid("mediaType is a text")
    if declared in media_types.DOCKER_SCHEMA_1 or document.get("schemaVersion") == 1:
        raise _invalid(
            "docker's image manifest schema 1 is not supported: build and push the image anew"
            " with a docker of this decade"
        )
    known = (*media_types.MANIFESTS, *media_types.INDEXES)
    if declared in ("", "application/json", media_types.OCTET_STREAM):
        declared = inside or (
            media_types.OCI_MANIFEST if document.get("manifests") is None else media_types.OCI_INDEX
        )
    if declared not in known:
        raise _invalid(f"the Content-Type is one of {', '.join(known)}")
    if inside is not None and inside != declared:
        raise _invalid("mediaType and Content-Type differ")
    return declared


def _descriptors(value: object, where: str) -> tuple[Descriptor, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _invalid(f"{where} is a list")
    if len(value) > MAX_REFERENCES:
        raise _invalid(f"{where} has at most {MAX_REFERENCES} entries")
    return tuple(_descriptor(entry, where) for entry in value)


def _descriptor(value: object, where: str) -> Descriptor:
    if not isinstance(value, dict):
        raise _invalid(f"{where}: a descriptor is an object")
    _refuse_other_cases(value, _FIELDS_OF_A_DESCRIPTOR)
    digest, size = value.get("digest"), value.get("size")
    if not digests.is_digest(digest):
        raise _invalid(f"{where}: a descriptor has a sha256 or sha512 digest")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        raise _invalid(f"{where}: a descriptor has a size in bytes")
    urls = value.get("urls")
    if urls is not None and not (isinstance(urls, list) and all(isinstance(u, str) for u in urls)):
        raise _invalid(f"{where}: urls is a list of texts")
    return Descriptor(
        media_type=_text(value.get("mediaType"), f"{where}: mediaType"),
        digest=str(digest),
        size=size,
        artifact_type=_text(value.get("artifactType"), f"{where}: artifactType"),
        urls=bool(urls),
        platform=_platform(value.get("platform")),
    )


def _platform(value: object) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    return platform_of(value) or None


def platform_of(document: dict[str, Any]) -> dict[str, str]:
    """What `document` says of a platform, where it says it in printable words."""
    found = {}
    for name in ("os", "architecture", "variant"):
        word = document.get(name)
        # PostgreSQL's JSON takes neither NUL nor half a surrogate pair.
        if isinstance(word, str) and word and word.isprintable():
            found[name] = word[:64]
    return found


def _text(value: object, where: str) -> str:
    """A text as it came, empty where there is none. Go's readers refuse a manifest with others."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _invalid(f"{where} is a text")
    return value


def _annotations(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _invalid("annotations are texts by name")
    return value
