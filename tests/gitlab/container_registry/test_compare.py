"""Comparing two images: the rule, the page, on request the files."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import StoredManifest
from gitlab.container_registry.comparison import differences, services
from gitlab.container_registry.layers import jobs
from gitlab.container_registry.layers.models import FileJob
from gitlab.refusals import Invalid, NotFound
from tests.gitlab.container_registry.layers.archives import archive, digest_of, member, of_files
from tests.gitlab.container_registry.layers.played_layers import push, put
from tests.gitlab.container_registry.signatures.signing import by_referrer, holding
from tests.gitlab.played_registry import INDEX

pytestmark = pytest.mark.django_db

BASE = of_files({"etc/os-release": b"12", "opt/old": b"y" * 70})
OLD = of_files({"app/main": b"1"})
NEW = of_files({"app/main": b"2", "opt/.wh.old": b"", "srv/<new>": b"z" * 5000})
BEFORE = {
    "os": "linux",
    "architecture": "amd64",
    "config": {
        "Entrypoint": ["/bin/app", "--all of it"],
        "Env": ["PATH=/bin", "GONE=1", "LEVEL=info"],
        "Labels": {"version": "1", "same": "same"},
        "User": "app",
    },
}
AFTER = {
    "os": "linux",
    "architecture": "amd64",
    "config": {
        "Entrypoint": ["/bin/app"],
        "Env": ["PATH=/bin", "LEVEL=debug", "NEW=<b>2"],
        "Labels": {"version": "2", "same": "same"},
        "ExposedPorts": {"80/tcp": {}},
    },
}


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def tagged(played: Any, path: str, tag: str, digest: str) -> None:
    """Let a tag point at an image that has been put in."""
    played.push(path, tag)
    played.now[path][tag] = dataclasses.replace(played.now[path][tag], digest=digest)


@pytest.fixture
def two(played: Any, web: Any, enqueued: Any) -> tuple[str, str]:
    """v1 and v2 of an image."""
    digests = (push(played, BASE, OLD, config=BEFORE), push(played, BASE, NEW, config=AFTER))
    for tag, digest in zip(("v1", "v2"), digests, strict=True):
        tagged(played, web.path, tag, digest)
    return digests


@pytest.fixture
def url(web: Any, two: tuple[str, str]) -> str:
    return f"/acme/app/container_registry/{web.pk}/compare"


def test_configurations_differ_by_what_they_say(played: Any, web: Any, two: Any) -> None:
    found = services.compare((web, "v1"), (web, two[1]), registry=played)
    assert [(each.name, each.before, each.after) for each in found.config] == [
        ("Entrypoint", '/bin/app "--all of it"', "/bin/app"),
        ("User", "app", ""),
        ("Ports", "", "80/tcp"),
    ]
    assert [(each.name, each.before, each.after) for each in found.environment] == [
        ("GONE", "1", ""),
        ("LEVEL", "info", "debug"),
        ("NEW", "", "<b>2"),
    ]
    assert [(each.name, each.before, each.after) for each in found.labels] == [
        ("version", "1", "2")
    ]
    assert [each.change for each in found.layers.layers] == ["common", "gone", "new"]
    assert found.layers.shared_base == 1
    assert (found.before.digest, found.after.digest) == two


def test_layers_are_counted_once_and_told_by_their_place(played: Any, web: Any) -> None:
    one, other = push(played, BASE, OLD, BASE), push(played, OLD, BASE, NEW)
    found = services.compare((web, one), (web, other), registry=played).layers
    assert [(each.before, each.after) for each in found.layers] == [(1, 2), (2, 1), (0, 3)]
    assert found.shared_base == 0
    assert found.bytes_of("common") == sum(each.part.size_bytes for each in found.of("common"))


def test_the_same_image_has_no_differences(played: Any, web: Any, two: Any) -> None:
    found = services.compare((web, "v1"), (web, two[0]), registry=played)
    assert found.is_same
    assert not [*found.config, *found.environment, *found.labels]


def index(played: Any, **platforms: str) -> str:
    listed = [
        {"digest": digest, "size": 7, "platform": {"os": "linux", "architecture": name}}
        for name, digest in platforms.items()
    ]
    payload = json.dumps({"manifests": listed}).encode()
    played.manifests[digest_of(payload)] = StoredManifest(INDEX, payload)
    return digest_of(payload)


def test_of_indexes_one_platform_is_compared(played: Any, web: Any, two: Any) -> None:
    arm = push(played, OLD)
    one, other = index(played, arm64=arm, amd64=two[0]), index(played, amd64=two[1])
    found = services.compare((web, one), (web, other), registry=played)
    assert (found.before.platform, found.before.digest) == ("linux/amd64", two[0])
    other = index(played, amd64=two[1], arm64=arm)
    found = services.compare((web, one), (web, other), registry=played)
    assert found.is_same
    found = services.compare((web, one), (web, other), platform="linux/amd64", registry=played)
    assert (found.before.digest, found.after.digest) == two
    with pytest.raises(Invalid, match="without platforms"):
        services.compare((web, index(played)), (web, other), registry=played)
    with pytest.raises(NotFound, match="not here"):
        services.compare(
            (web, index(played, amd64=digest_of(b"none"))), (web, other), registry=played
        )


@pytest.mark.parametrize("reference", ["none", "../v1", "", digest_of(b"none"), "x" * 500])
def test_what_is_not_there_is_no_image(played: Any, web: Any, two: Any, reference: str) -> None:
    with pytest.raises(NotFound):
        services.compare((web, reference), (web, "v1"), registry=played)


def test_what_is_no_image_is_compared_by_its_layers(played: Any, web: Any, two: Any) -> None:
    chart = push(played, OLD, artifactType="application/vnd.cncf.helm", layers=[])
    found = services.compare((web, "v1"), (web, chart), registry=played)
    assert (found.after.trouble, found.after.config) == ("It is no image.", None)
    assert found.layers.of("new") == []


@pytest.mark.engineless
def test_many_variables_are_said_to_be_cut(db: None) -> None:
    from gitlab.container_registry.contents import image_config

    many = {"config": {"Env": [f"V{n}=1" for n in range(101)]}}
    config = image_config.read(json.dumps(many).encode())
    assert differences.is_cut(config, None)
    assert config is not None
    told = differences.of_environments(config, None)
    assert len(told) == len(config.environment.entries) < 101


# The page


def test_the_page_tells_what_changed(browser: Any, carol: Any, url: str) -> None:
    page = text(browser(carol).get(f"{url}?from=v1&to=v2"))
    for part in (
        "GONE",
        "debug",
        "&lt;b&gt;2",
        "80/tcp",
        "The lowest layer is",
        "Layers in common",
    ):
        assert part in page, part
    assert "Compare the files" in page
    assert 'href="/acme/app/container_registry/' in page
    assert f"{url}?from=v2&amp;to=v1" in page


def test_without_a_pair_it_asks_for_one(browser: Any, carol: Any, url: str) -> None:
    page = text(browser(carol).get(url))
    assert '<option value="v1">' in page
    assert "Compare the files" not in page
    page = text(browser(carol).get(f"{url}?from=v1&to=<b>none"))
    assert "No such image: &lt;b&gt;none." in page


def test_a_name_that_no_database_holds_is_no_image(browser: Any, carol: Any, url: str) -> None:
    page = text(browser(carol).get(f"{url}?from=v1&to=v2&with=a%00b"))
    assert "There is no such image" in page


def test_an_image_of_another_project_needs_rights_there(
    played: Any, browser: Any, alice: Any, carol: Any, url: str, make_project: Any, make_image: Any
) -> None:
    other = make_image("acme2/secret/web", of=make_project("acme2/secret", owner=alice))
    tagged(played, other.path, "v9", push(played, NEW))
    asked = urlencode({"from": "v1", "to": "v9", "with": other.path})
    assert "Layers new" in text(browser(alice).get(f"{url}?{asked}"))
    hidden = text(browser(carol).get(f"{url}?{asked}"))
    assert "Layers new" not in hidden
    missing = text(browser(carol).get(f"{url}?{asked.replace('secret', 'nothing')}"))
    for page in (hidden, missing):
        assert "There is no such image, or you may not see it." in page
    assert (
        browser(carol)
        .post(f"{url}/files", {"from": "v1", "to": "v9", "with": other.path})
        .status_code
        == 404
    )
    assert not FileJob.objects.exists()


@pytest.mark.parametrize("who", ["mallory", None])
def test_who_may_not_see_the_image_compares_nothing(
    browser: Any, who: str | None, url: str, request: Any
) -> None:
    client = browser(request.getfixturevalue(who) if who else None)
    expected = 404 if who else 302
    asked = {"from": "v1", "to": "v2"}
    for address in (url, f"{url}?from=v1&to=v2", f"{url}/progress?from=v1&to=v2"):
        assert client.get(address).status_code == expected
    assert client.post(f"{url}/files", asked).status_code == expected


def test_the_files_are_compared_on_request(
    played: Any, browser: Any, carol: Any, url: str, two: Any
) -> None:
    client = browser(carol)
    asked = {"from": "v1", "to": "v2"}
    pair = f"{url}?from=v1&to=v2"
    assert client.get(f"{url}/progress", asked).status_code == 404
    assert client.post(f"{url}/files", asked).url == f"{pair}#files"
    assert "Waits for its turn" in text(client.get(pair))
    assert f'hx-get="{url}/progress?from=v1&amp;to=v2"' in text(
        client.get(f"{url}/progress", asked)
    )
    jobs.run(FileJob.objects.get().pk, played)
    assert "The files are read." in text(client.get(f"{url}/progress", asked))
    page = text(client.get(pair))
    assert "srv/<wbr>&lt;new&gt;" in page
    assert "opt/<wbr>old" in text(client.get(f"{pair}&change=removed"))
    changed = text(client.get(f"{pair}&change=changed"))
    assert "app/<wbr>main" in changed
    assert "content" in changed
    assert "No file is changed." in text(client.get(f"{pair}&change=changed&page=7"))
    assert text(client.get(f"{pair}&change=none&page=x"))


def test_a_layer_that_could_not_be_read_is_told(
    played: Any, browser: Any, carol: Any, web: Any, url: str
) -> None:
    lies = archive(member("a"), member("../b"), end=b"") + b"x" * 512
    asked = {"from": "v1", "to": push(played, lies)}
    browser(carol).post(f"{url}/files", asked)
    jobs.run(FileJob.objects.get().pk, played)
    page = text(browser(carol).get(f"{url}?{urlencode(asked)}"))
    assert "a number that is none" in page
    assert "leads out of the image" in page


def test_a_registry_in_trouble_is_said(played: Any, browser: Any, carol: Any, url: str) -> None:
    played.trouble = RegistryUnavailable("nobody answers")
    assert "The registry does not answer" in text(browser(carol).get(f"{url}?from=v1&to=v2"))
    answer = browser(carol).post(f"{url}/files", {"from": "v1", "to": "v2"})
    assert answer.status_code == 302


# Packages


def with_sbom(played: Any, digest: str, **versions: str) -> None:
    """Let an SBOM belong to an image, as a referrer."""
    listed = [
        {"name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in versions.items()
    ]
    content = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": listed})
    layer = put(played, content.encode(), "application/vnd.cyclonedx+json")
    held = holding(played, layer)
    by_referrer(played, digest, held, "application/vnd.cyclonedx+json")


def test_packages_are_compared_where_both_have_an_sbom(
    played: Any, browser: Any, carol: Any, web: Any, url: str, two: Any
) -> None:
    with_sbom(played, two[0], django="5.1", flask="3.0", same="1")
    assert services.compare((web, "v1"), (web, "v2"), registry=played).packages is None
    with_sbom(played, two[1], django="5.2", same="1", **{"<b>new": "7"})
    found = services.compare((web, "v1"), (web, "v2"), registry=played).packages
    assert found is not None
    assert [(each.name, each.before, each.after) for each in found.changed] == [
        ("django", "5.1", "5.2"),
        ("<b>new", "", "7"),
        ("flask", "3.0", ""),
    ]
    assert (found.same_count, found.more, found.is_cut) == (1, 0, False)
    page = text(browser(carol).get(f"{url}?from=v1&to=v2"))
    assert "1 of another version, 1 added, 1 removed, 1 the same" in page
    assert "&lt;b&gt;new" in page


def test_an_sbom_of_buildkit_is_found_in_the_index(played: Any, web: Any, two: Any) -> None:
    statement = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://spdx.dev/Document",
        "predicate": {"spdxVersion": "SPDX-2.3", "packages": [{"name": "x", "versionInfo": "1"}]},
    }
    layer = put(played, json.dumps(statement).encode(), "application/vnd.in-toto+json")
    layer["annotations"] = {"in-toto.io/predicate-type": "https://spdx.dev/Document"}
    attested = holding(played, layer)
    listed = [
        {"digest": two[0], "size": 7, "platform": {"os": "linux", "architecture": "amd64"}},
        {
            "digest": attested,
            "size": 7,
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.digest": two[0]},
        },
    ]
    payload = json.dumps({"manifests": listed}).encode()
    played.manifests[digest_of(payload)] = StoredManifest(INDEX, payload)
    with_sbom(played, two[1], x="2")
    found = services.compare((web, digest_of(payload)), (web, "v2"), registry=played).packages
    assert found is not None
    assert found.removed_count + found.added_count + found.changed_count == 2
