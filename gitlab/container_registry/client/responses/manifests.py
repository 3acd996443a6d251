"""Manifests, what they refer to and what refers to them, as the registry answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from gitlab.container_registry.client.responses.reading import (
    MAX_SIZE,
    Object,
    moment,
    read_json,
    word,
)


@dataclass(frozen=True)
class Platform:
    """What an image runs on; its text is docker's ``linux/arm64/v8``."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def read(cls, body: Object) -> Self:
        """From a descriptor's ``platform``, an image's configuration, or the registry's object."""
        return cls(word(body, "os"), word(body, "architecture"), word(body, "variant"))


@dataclass(frozen=True)
class Part:
    """What a manifest refers to: a layer, or in an index a manifest with its platform."""

    digest: str
    size_bytes: int
    media_type: str
    platform: Platform | None = None
    artifact_type: str = ""

    @property
    def is_attestation(self) -> bool:
        """Whether it is what buildx adds: a statement about its neighbours, for no platform."""
        return self.platform is not None and self.platform.os == "unknown"

    @classmethod
    def read(cls, body: Object) -> Self:
        """From a descriptor. Raises `ValueError`, `TypeError`, … where it is none."""
        platform = body.get("platform")
        return cls(
            digest=word(body, "digest"),
            size_bytes=min(max(0, int(body.get("size") or 0)), MAX_SIZE),
            media_type=word(body, "mediaType"),
            platform=Platform.read(platform) if platform else None,
            artifact_type=word(body, "artifactType"),
        )


@dataclass(frozen=True)
class Referrer:
    """A manifest that names another one as its subject: a signature, say."""

    digest: str
    media_type: str
    size_bytes: int
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, body: Object) -> Self:
        """From a descriptor. Raises `ValueError`, `TypeError`, … where it is none."""
        part = Part.read(body)
        said = body.get("annotations") or {}
        return cls(
            part.digest,
            part.media_type,
            part.size_bytes,
            part.artifact_type,
            {str(key): str(value) for key, value in dict(said).items()},
        )


@dataclass(frozen=True)
class ReferrersPage:
    """Some referrers; what to pass as `last` for the following ones, "" where there are none."""

    referrers: list[Referrer]
    next_last: str = ""


@dataclass(frozen=True)
class StoredManifest:
    """The exact bytes of a manifest."""

    media_type: str
    payload: bytes

    def parts(self, key: str) -> list[Part]:
        """``layers`` or ``manifests``; nothing where it has none, or says too much to be read."""
        try:
            return [Part.read(entry) for entry in read_json(self.payload).get(key) or []]
        except (ValueError, TypeError, AttributeError, OverflowError):
            return []


@dataclass(frozen=True)
class ManifestDetails:
    """What the registry knows of a manifest. `size_bytes` is of what it refers to, each blob once.

    `subject` is the digest of what it belongs to, "" where it says none.
    """

    digest: str
    media_type: str
    artifact_type: str = ""
    config_digest: str = ""
    subject: str = ""
    size_bytes: int = 0
    created_at: dt.datetime | None = None
    pushed_at: dt.datetime | None = None
    pushed_by: str = ""
    platforms: tuple[Platform, ...] = ()
    platforms_count: int = 0

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            digest=body["digest"],
            media_type=body.get("media_type") or "",
            artifact_type=body.get("artifact_type") or "",
            config_digest=body.get("config_digest") or "",
            subject=body.get("subject") or "",
            size_bytes=body.get("size_bytes") or 0,
            created_at=moment(body.get("created_at")),
            pushed_at=moment(body.get("pushed_at")),
            pushed_by=body.get("pushed_by") or "",
            platforms=tuple(Platform.read(entry) for entry in body.get("platforms") or []),
            platforms_count=body.get("platforms_count") or 0,
        )


@dataclass(frozen=True)
class SharedBlob:
    """A blob that `count` other images have too, the first of which are named."""

    digest: str
    count: int
    names: tuple[str, ...]

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(body["digest"], int(body["count"]), tuple(body.get("names") or ()))
