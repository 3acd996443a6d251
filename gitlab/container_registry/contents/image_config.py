"""What an image's configuration says: how it starts, what it is called, how it was built.

Source: OCI image specification 1.1, "Image Configuration"; Docker's image specification 1.2 for
``Healthcheck``, ``OnBuild`` and ``Shell``. A configuration is its author's own and may hold
anything.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitlab.container_registry.client.responses import Part, Platform, moment
from gitlab.container_registry.contents import documents
from gitlab.container_registry.contents.documents import Some, link, pairs, shown, texts

MAX_CONFIG = 4 * 1024 * 1024
"""Bytes of a configuration that is read, as our own registry does."""

MAX_COMMAND = 800
"""Characters of a step's command."""

_MAX_WORDS = 20
"""Words of a command that is told by itself."""

_MEDIA_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_LABEL_PREFIXES = ("org.opencontainers.image.", "org.label-schema.")
_SHELL = re.compile(r"(?:RUN )?(?:\|\d+ .*?)?/bin/(?:ba|a)?sh (?:-\w+ )*-e?o?u?x?c ", re.DOTALL)
_BUILDKIT = " # buildkit"
_REVISION = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Label:
    """A label or annotation; `url` is where its value leads, "" where it is but text."""

    name: str
    value: str
    url: str = ""


@dataclass(frozen=True)
class HealthCheck:
    """How a container is asked whether it is well: the command, and in words how often."""

    command: str
    words: str = ""


@dataclass(frozen=True)
class Entry:
    """An entry of the history: what was done, and whether it left no layer."""

    command: str
    created_at: dt.datetime | None = None
    comment: str = ""
    is_empty: bool = False


@dataclass(frozen=True)
class Step:
    """A step of the build with the layer that it left, if any; `number` is that of the layer.

    `command` is "" where the configuration does not tell what made a layer.
    """

    command: str
    created_at: dt.datetime | None = None
    comment: str = ""
    layer: Part | None = None
    number: int = 0


@dataclass(frozen=True)
class ImageConfig:
    """What a configuration says. All of it is "" or empty where it says nothing."""

    platform: Platform
    os_version: str
    created_at: dt.datetime | None
    author: str
    user: str
    working_directory: str
    stop_signal: str
    entrypoint: Some[str]
    command: Some[str]
    shell: Some[str]
    on_build: Some[str]
    environment: Some[tuple[str, str]]
    labels: Some[Label]
    ports: Some[str]
    volumes: Some[str]
    health_check: HealthCheck | None
    history: Sequence[Any] = field(repr=False)

    def entries(self) -> Iterator[Entry]:
        """The history, an entry at a time, as it is taken."""
        return map(_entry, self.history)


def is_image_config(media_type: str) -> bool:
    """Whether a blob of this type is an image's configuration."""
    return media_type in _MEDIA_TYPES


def read(payload: bytes) -> ImageConfig | None:
    """What a configuration says, None where it is none or says too much."""
    said = documents.read_object(payload)
    return _of(said) if said else None


def _of(said: Mapping[str, Any]) -> ImageConfig:
    runs = documents.within(said, "config")
    return ImageConfig(
        Platform(*(shown(said.get(key), 100) for key in ("os", "architecture", "variant"))),
        os_version=shown(said.get("os.version"), 100),
        created_at=moment(said.get("created")),
        author=shown(said.get("author")),
        user=shown(runs.get("User")),
        working_directory=shown(runs.get("WorkingDir")),
        stop_signal=shown(runs.get("StopSignal"), 100),
        entrypoint=texts(runs.get("Entrypoint"), most=_MAX_WORDS),
        command=texts(runs.get("Cmd"), most=_MAX_WORDS),
        shell=texts(runs.get("Shell"), most=_MAX_WORDS),
        on_build=texts(runs.get("OnBuild"), most=_MAX_WORDS),
        environment=_environment(runs.get("Env")),
        labels=labels(runs.get("Labels")),
        ports=_keys(runs.get("ExposedPorts")),
        volumes=_keys(runs.get("Volumes")),
        health_check=_health_check(documents.within(runs, "Healthcheck")),
        history=documents.listed(said.get("history")),
    )


def _keys(value: object) -> Some[str]:
    """A set, which both specifications write as an object of empty objects."""
    if isinstance(value, list):
        return texts(value)
    found = pairs(value)
    return Some(tuple(key for key, _ in found.entries), found.total)


def _environment(value: object) -> Some[tuple[str, str]]:
    found = documents.listed(value)
    some = found[: documents.MAX_LISTED]
    return Some(tuple(map(_variable, some)), len(found))


def _variable(entry: object) -> tuple[str, str]:
    name, _, value = entry.partition("=") if isinstance(entry, str) else (entry, "", "")
    return shown(name), shown(value)


def labels(value: object) -> Some[Label]:
    """Labels or annotations in order of their names, with where those lead that are addresses."""
    if not isinstance(value, Mapping):
        return Some()
    names = sorted(key for key in value if isinstance(key, str))[: documents.MAX_LISTED]
    found = tuple(Label(shown(name, 255), shown(value[name]), _url(name, value)) for name in names)
    return Some(found, len(value))


def _url(name: str, said: Mapping[str, Any]) -> str:
    """Where a label leads: an address that it holds, or of a revision that of the commit."""
    if found := link(said[name]):
        return found
    for prefix in _LABEL_PREFIXES:
        if name in (f"{prefix}revision", f"{prefix}vcs-ref"):
            source = said.get(f"{prefix}source") or said.get(f"{prefix}vcs-url")
            return commit_url(source, said[name])
    return ""


def commit_url(source: object, revision: object) -> str:
    """The page of a commit at the two forges whose addresses are known, "" elsewhere."""
    base = link(source).removesuffix("/").removesuffix(".git")
    if not base or not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        return ""
    host = base.split("/")[2].partition(":")[0]
    if "?" in base or "#" in base:
        return ""
    if host == "github.com":
        return f"{base}/commit/{revision}"
    return f"{base}/-/commit/{revision}" if "gitlab" in host else ""


def _health_check(said: Mapping[str, Any]) -> HealthCheck | None:
    test = [each for each in documents.listed(said.get("Test")) if isinstance(each, str)]
    if not test:
        return None
    if test[0] == "NONE":
        return HealthCheck("", "None, whatever the base image has")
    command = " ".join(test[1:] if test[0] in ("CMD", "CMD-SHELL") else test)
    times = [
        (word, _seconds(said.get(key)))
        for word, key in (
            ("every", "Interval"),
            ("within", "Timeout"),
            ("after the first", "StartPeriod"),
        )
    ]
    words = [f"{word} {seconds}" for word, seconds in times if seconds]
    retries = said.get("Retries")
    if isinstance(retries, int) and 0 < retries < 10**6:
        words.append(f"{retries} tries")
    return HealthCheck(shown(command), ", ".join(words))


def _seconds(nanoseconds: object) -> str:
    """``30 s``, of Go's nanoseconds; "" for what is no time."""
    if not isinstance(nanoseconds, int) or not 0 < nanoseconds < 10**18:
        return ""
    return f"{nanoseconds / _NANOSECONDS:,.3f}".rstrip("0").rstrip(".") + " s"


def _entry(said: object) -> Entry:
    if not isinstance(said, Mapping):
        return Entry("")
    return Entry(
        instruction(said.get("created_by")),
        moment(said.get("created")),
        shown(said.get("comment")),
        said.get("empty_layer") is True,
    )


def instruction(said: object) -> str:
    """A step as its Dockerfile had it: builders write the shell round it in several ways."""
    if not isinstance(said, str):
        return ""
    text = said[: 4 * MAX_COMMAND].strip().removesuffix(_BUILDKIT)
    if found := _SHELL.match(text):
        rest = text[found.end() :].strip()
        text = rest[len("#(nop)") :].strip() if rest.startswith("#(nop)") else f"RUN {rest}"
    return shown(text, MAX_COMMAND)


def steps(config: ImageConfig | None, layers: Sequence[Part]) -> list[Step]:
    """The history joined with the layers, the first step first.

    Each entry that is not marked as empty has left the next layer. Where there are more layers than
    entries the rest has no command, and where there are fewer the rest has no layer.
    """
    left = iter(enumerate(layers, 1))
    found: list[Step] = []
    for entry in config.entries() if config else ():
        number, layer = (0, None) if entry.is_empty else next(left, (0, None))
        found.append(Step(entry.command, entry.created_at, entry.comment, layer, number))
    return found + [Step("", layer=layer, number=number) for number, layer in left]
