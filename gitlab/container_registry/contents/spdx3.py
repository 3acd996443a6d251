"""SPDX 3 as JSON-LD: its packages in the words of SPDX 2.3, of which a page shows four.

What SPDX 2 says in a package's own fields stands here in elements of one flat list, which name each
other: a licence is an element, and a relationship leads to it. Source: SPDX 3.0.1, "Core",
"Software", "SimpleLicensing", and its JSON-LD serialization.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gitlab.container_registry.contents import documents

_CONTEXT = "spdx.org/rdf/3"
_LICENCES = {"hasConcludedLicense": "licenseConcluded", "hasDeclaredLicense": "licenseDeclared"}
_EXPRESSION = "simplelicensing_licenseExpression"
_MAX_IDENTIFIERS = 20
"""Identifiers of a package among which its URL is looked for."""


def is_spdx3(said: Mapping[str, Any]) -> bool:
    """Whether a document says that it is written so."""
    context = said.get("@context")
    return _CONTEXT in str(context)[:1000] and isinstance(said.get("@graph"), list)


def as_spdx2(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document as SPDX 2.3 would say it: when and by what it was made, and its packages."""
    elements = [each for each in documents.listed(said["@graph"]) if isinstance(each, Mapping)]
    by_id = {_id(each): each for each in elements if _id(each)}
    licences = _licences(elements, by_id)
    made = next((each for each in elements if _type(each) == "CreationInfo"), {})
    names = (each.get("name") for each in elements if _type(each) == "SpdxDocument")
    using = (by_id.get(each, {}).get("name") for each in _ids(made.get("createdUsing")))
    version = made.get("specVersion")
    return {
        "spdxVersion": f"SPDX-{version if isinstance(version, str) else '3'}",
        "name": next(names, ""),
        "creationInfo": {
            "created": made.get("created"),
            "creators": [f"Tool: {name}" for name in using if isinstance(name, str)],
        },
        "packages": [
            _package(each, licences.get(_id(each), {}))
            for each in elements
            if _type(each) == "software_Package"
        ],
    }


def _package(said: Mapping[str, Any], licences: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": said.get("name"),
        "versionInfo": said.get("software_packageVersion"),
        "externalRefs": [{"referenceType": "purl", "referenceLocator": _url(said)}],
        **licences,
    }


def _url(said: Mapping[str, Any]) -> object:
    """The package's URL, which has a field of its own and is an identifier too."""
    if said.get("software_packageUrl"):
        return said["software_packageUrl"]
    for each in documents.listed(said.get("externalIdentifier"))[:_MAX_IDENTIFIERS]:
        if isinstance(each, Mapping) and each.get("externalIdentifierType") == "packageUrl":
            return each.get("identifier")
    return ""


def _licences(
    elements: list[Mapping[str, Any]], by_id: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """By the id of a package its licences, as SPDX 2 calls them; of several the first."""
    found: dict[str, dict[str, Any]] = {}
    for each in elements:
        kind = each.get("relationshipType")
        field = _LICENCES.get(kind) if isinstance(kind, str) else None
        of = each.get("from")
        if field is None or not isinstance(of, str):
            continue
        for target in _ids(each.get("to")):
            said = by_id.get(target, {}).get(_EXPRESSION)
            if said:
                found.setdefault(of, {}).setdefault(field, said)
                break
    return found


def _id(element: Mapping[str, Any]) -> str:
    found = element.get("spdxId") or element.get("@id")
    return found if isinstance(found, str) else ""


def _type(element: Mapping[str, Any]) -> object:
    return element.get("type") or element.get("@type")


def _ids(value: object) -> Iterator[str]:
    """What an element names: one id, or a list of them."""
    for each in [value] if isinstance(value, str) else documents.listed(value):
        if isinstance(each, str):
            yield each
