"""What an image's configuration says that people ask for: platform and time of creation."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field

from registry import media_types
from registry.manifest import Descriptor, platform_of
from registry.storage import chosen as storage
from registry.storage.base import StorageUnavailable

_MAX_SIZE = 4 * 1024 * 1024


@dataclass(frozen=True)
class ImageConfig:
    """The platform, where there is one, and when the image was made, where it says so."""

    platforms: list[dict[str, str]] = field(default_factory=list)
    created_at: dt.datetime | None = None


def read(descriptor: Descriptor | None) -> ImageConfig:
    """What the configuration blob says; nothing where it is no image's, or can't be understood.

    A configuration is the client's own and may hold anything. It is never a reason to refuse.
    """
    if descriptor is None or descriptor.media_type not in media_types.IMAGE_CONFIGS:
        return ImageConfig()
    if descriptor.size > _MAX_SIZE:
        return ImageConfig()
    try:
        with storage.current().open(descriptor.digest) as file:
            document = json.loads(file.read(_MAX_SIZE))
    except (OSError, ValueError, RecursionError, StorageUnavailable):
        return ImageConfig()
    if not isinstance(document, dict):
        return ImageConfig()
    platform = platform_of(document)
    return ImageConfig([platform] if platform else [], _moment(document.get("created")))


def _moment(text: object) -> dt.datetime | None:
    """An RFC 3339 time; nanoseconds, which docker writes, are cut to microseconds."""
    if not isinstance(text, str) or len(text) > 64:
        return None
    head, dot, rest = text.partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        text = f"{head}.{digits[:6]}{rest[len(digits) :]}"
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        moment = moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year > 1 else None
