"""A Helm chart: what it is called, its values and its README.

Source: helm.sh, "Use OCI-based registries": the configuration is Chart.yaml as JSON, and the layer
a gzipped tar, of which so much is unpacked in memory and no more. A chart's entries are a few
hundred small files; what else an archive may hold is passed over.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitlab.container_registry.contents import archives, documents
from gitlab.container_registry.contents.documents import Some, link, shown, visible

CONFIG = "application/vnd.cncf.helm.config.v1+json"
CONTENT = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

MAX_PACKED = 4 * 1024 * 1024
"""Bytes of an archive that is read: Helm takes charts of a megabyte."""

MAX_UNPACKED = 8 * 1024 * 1024
MAX_ENTRIES = 2000
MAX_FILE = 100 * 1024
"""Characters of a file that is shown."""

_WANTED = ("values.yaml", "README.md", "Chart.yaml")


@dataclass(frozen=True)
class Chart:
    """What a chart says of itself; `files` by name, each as far as it is shown."""

    name: str
    version: str
    app_version: str
    description: str
    home: str
    home_url: str
    kube_version: str
    sources: Some[str]
    maintainers: Some[str]
    dependencies: Some[str]
    files: Mapping[str, str]


def read(config: bytes, files: Mapping[str, str]) -> Chart | None:
    """What a chart says, None where its configuration is none."""
    said = documents.read_object(config)
    if not said:
        return None
    return Chart(
        name=shown(said.get("name"), 255),
        version=shown(said.get("version"), 255),
        app_version=shown(said.get("appVersion"), 255),
        description=shown(said.get("description"), 1000),
        home=shown(said.get("home")),
        home_url=link(said.get("home")),
        kube_version=shown(said.get("kubeVersion"), 255),
        sources=documents.texts(said.get("sources")),
        maintainers=_named(said.get("maintainers"), "email"),
        dependencies=_named(said.get("dependencies"), "version"),
        files=files,
    )


def _named(value: object, more: str) -> Some[str]:
    """Objects with a name, and what else is said of each in brackets."""
    found = documents.listed(value)
    told = []
    for each in found[: documents.MAX_LISTED]:
        said: Mapping[str, Any] = each if isinstance(each, Mapping) else {}
        extra = shown(said.get(more), 100)
        told.append(shown(said.get("name"), 100) + (f" ({extra})" if extra else ""))
    return Some(tuple(told), len(found))


def files_in(packed: bytes) -> dict[str, str]:
    """The files of a chart that are shown, from its archive. Nothing where that can't be read."""
    found: dict[str, str] = {}
    try:
        unpacked = zlib.decompressobj(wbits=31).decompress(packed, MAX_UNPACKED)
    except zlib.error:
        return found
    for path, body in archives.files(unpacked, MAX_ENTRIES):
        name = path.split("/")
        if len(name) == 2 and name[1] in _WANTED:
            text = body[: MAX_FILE * 4].decode(errors="replace")[:MAX_FILE]
            found.setdefault(name[1], visible(text))
        if len(found) == len(_WANTED):
            break
    return found
