"""What a token limits: how many bytes and images there may be at and below paths.

GitLab keeps the limits and writes those that hold for an image into the token's ``meta``, the
highest path first; a push has to fit into each of them. What is used below a path the registry
knows itself, see `services.usage`. A token without quotas costs nothing.

    quota   [{"path": "acme", "bytes": 10000000000, "images": 100, "ask": "an administrator"}]

``bytes`` or ``images`` that are not there are not limited; the path is counted all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from registry.errors import Code, RegistryError

MOST = 32
"""Limits in a token for one image. A full path has no more levels."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


class Quota(NamedTuple):
    """How much there may be at and below a path, None for what is not limited; and whom to ask."""

    path: str
    bytes: int | None = None
    images: int | None = None
    ask: str = ""

    def refuse_bytes(self, used: int, more: int) -> None:
        """Raises DENIED where `more` bytes beside `used` ones are too many."""
        if self.bytes is not None and used + more > self.bytes:
            needed = f", and this needs {in_words(more)} more" if more else ""
            raise self._denied(
                f"{in_words(used)} of {in_words(self.bytes)} are used{needed}",
                "bytes",
                used,
                self.bytes,
            )

    def refuse_images(self, used: int) -> None:
        """Raises DENIED where there may not be one image more than `used`."""
        if self.images is not None and used >= self.images:
            raise self._denied(
                f"there are {used} of {self.images} images, and this would be one more",
                "images",
                used,
                self.images,
            )

    def _denied(self, what: str, kind: str, used: int, limit: int) -> RegistryError:
        ask = f", or ask {self.ask}" if self.ask else ""
        return RegistryError(
            Code.DENIED,
            f"the storage quota of {self.path} is reached: {what}; delete what nobody needs{ask}",
            path=self.path,
            quota=kind,
            used=used,
            limit=limit,
        )


@dataclass(frozen=True, slots=True)
class Quotas:
    """All that a token says for one image, the highest path first."""

    entries: tuple[Quota, ...] = ()

    @classmethod
    def read(cls, meta: Mapping[str, Any]) -> Quotas:
        """The quotas in `meta`. Raises DENIED where they can't be read: they were meant to hold."""
        found = meta.get("quota")
        if not found:
            return NO_QUOTAS
        if not isinstance(found, list) or len(found) > MOST:
            raise _unreadable()
        return cls(tuple(sorted((_quota(each) for each in found), key=_by_path)))

    def __bool__(self) -> bool:
        return bool(self.entries)


NO_QUOTAS = Quotas()


def in_words(size: int) -> str:
    """Bytes as people read them, as ``9.8 GB``: powers of 1000, as docker does."""
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return f"{size} byte{'' if size == 1 else 's'}"
    return f"{value:.3g} {_UNITS[unit]}" if value < 999.5 else f"{value:.0f} {_UNITS[unit]}"


def _by_path(quota: Quota) -> tuple[int, str]:
    return quota.path.count("/"), quota.path


def _quota(entry: object) -> Quota:
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str) or not entry["path"]:
        raise _unreadable()
    ask = entry.get("ask", "")
    if not isinstance(ask, str):
        raise _unreadable()
    return Quota(entry["path"], _limit(entry.get("bytes")), _limit(entry.get("images")), ask)


def _limit(value: object) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < 2**63:
        raise _unreadable()
    return value


def _unreadable() -> RegistryError:
    return RegistryError(Code.DENIED, "the token's quotas can't be read")
