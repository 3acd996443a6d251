"""How two images differ, by their manifests and configurations alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitlab.container_registry.client.responses import Part
from gitlab.container_registry.contents.documents import Some
from gitlab.container_registry.contents.image_config import ImageConfig


@dataclass(frozen=True)
class Field:
    """Something that two configurations say differently; "" where one says nothing of it."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Layer:
    """A layer of one image or of both, and its number in each, from 1; 0 where it is not in it."""

    part: Part
    before: int
    after: int

    @property
    def change(self) -> str:
        """``common``, ``gone`` or ``new``."""
        if self.before and self.after:
            return "common"
        return "gone" if self.before else "new"


@dataclass(frozen=True)
class Layers:
    """The layers of two images: those of the one in order, then what only the other has.

    `shared_base` is how many at the bottom are the same in both, in one order.
    """

    layers: Sequence[Layer]
    shared_base: int

    def of(self, change: str) -> list[Layer]:
        """Those in common, gone or new."""
        return [each for each in self.layers if each.change == change]

    def bytes_of(self, change: str) -> int:
        """Bytes of those in common, gone or new, each layer once."""
        return sum(each.part.size_bytes for each in self.of(change))


def of_layers(before: Sequence[Part], after: Sequence[Part]) -> Layers:
    """What became of the layers. One that an image has twice counts where it is first."""
    first_before = _numbers(before)
    first_after = _numbers(after)
    parts = {part.digest: part for part in (*before, *after)}
    found = [
        Layer(part, first_before.get(digest, 0), first_after.get(digest, 0))
        for digest, part in parts.items()
    ]
    shared = 0
    for one, other in zip(before, after, strict=False):
        if one.digest != other.digest:
            break
        shared += 1
    return Layers(found, shared)


def _numbers(parts: Sequence[Part]) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, part in enumerate(parts, 1):
        found.setdefault(part.digest, number)
    return found


def of_configs(before: ImageConfig | None, after: ImageConfig | None) -> list[Field]:
    """What two configurations say differently of how a container starts."""
    one, other = _said(before), _said(after)
    return _fields(one.items(), other.items())


def _said(config: ImageConfig | None) -> dict[str, str]:
    if config is None:
        return {}
    check = config.health_check
    created = config.created_at
    return {
        "Platform": str(config.platform),
        "OS version": config.os_version,
        "Created": created.strftime("%Y-%m-%d %H:%M:%S UTC") if created else "",
        "Author": config.author,
        "Entrypoint": _line(config.entrypoint),
        "Command": _line(config.command),
        "User": config.user,
        "Working directory": config.working_directory,
        "Ports": _set(config.ports),
        "Volumes": _set(config.volumes),
        "Stop signal": config.stop_signal,
        "Shell": _line(config.shell),
        "On build": _line(config.on_build),
        "Health check": " · ".join(part for part in (check.command, check.words) if part)
        if check
        else "",
    }


def _line(some: Some[str]) -> str:
    """A list as one text; its parts are told apart where one has a space."""
    parts = [f'"{part}"' if " " in part or not part else part for part in some.entries]
    return " ".join(parts) + (f" … ({some.more:,} more)" if some.more > 0 else "")


def _set(some: Some[str]) -> str:
    return ", ".join(sorted(some.entries)) + (f" … ({some.more:,} more)" if some.more > 0 else "")


def of_environments(before: ImageConfig | None, after: ImageConfig | None) -> list[Field]:
    """Variables that are new, gone or have another value, by name."""
    one = before.environment.entries if before else ()
    other = after.environment.entries if after else ()
    return _fields(one, other, by_name=True)


def of_labels(before: ImageConfig | None, after: ImageConfig | None) -> list[Field]:
    """Labels that are new, gone or have another value, by name."""
    one = [(label.name, label.value) for label in before.labels.entries] if before else []
    other = [(label.name, label.value) for label in after.labels.entries] if after else []
    return _fields(one, other, by_name=True)


def _fields(
    before: Iterable[tuple[str, str]], after: Iterable[tuple[str, str]], *, by_name: bool = False
) -> list[Field]:
    one, other = dict(before), dict(after)
    names: Iterable[str] = dict.fromkeys((*one, *other))
    return [
        Field(name, one.get(name, ""), other.get(name, ""))
        for name in (sorted(names) if by_name else names)
        if one.get(name) != other.get(name)
    ]


def is_cut(before: ImageConfig | None, after: ImageConfig | None) -> bool:
    """Whether one has more variables or labels than are compared."""
    return any(
        config.environment.more > 0 or config.labels.more > 0
        for config in (before, after)
        if config is not None
    )
