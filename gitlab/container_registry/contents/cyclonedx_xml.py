"""CycloneDX in XML: the few elements that a page shows, as its JSON says them.

Read by expat as a stream. A document type is refused as soon as it begins, so that there are no
entities but XML's own five, nothing is expanded and nothing is fetched. Depth and number of what is
kept have an end, and the rest is passed over. Source: CycloneDX 1.6, ``bom-1.6.xsd``; XML 1.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

_SCHEMA = "cyclonedx.org/schema/bom/"
_BEGINNING = 4096
"""Bytes in which the document's element says what it is."""

MAX_KEPT = 100_000
"""Elements that are kept, each some hundred bytes: those of fifteen thousand components."""

MAX_TAGS = 500_000
"""Tags that are looked at."""

MAX_DEPTH = 60
_MAX_TEXT = 2000

_KEPT = {
    "bom": {"metadata", "components"},
    "metadata": {"timestamp", "tools", "component"},
    "tools": {"tool", "components"},
    "tool": {"name"},
    "components": {"component"},
    "component": {"group", "name", "version", "purl", "licenses", "components"},
    "licenses": {"license", "expression"},
    "license": {"id", "name"},
}
"""By an element those within it that are kept. What has none of its own is a text."""


class _Refused(Exception):
    """It has a document type, or no end."""


def read(payload: bytes) -> Mapping[str, Any]:
    """A document as CycloneDX's JSON has it; an empty one where it is none, or says too much."""
    if _SCHEMA.encode() not in payload[:_BEGINNING] or payload.count(b"<") > MAX_TAGS:
        return {}
    try:
        return _Reader().read(payload)
    except (expat.ExpatError, _Refused, ValueError):
        return {}


class _Element:
    """One that is kept: its name, what is in it, and its text as far as that is shown."""

    def __init__(self, name: str, attributes: Mapping[str, str]) -> None:
        self.name = name
        self.type = attributes.get("type", "")
        self.children: list[tuple[str, Any]] = []
        self.text = ""

    def value(self) -> Any:
        """As JSON has it."""
        if self.name not in _KEPT:
            return self.text.strip()
        if self.name == "components":
            return [value for _, value in self.children]
        if self.name == "licenses":
            return [{name: value} for name, value in self.children]
        if self.name == "tools":
            listed = [value for name, value in self.children if name == "tool"]
            return listed or dict(self.children)
        return {**({"type": self.type} if self.type else {}), **dict(self.children)}


class _Reader:
    def __init__(self) -> None:
        self._open: list[_Element] = []
        self._passed_over = 0
        self._kept = 0
        self._found: dict[str, Any] = {}

    def read(self, payload: bytes) -> Mapping[str, Any]:
        """Raises `_Refused`, `ExpatError`."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(payload, True)
        return self._found

    def _refuse(self, *_: object) -> None:
        raise _Refused

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if self._passed_over or not self._is_kept(namespace, local):
            self._passed_over += 1
            return
        self._kept += 1
        if self._kept > MAX_KEPT or len(self._open) >= MAX_DEPTH:
            raise _Refused
        if not self._open:
            version = namespace.rpartition("/")[2]
            self._found = {"bomFormat": "CycloneDX", "specVersion": version}
        self._open.append(_Element(local, attributes))

    def _is_kept(self, namespace: str, local: str) -> bool:
        if _SCHEMA not in namespace:
            return False
        if not self._open:
            return local == "bom"
        return local in _KEPT.get(self._open[-1].name, ())

    def _end(self, name: str) -> None:
        if self._passed_over:
            self._passed_over -= 1
            return
        ended = self._open.pop()
        if self._open:
            self._open[-1].children.append((ended.name, ended.value()))
        else:
            self._found |= dict(ended.children)

    def _text(self, text: str) -> None:
        if self._open and not self._passed_over:
            top = self._open[-1]
            if top.name not in _KEPT and len(top.text) < _MAX_TEXT:
                top.text += text[:_MAX_TEXT]
