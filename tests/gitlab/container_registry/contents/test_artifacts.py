"""SBOMs, provenance, charts: what they say, and what they may hold without harm."""

from __future__ import annotations

import dataclasses
import gzip
import json
import tarfile
from typing import Any

import pytest

from gitlab.container_registry.contents import artifacts, helm, provenance, sbom, statements
from gitlab.container_registry.contents.artifacts import Kind
from tests.gitlab.container_registry.contents import written
from tests.gitlab.container_registry.contents.hostile import (
    VALUES,
    assert_cheap,
    assert_harmless,
)
from tests.gitlab.container_registry.contents.written import payload

pytestmark = pytest.mark.engineless


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("application/vnd.dev.cosign.artifact.sig.v1+json", Kind.SIGNATURE),
        ("application/vnd.dev.cosign.simplesigning.v1+json", Kind.SIGNATURE),
        ("application/vnd.cncf.notary.signature", Kind.SIGNATURE),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", Kind.SIGNATURE),
        ("cosign.sig", Kind.SIGNATURE),
        ("cosign.att", Kind.ATTESTATION),
        ("cosign.sbom", Kind.SBOM),
        ("application/spdx+json", Kind.SBOM),
        ("https://spdx.dev/Document", Kind.SBOM),
        ("https://cyclonedx.org/bom", Kind.SBOM),
        ("application/vnd.syft+json", Kind.SBOM),
        ("https://slsa.dev/provenance/v1", Kind.PROVENANCE),
        ("application/vnd.in-toto+json", Kind.ATTESTATION),
        ("application/vnd.dsse.envelope.v1+json", Kind.ATTESTATION),
        ("application/vnd.cncf.helm.config.v1+json", Kind.CHART),
        ("application/vnd.example+type", Kind.ARTIFACT),
        ("", Kind.ARTIFACT),
    ],
)
def test_what_a_type_stands_for(type_: str, kind: Kind) -> None:
    assert artifacts.kind_of(type_) is kind


def test_badges_come_once_each() -> None:
    types = ["cosign.sig", "https://slsa.dev/provenance/v1", "application/spdx+json", "cosign.sig"]
    assert [badge.label for badge in artifacts.badges_of([*types, "x/y"])] == [
        "signed",
        "SBOM",
        "provenance",
    ]


WRAPPED = {
    "as it is": lambda document: document,
    "a statement": lambda document: written.statement("https://spdx.dev/Document", document),
    "in cosign's words": lambda document: written.statement("x", {"Data": json.dumps(document)}),
    "an envelope": lambda document: written.envelope(written.statement("x", document)),
    "a bundle": lambda document: {
        "dsseEnvelope": written.envelope(written.statement("x", document))
    },
}


class TestSbom:
    @pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
    def test_spdx(self, wrap: Any) -> None:
        found = sbom.read(payload(wrap(written.SPDX)))
        assert found is not None
        assert (found.format, found.tool, found.total) == (
            "SPDX 2.3",
            "syft-v1.4.1, buildkit-v0.20",
            2,
        )
        (openssl, busybox), _ = found.page("", 0, 100)
        assert (openssl.name, openssl.version, openssl.licence) == (
            "openssl",
            "3.5.4-r0",
            "Apache-2.0",
        )
        assert (openssl.kind, busybox.kind) == ("apk", "")

    @pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
    def test_cyclonedx(self, wrap: Any) -> None:
        found = sbom.read(payload(wrap(written.CYCLONEDX)))
        assert found is not None
        assert (found.format, found.name, found.tool) == ("CycloneDX 1.6", "acme/app", "trivy")
        (log4j, inner, alpine), total = found.page("", 0, 100)
        assert total == 3
        assert (log4j.name, log4j.licence) == ("org.apache/log4j", "Apache-2.0, Other")
        assert (inner.name, log4j.kind, alpine.kind) == ("inner", "maven", "operating-system")
        assert alpine.licence == "MIT OR ISC"

    @pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
    def test_spdx_3(self, wrap: Any) -> None:
        found = sbom.read(payload(wrap(written.SPDX3)))
        assert found is not None
        assert (found.format, found.name, found.tool) == ("SPDX 3.0.1", "sbom", "syft-v1.4.1")
        (openssl, busybox), total = found.page("", 0, 100)
        assert (openssl.version, openssl.licence, openssl.kind) == ("3.5.4-r0", "Apache-2.0", "apk")
        assert (busybox.purl, busybox.licence, total) == (
            "pkg:apk/alpine/busybox@1.37.0-r18",
            "",
            2,
        )

    def test_cyclonedx_in_xml_says_what_its_json_says(self) -> None:
        found, same = sbom.read(written.CYCLONEDX_XML), sbom.read(payload(written.CYCLONEDX))
        assert found is not None
        assert same is not None
        assert found.page("", 0, 100) == same.page("", 0, 100)
        assert dataclasses.replace(found, found=()) == dataclasses.replace(same, found=())

    @pytest.mark.parametrize("search", ["OPENSSL", "3.5.4", "apache-2", "pkg:apk"])
    def test_packages_are_found(self, search: str) -> None:
        found = sbom.read(payload(written.SPDX))
        assert found is not None
        shown, total = found.page(search, 0, 100)
        assert ([package.name for package in shown], total) == (["openssl"], 1)

    def test_ten_thousand_packages_have_pages(self) -> None:
        packages = [{"name": f"p{n}", "versionInfo": "1"} for n in range(10_000)]
        body = payload({**written.SPDX, "packages": packages})

        def page() -> Any:
            found = sbom.read(body)
            return found and found.page("p", 9950, 100)

        shown, total = assert_cheap(page)
        assert (len(shown), shown[0].name, total) == (50, "p9950", 10_000)

    @pytest.mark.parametrize(
        "body",
        [
            b"", b"[]", b"5", b"\xff", b"{", b"{}", b'{"spdxVersion"', b"[" * 10**6,
            b'{"payloadType": "x", "payload": "@"}', b'{"payloadType": "x", "payload": 5}',
            b'{"predicateType": "x", "predicate": 5}', b'{"Data": "x"}',
        ],
    )  # fmt: skip
    def test_what_is_none(self, body: bytes) -> None:
        assert assert_cheap(lambda: sbom.read(body)) is None

    @pytest.mark.parametrize("base", [written.SPDX, written.CYCLONEDX], ids=["spdx", "cyclonedx"])
    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    def test_each_field_may_hold_anything(self, base: dict[str, Any], value: Any) -> None:
        key = "packages" if base is written.SPDX else "components"
        for field in base:
            _assert_harmless({**base, field: value})
        for field in base[key][0]:
            _assert_harmless({**base, key: [{**base[key][0], field: value}, value]})

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    def test_each_element_of_spdx_3_may_be_anything(self, value: Any) -> None:
        graph = written.SPDX3["@graph"]
        for number, element in enumerate(graph):
            for field in element:
                some = [*graph[:number], {**element, field: value}, *graph[number + 1 :], value]
                _assert_harmless({**written.SPDX3, "@graph": some})
        for field in written.SPDX3:
            _assert_harmless({**written.SPDX3, field: value})

    def test_components_within_components_end(self) -> None:
        inner: dict[str, Any] = {"name": "x"}
        for _ in range(100):
            inner = {"name": "x", "components": [inner]}
        found = sbom.of_document({**written.CYCLONEDX, "components": [inner]})
        assert found is not None
        assert found.total == sbom.MAX_DEPTH + 1


def _xml(components: bytes, before: bytes = b"") -> bytes:
    head = b'<bom xmlns="http://cyclonedx.org/schema/bom/1.6">'
    return before + head + b"<components>" + components + b"</components></bom>"


LAUGHS = b"<!DOCTYPE bom [<!ENTITY a 'ha'>" + b"".join(
    b"<!ENTITY %c '%b'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
)
ONE = b"<component type='library'><name>%b</name></component>"


class TestHostileXml:
    @pytest.mark.parametrize(
        "body",
        [
            _xml(ONE % b"&j;", LAUGHS + b"]>"),
            _xml(ONE % b"&x;", b"<!DOCTYPE bom [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"),
            _xml(ONE % b"x", b"<!DOCTYPE bom SYSTEM 'http://127.0.0.1/x.dtd'>"),
            _xml(ONE % b"&undefined;"),
            _xml(b"<component>" * 1000),
            _xml(b"<component><components>" * 100 + b"</components></component>" * 100),
            _xml(b"<component/>" * 200_000),
            _xml(b"<a/>" * 600_000),
            _xml(ONE % b"x").replace(b"</bom>", b"</bob>"),
            _xml(ONE % b"\xff\xfe"),
            _xml(ONE % b"x").decode().encode("utf-16"),
            b"<html>cyclonedx.org/schema/bom/</html>"[:-7],
        ],
        ids=[
            "a billion laughs", "a file", "a schema elsewhere", "an entity", "no end",
            "components in components", "many components", "many tags", "not well-formed",
            "no text", "in UTF-16", "not XML",
        ],
    )  # fmt: skip
    def test_it_costs_little_and_is_no_sbom(self, body: bytes) -> None:
        assert assert_cheap(lambda: sbom.read(body)) is None

    def test_what_is_not_shown_is_passed_over(self) -> None:
        other = b"<x:component xmlns:x='urn:x'><name>no</name></x:component>"
        body = _xml(
            ONE % b"<b>no</b>yes<!-- no -->" + other + b"<name>no</name>" + ONE % b"&lt;i&gt;"
        )
        found = sbom.read(body)
        assert found is not None
        assert [each.name for each in found.page("", 0, 9)[0]] == ["yes", "<i>"]

    @pytest.mark.parametrize("name", [b"x" * 5_000_000, "a\u202egpj.exe".encode(), b"&#xFEFF;x"])
    def test_a_name_may_hold_anything(self, name: bytes) -> None:
        def page() -> Any:
            found = sbom.read(_xml(ONE % name))
            return found and found.page("", 0, 9)[0]

        assert_harmless([each.name for each in assert_cheap(page)])


def _assert_harmless(document: dict[str, Any]) -> None:
    found = sbom.read(payload(document))
    if found is not None:
        assert_harmless([found.format, found.name, found.tool, found.created])
        assert_harmless(found.page("", 0, 100)[0])
        found.page("x", 0, 100)


def said(document: Any) -> provenance.Provenance:
    statement = statements.read(payload(document))
    assert statement is not None
    return provenance.read(statement)


class TestProvenance:
    def test_as_buildkit_writes_it(self) -> None:
        found = said(written.PROVENANCE_0_2)
        assert found.builder == "https://github.com/acme/app/actions/runs/7"
        assert found.source_url == "https://github.com/acme/app.git"
        assert found.commit == written.COMMIT
        assert found.commit_url == f"https://github.com/acme/app/commit/{written.COMMIT}"
        assert found.entry_point == "Dockerfile"
        assert found.parameters.entries == (("build-arg:MODE", "production"),)
        assert [material.url for material in found.materials.entries] == [
            "",
            "https://github.com/acme/app.git",
        ]

    @pytest.mark.parametrize("wrap", [lambda it: it, written.envelope], ids=["bare", "envelope"])
    def test_as_workflows_write_it(self, wrap: Any) -> None:
        found = said(wrap(written.PROVENANCE_1))
        assert found.builder_url == "https://github.com/actions/runner"
        assert (found.source, found.commit) == ("https://github.com/acme/app", written.COMMIT)
        assert found.entry_point == ".github/workflows/release.yml"

    def test_a_build_of_a_folder_names_no_source(self) -> None:
        predicate = {
            "builder": {"id": ""},
            "buildType": "x",
            "materials": [{"uri": "pkg:docker/x"}],
        }
        found = said(written.statement("https://slsa.dev/provenance/v0.2", predicate))
        assert (found.source, found.commit, found.commit_url) == ("", "", "")

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    def test_each_field_may_hold_anything(self, value: Any) -> None:
        for base in (written.PROVENANCE_0_2, written.PROVENANCE_1):
            for path in _paths(base["predicate"]):
                document = json.loads(json.dumps(base))
                place = document["predicate"]
                for key in path[:-1]:
                    place = place[key]
                place[path[-1]] = value
                assert_harmless(said(document))


def _paths(value: Any, *above: Any) -> list[tuple[Any, ...]]:
    """Where each value lies in a document, at any depth."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, each in inner:
        found.append((*above, key))
        if isinstance(each, dict | list):
            found += _paths(each, *above, key)
    return found


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def large(name: str) -> tarfile.TarInfo:
    """An entry that claims more than there is."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = tarfile.LNKTYPE, 10**12
    return entry


class TestChart:
    def test_what_it_says(self) -> None:
        files = helm.files_in(
            written.chart_archive(
                {
                    "app/Chart.yaml": b"name: app",
                    "app/values.yaml": b"replicas: 2\n",
                    "app/README.md": b"# App\n",
                    "app/templates/x.yaml": b"no",
                }
            )
        )
        found = helm.read(payload(written.CHART), files)
        assert found is not None
        assert (found.name, found.version, found.app_version) == ("app", "1.2.3", "7")
        assert found.maintainers.entries == ("Alice (alice@example.com)",)
        assert found.dependencies.entries == ("redis (^1)",)
        assert found.files["values.yaml"] == "replicas: 2\n"
        assert set(found.files) == {"Chart.yaml", "values.yaml", "README.md"}

    @pytest.mark.parametrize(
        "packed",
        [
            b"",
            b"x" * 1000,
            gzip.compress(b"x" * 10_000),
            gzip.compress(bytes(200 * 1024 * 1024), 1),
            written.chart_archive({"a": b""})[:-20],
            written.chart_archive({"../values.yaml": b"x", "/etc/values.yaml": b"x"}),
            written.chart_archive({"app/values.yaml": link("app/values.yaml", "/etc/passwd")}),
            written.chart_archive(
                {"app/values.yaml": link("app/values.yaml", "x", tarfile.CHRTYPE)}
            ),
            written.chart_archive({"app/values.yaml": large("app/values.yaml")}),
            written.chart_archive({f"app/{n}": b"x" for n in range(3000)}),
        ],
        ids=[
            "empty",
            "noise",
            "no tar",
            "a bomb",
            "cut",
            "paths",
            "a link",
            "a device",
            "claims",
            "many",
        ],
    )
    def test_an_archive_that_lies(self, packed: bytes) -> None:
        found = assert_cheap(lambda: helm.files_in(packed))
        assert found in ({}, {"values.yaml": "x"})

    @pytest.mark.parametrize(
        "said",
        [
            b"1" * 2_000_000,
            b"hdrcharset=" * 5000,
            b"0 path=app/values.yaml\n",
            b" 9 path=a\n",
            b"999999999999 a=b\n",
            b"12 size=9999\n",
            b"path",
        ],
    )
    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
    def test_a_header_that_lies(self, kind: bytes, said: bytes) -> None:
        """`tarfile` looks through the first of them for hours, and nothing else runs meanwhile."""
        header = tarfile.TarInfo("app/long")
        header.type, header.size = kind, len(said)
        entry = tarfile.TarInfo("app/README.md")
        archive = header.tobuf() + said + bytes(-len(said) % 512) + entry.tobuf() + bytes(1024)
        found = assert_cheap(lambda: helm.files_in(gzip.compress(archive)))
        assert found in ({}, {"README.md": ""})

    def test_headers_without_an_end(self) -> None:
        header = tarfile.TarInfo("app/long")
        header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
        assert helm.files_in(gzip.compress((header.tobuf() + b"a" + bytes(511)) * 5000)) == {}

    @pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
    def test_each_format_is_read(self, form: int) -> None:
        folder = "ä" * 60 if form != tarfile.USTAR_FORMAT else "a" * 60
        entry = tarfile.TarInfo(f"{folder}/values.yaml")
        entry.size, entry.pax_headers = 4, {"mtime": "1.5", "comment": "ü=\n1"}
        archive = entry.tobuf(form) + b"a: 1" + bytes(508) + bytes(1024)
        assert helm.files_in(gzip.compress(archive)) == {"values.yaml": "a: 1"}

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    def test_each_field_may_hold_anything(self, value: Any) -> None:
        for field in written.CHART:
            assert_harmless(helm.read(payload({**written.CHART, field: value}), {}))
        assert helm.read(b"[]", {}) is None

    def test_a_long_file_is_cut_and_hides_nothing(self) -> None:
        body = "\u202e".encode() + b"x" * 10**6
        found = helm.files_in(written.chart_archive({"app/README.md": body}))
        assert found["README.md"].startswith("\\u202exx")
        assert len(found["README.md"]) < helm.MAX_FILE + 10
