"""How an image was built, by a statement of SLSA: builder, source, commit, and when.

Source: SLSA provenance 0.2 and 1, and BuildKit's additions to them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitlab.container_registry.client.responses import MAX_TEXT, moment
from gitlab.container_registry.contents import documents
from gitlab.container_registry.contents.documents import Some, link, shown
from gitlab.container_registry.contents.image_config import commit_url
from gitlab.container_registry.contents.statements import Statement

PREDICATES = ("https://slsa.dev/provenance/",)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_BUILDKIT = "https://mobyproject.org/buildkit@v1#metadata"


@dataclass(frozen=True)
class Material:
    """What went into a build: where it came from and its digest."""

    uri: str
    digest: str
    url: str = ""


@dataclass(frozen=True)
class Provenance:
    """What is said of a build. `url`s are those that a page may link to."""

    builder: str
    builder_url: str
    build_type: str
    source: str
    source_url: str
    commit: str
    commit_url: str
    entry_point: str
    invocation: str
    started_at: dt.datetime | None
    finished_at: dt.datetime | None
    materials: Some[Material]
    parameters: Some[tuple[str, str]]


def is_provenance(statement: Statement) -> bool:
    """Whether a statement says how something was built."""
    return statement.predicate_type.startswith(PREDICATES)


def read(statement: Statement) -> Provenance:
    """What a statement says of a build; of a later version what it still says alike."""
    said = statement.predicate
    return _of_1(said) if "buildDefinition" in said else _of_0_2(said)


def _of_1(said: Mapping[str, Any]) -> Provenance:
    definition = documents.within(said, "buildDefinition")
    details = documents.within(said, "runDetails")
    metadata = documents.within(details, "metadata")
    external = documents.within(definition, "externalParameters")
    materials = documents.listed(definition.get("resolvedDependencies"))
    workflow = documents.within(external, "workflow")
    config = documents.within(external, "configSource")
    asked = documents.within(external, "request")
    vcs = {
        **documents.within(metadata, _BUILDKIT, "vcs"),
        **documents.within(metadata, "buildkit_metadata", "vcs"),
    }
    sources = (vcs.get("source"), workflow.get("repository"), config.get("uri"))
    entry = workflow.get("path") or config.get("path") or config.get("entryPoint")
    return _with(
        sources,
        vcs.get("revision") or documents.within(config, "digest").get("sha1"),
        materials,
        builder=documents.within(details, "builder").get("id"),
        build_type=definition.get("buildType"),
        entry_point=entry,
        invocation=metadata.get("invocationId") or metadata.get("invocationID"),
        started=metadata.get("startedOn"),
        finished=metadata.get("finishedOn"),
        parameters=documents.within(asked, "args") or external,
    )


def _of_0_2(said: Mapping[str, Any]) -> Provenance:
    invocation = documents.within(said, "invocation")
    config = documents.within(invocation, "configSource")
    metadata = documents.within(said, "metadata")
    vcs = documents.within(metadata, _BUILDKIT, "vcs")
    return _with(
        (vcs.get("source"), config.get("uri")),
        vcs.get("revision") or documents.within(config, "digest").get("sha1"),
        documents.listed(said.get("materials")),
        builder=documents.within(said, "builder").get("id"),
        build_type=said.get("buildType"),
        entry_point=config.get("entryPoint"),
        invocation=metadata.get("buildInvocationID") or metadata.get("buildInvocationId"),
        started=metadata.get("buildStartedOn"),
        finished=metadata.get("buildFinishedOn"),
        parameters=documents.within(invocation, "parameters", "args")
        or documents.within(invocation, "parameters"),
    )


def _with(
    sources: Sequence[object], revision: object, materials: Sequence[Any], **said: Any
) -> Provenance:
    found = tuple(map(_material, materials[: documents.MAX_LISTED]))
    source = _first_text(sources)
    commit = _first_text([revision])
    if not commit:
        # The repository is a material too, and its digest the commit.
        origin = next((each for each in found if _is_of(each, source)), Material("", ""))
        source, commit = source or origin.uri, origin.digest
    return Provenance(
        builder=shown(said["builder"]),
        builder_url=link(said["builder"]),
        build_type=shown(said["build_type"]),
        source=shown(source),
        source_url=_repository(source),
        commit=shown(commit, MAX_TEXT),
        commit_url=commit_url(_repository(source), commit),
        entry_point=shown(said["entry_point"]),
        invocation=shown(said["invocation"]),
        started_at=moment(said["started"]),
        finished_at=moment(said["finished"]),
        materials=Some(found, len(materials)),
        parameters=documents.pairs(said["parameters"]),
    )


def _first_text(values: Sequence[object]) -> str:
    return next((each for each in values if isinstance(each, str) and each), "")


def _is_of(material: Material, source: str) -> bool:
    """Whether a material is the source, at a commit; without one, any repository of git's."""
    if not _COMMIT.fullmatch(material.digest):
        return False
    if not source:
        return "git" in material.uri
    return _repository(material.uri) == _repository(source) != ""


def _repository(source: str) -> str:
    """Where a source is, as a page of it is called: without git's prefix and what it names."""
    return link(source.removeprefix("git+").partition("#")[0].partition("@refs/")[0])


def _material(entry: Any) -> Material:
    said = entry if isinstance(entry, Mapping) else {}
    digests = documents.within(said, "digest")
    named = next((digests[key] for key in ("sha1", "gitCommit", "sha256") if digests.get(key)), "")
    uri = said.get("uri")
    return Material(
        shown(uri), shown(named, MAX_TEXT), _repository(uri) if isinstance(uri, str) else ""
    )
