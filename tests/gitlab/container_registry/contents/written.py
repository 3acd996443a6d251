"""SBOMs, statements and charts as the programs write them that make them, cut to what matters."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"

SPDX: dict[str, Any] = {
    "spdxVersion": "SPDX-2.3",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": "sbom",
    "creationInfo": {
        "created": "2026-11-20T10:00:00Z",
        "creators": ["Organization: Anchore, Inc", "Tool: syft-v1.4.1", "Tool: buildkit-v0.20"],
    },
    "packages": [
        {
            "name": "openssl",
            "SPDXID": "SPDXRef-Package-apk-openssl",
            "versionInfo": "3.5.4-r0",
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "Apache-2.0",
            "externalRefs": [
                {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x"},
                {
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": "pkg:apk/alpine/openssl@3.5.4-r0?arch=x86_64",
                },
            ],
        },
        {"name": "busybox", "versionInfo": "1.37.0-r18", "licenseDeclared": "GPL-2.0-only"},
    ],
}
"""As BuildKit's scanner writes it."""

CYCLONEDX: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {
        "timestamp": "2026-11-20T10:00:00Z",
        "tools": {"components": [{"type": "application", "name": "trivy"}]},
        "component": {"type": "container", "name": "acme/app"},
    },
    "components": [
        {
            "type": "library",
            "group": "org.apache",
            "name": "log4j",
            "version": "2.17",
            "purl": "pkg:maven/org.apache/log4j@2.17",
            "licenses": [{"license": {"id": "Apache-2.0"}}, {"license": {"name": "Other"}}],
            "components": [{"type": "library", "name": "inner", "version": "1"}],
        },
        {"type": "operating-system", "name": "alpine", "licenses": [{"expression": "MIT OR ISC"}]},
    ],
}

CYCLONEDX_XML = b"""<?xml version="1.0" encoding="utf-8"?>
<bom xmlns="http://cyclonedx.org/schema/bom/1.6" serialNumber="urn:uuid:1" version="1">
  <metadata>
    <timestamp>2026-11-20T10:00:00Z</timestamp>
    <tools><components><component type="application"><name>trivy</name></component></components></tools>
    <component type="container"><name>acme/app</name></component>
  </metadata>
  <components>
    <component type="library" bom-ref="1">
      <group>org.apache</group><name>log4j</name><version>2.17</version>
      <hashes><hash alg="SHA-256">00</hash></hashes>
      <licenses><license><id>Apache-2.0</id></license><license><name>Other</name></license></licenses>
      <purl>pkg:maven/org.apache/log4j@2.17</purl>
      <components><component type="library"><name>inner</name><version>1</version></component></components>
    </component>
    <component type="operating-system"><name>alpine</name><licenses><expression>MIT OR ISC</expression></licenses></component>
  </components>
  <dependencies><dependency ref="1"/></dependencies>
</bom>
"""
"""`CYCLONEDX` in XML."""

SPDX3: dict[str, Any] = {
    "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
    "@graph": [
        {
            "type": "CreationInfo",
            "@id": "_:made",
            "specVersion": "3.0.1",
            "created": "2026-11-20T10:00:00Z",
            "createdBy": ["urn:spdx:anchore"],
            "createdUsing": ["urn:spdx:tool"],
        },
        {
            "type": "Tool",
            "spdxId": "urn:spdx:tool",
            "creationInfo": "_:made",
            "name": "syft-v1.4.1",
        },
        {"type": "SpdxDocument", "spdxId": "urn:spdx:document", "name": "sbom"},
        {
            "type": "software_Package",
            "spdxId": "urn:spdx:openssl",
            "name": "openssl",
            "software_packageVersion": "3.5.4-r0",
            "externalIdentifier": [
                {"externalIdentifierType": "cpe23", "identifier": "cpe:2.3:a:x"},
                {
                    "externalIdentifierType": "packageUrl",
                    "identifier": "pkg:apk/alpine/openssl@3.5.4-r0?arch=x86_64",
                },
            ],
        },
        {
            "type": "software_Package",
            "spdxId": "urn:spdx:busybox",
            "name": "busybox",
            "software_packageVersion": "1.37.0-r18",
            "software_packageUrl": "pkg:apk/alpine/busybox@1.37.0-r18",
        },
        {
            "type": "simplelicensing_LicenseExpression",
            "spdxId": "urn:spdx:apache",
            "simplelicensing_licenseExpression": "Apache-2.0",
        },
        {
            "type": "Relationship",
            "spdxId": "urn:spdx:declares",
            "from": "urn:spdx:openssl",
            "relationshipType": "hasDeclaredLicense",
            "to": ["urn:spdx:apache"],
        },
        {"type": "software_File", "spdxId": "urn:spdx:file", "name": "/etc/passwd"},
    ],
}
"""`SPDX` in its third version."""

PROVENANCE_0_2: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "predicateType": "https://slsa.dev/provenance/v0.2",
    "subject": [{"name": "pkg:docker/app", "digest": {"sha256": "a" * 64}}],
    "predicate": {
        "builder": {"id": "https://github.com/acme/app/actions/runs/7"},
        "buildType": "https://mobyproject.org/buildkit@v1",
        "materials": [
            {
                "uri": "pkg:docker/alpine@3.22?platform=linux%2Famd64",
                "digest": {"sha256": "b" * 64},
            },
            {"uri": "https://github.com/acme/app.git#refs/heads/main", "digest": {"sha1": COMMIT}},
        ],
        "invocation": {
            "configSource": {
                "uri": "https://github.com/acme/app.git#refs/heads/main",
                "digest": {"sha1": COMMIT},
                "entryPoint": "Dockerfile",
            },
            "parameters": {"frontend": "dockerfile.v0", "args": {"build-arg:MODE": "production"}},
            "environment": {"platform": "linux/amd64"},
        },
        "metadata": {
            "buildInvocationID": "abc",
            "buildStartedOn": "2026-11-20T10:00:00.5Z",
            "buildFinishedOn": "2026-11-20T10:01:00Z",
        },
    },
}
"""As BuildKit writes it with ``--provenance=mode=max`` for a context that is a git repository."""

PROVENANCE_1: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicateType": "https://slsa.dev/provenance/v1",
    "subject": [{"name": "app", "digest": {"sha256": "a" * 64}}],
    "predicate": {
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {
                "workflow": {
                    "ref": "refs/heads/main",
                    "repository": "https://github.com/acme/app",
                    "path": ".github/workflows/release.yml",
                }
            },
            "resolvedDependencies": [
                {
                    "uri": "git+https://github.com/acme/app@refs/heads/main",
                    "digest": {"gitCommit": COMMIT},
                }
            ],
        },
        "runDetails": {
            "builder": {"id": "https://github.com/actions/runner"},
            "metadata": {
                "invocationId": "https://github.com/acme/app/actions/runs/7",
                "startedOn": "2026-11-20T10:00:00Z",
            },
        },
    },
}
"""As GitHub's workflows write it."""


def payload(document: Any) -> bytes:
    """A document as its bytes."""
    return json.dumps(document).encode()


def statement(predicate_type: str, predicate: Any) -> dict[str, Any]:
    """A statement of in-toto about something."""
    return {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": predicate_type,
        "subject": [{"name": "x", "digest": {"sha256": "a" * 64}}],
        "predicate": predicate,
    }


def envelope(document: Any) -> dict[str, Any]:
    """A document in DSSE's envelope, as cosign attests."""
    return {
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64.b64encode(payload(document)).decode(),
        "signatures": [{"sig": "x"}],
    }


CHART: dict[str, Any] = {
    "apiVersion": "v2",
    "name": "app",
    "version": "1.2.3",
    "appVersion": "7",
    "description": "What it does.",
    "home": "https://example.com/app",
    "maintainers": [{"name": "Alice", "email": "alice@example.com"}],
    "dependencies": [{"name": "redis", "version": "^1"}],
}


def chart_archive(files: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A chart as Helm packs it: files by name, or entries as they are."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, body in files.items():
            if isinstance(body, tarfile.TarInfo):
                archive.addfile(body)
                continue
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return gzip.compress(raw.getvalue())
