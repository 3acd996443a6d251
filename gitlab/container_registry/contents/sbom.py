"""What is in an image by its SBOM: packages with their versions and licences.

The few fields that a page shows are read by hand: decision 29 says why. Source: SPDX 2.3, clauses 6
and 7, in JSON; SPDX 3, see `spdx3`; CycloneDX 1.6, "components", in JSON and XML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitlab.container_registry.client.responses import MAX_TEXT
from gitlab.container_registry.contents import cyclonedx_xml, documents, spdx3, statements
from gitlab.container_registry.contents.documents import shown
from gitlab.container_registry.contents.statements import MAX_MARKS

_SAID_NOTHING = ("NOASSERTION", "NONE", "")
_MAX_LICENCES = 10
MAX_DEPTH = 8
"""Of components within components."""


@dataclass(frozen=True)
class Package:
    """A package; `kind` is that of its URL (``deb``, ``pypi``), "" where it has none."""

    name: str
    version: str
    licence: str
    kind: str
    purl: str


@dataclass(frozen=True)
class Sbom:
    """A list of packages. `found` are as they stand in the document: `page` takes some apart."""

    format: str
    name: str
    created: str
    tool: str
    total: int
    found: Sequence[Mapping[str, Any]] = field(repr=False)
    is_spdx: bool = True

    def page(self, search: str, after: int, count: int) -> tuple[list[Package], int]:
        """`count` packages behind the first `after` of those with `search` in their name, version,
        licence or URL, in any case; and how many of these there are.
        """
        chosen = list(self._matching(search.lower()))
        read = _of_spdx if self.is_spdx else _of_cyclonedx
        return [read(each) for each in chosen[after : after + count]], len(chosen)

    def _matching(self, search: str) -> Iterator[Mapping[str, Any]]:
        if not search:
            yield from self.found
            return
        read = _of_spdx if self.is_spdx else _of_cyclonedx
        for each in self.found:
            package = read(each)
            words = (package.name, package.version, package.licence, package.purl)
            if any(search in word.lower() for word in words):
                yield each


def read(payload: bytes) -> Sbom | None:
    """The SBOM in a blob, as it is or as the predicate of a statement; None where there is none."""
    said = statements.unwrapped(documents.read_object(payload, MAX_MARKS))
    if not said:
        said = cyclonedx_xml.read(payload)
    if "predicateType" in said:
        said = documents.within(said, "predicate")
    # cosign 1 wrote the document as a text, or below a key.
    inner = said.get("Data")
    if isinstance(inner, str):
        said = documents.read_object(inner.encode(errors="replace"), MAX_MARKS)
    elif isinstance(inner, Mapping):
        said = inner
    return of_document(said)


def of_document(said: Mapping[str, Any]) -> Sbom | None:
    """The SBOM that a document is."""
    if spdx3.is_spdx3(said):
        return _spdx(spdx3.as_spdx2(said))
    if "spdxVersion" in said:
        return _spdx(said)
    return _cyclonedx(said) if said.get("bomFormat") == "CycloneDX" else None


def _spdx(said: Mapping[str, Any]) -> Sbom:
    made = documents.within(said, "creationInfo")
    tools = [
        text.removeprefix("Tool: ")
        for text in documents.listed(made.get("creators"))
        if isinstance(text, str) and text.startswith("Tool: ")
    ]
    found = _objects(said.get("packages"))
    return Sbom(
        f"{shown(said.get('spdxVersion'), 50).replace('-', ' ', 1)}",
        shown(said.get("name"), MAX_TEXT),
        shown(made.get("created"), 50),
        shown(", ".join(tools[:3]), MAX_TEXT),
        len(found),
        found,
    )


def _cyclonedx(said: Mapping[str, Any]) -> Sbom:
    metadata = documents.within(said, "metadata")
    component = documents.within(metadata, "component")
    tools = metadata.get("tools")
    listed = _objects(tools) or _objects(documents.within(metadata, "tools").get("components"))
    found = list(_components(said.get("components"), MAX_DEPTH))
    return Sbom(
        f"CycloneDX {shown(said.get('specVersion'), 50)}",
        shown(component.get("name"), MAX_TEXT),
        shown(metadata.get("timestamp"), 50),
        ", ".join(shown(each.get("name"), 80) for each in listed[:3]),
        len(found),
        found,
        is_spdx=False,
    )


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [each for each in documents.listed(value) if isinstance(each, Mapping)]


def _components(value: object, depth: int) -> Iterator[Mapping[str, Any]]:
    """Components and those within them, so deep."""
    for each in _objects(value):
        yield each
        if depth:
            yield from _components(each.get("components"), depth - 1)


def _of_spdx(said: Mapping[str, Any]) -> Package:
    purl = ""
    for each in _objects(said.get("externalRefs"))[:20]:
        if each.get("referenceType") == "purl":
            purl = shown(each.get("referenceLocator"))
            break
    licences = [said.get("licenseConcluded"), said.get("licenseDeclared")]
    told = [shown(each) for each in licences if each not in _SAID_NOTHING and each is not None]
    return Package(
        shown(said.get("name"), MAX_TEXT),
        shown(said.get("versionInfo"), MAX_TEXT),
        told[0] if told else "",
        _kind(purl),
        purl,
    )


def _of_cyclonedx(said: Mapping[str, Any]) -> Package:
    purl = shown(said.get("purl"))
    group, name = shown(said.get("group"), 100), shown(said.get("name"), MAX_TEXT)
    listed = _objects(said.get("licenses"))[:_MAX_LICENCES]
    told = [
        shown(each.get("expression"), 100)
        or shown(documents.within(each, "license").get("id"), 100)
        or shown(documents.within(each, "license").get("name"), 100)
        for each in listed
    ]
    return Package(
        f"{group}/{name}" if group else name,
        shown(said.get("version"), MAX_TEXT),
        ", ".join(filter(None, told))[:500],
        _kind(purl) or shown(said.get("type"), 50),
        purl,
    )


def _kind(purl: str) -> str:
    """The type of a package URL (purl-spec, "type")."""
    scheme, _, rest = purl.partition(":")
    return rest.lstrip("/").partition("/")[0][:30] if scheme == "pkg" else ""
