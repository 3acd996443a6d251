"""Tags by whether their manifests are signed: by what refers to them, or by cosign's tags."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry.errors import Code
from registry.models import Manifest
from registry.services import belonging, manifests, tag_details, tag_filters, tags
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import Image
from tokens.signature_types import SIGNATURE_TYPES

pytestmark = pytest.mark.django_db(databases=["registry"])
LIST = f"/gitlab/v1/repositories/{APP}/tags/list/"
NOTATION = "application/vnd.cncf.notary.signature"
SBOM = "application/spdx+json"


def push(name: str, repository: str = APP) -> Image:
    """An image of its own."""
    return images.push_image(repository, name, config=json.dumps({"n": name}).encode())


def sign_by_tag(image: Image, repository: str = APP) -> str:
    """Sign as older cosign does; the name of the tag."""
    tag = f"{image.digest.replace(':', '-')}.sig"
    images.push_image(repository, tag)
    return tag


def names(person: Person, query: str) -> list[str]:
    """The tags that are listed, page after page."""
    found, path = [], f"{LIST}?{query}"
    while path:
        response = person.send("GET", path)
        assert response.status_code == 200, response.content
        found += [tag["name"] for tag in response.json()]
        link = re.search(r'<([^>]*)>; rel="next"', response.headers.get("Link", ""))
        path = link[1] if link else ""
    return found


@pytest.fixture
def signed() -> dict[str, Image]:
    """Five images: by a referrer, by a tag of cosign's, with an SBOM alone, twice with nothing."""
    found = {name: push(name) for name in ("v1", "v2", "v3", "v9", "v10")}
    images.push_artifact(APP, found["v1"], NOTATION)
    sign_by_tag(found["v10"])
    images.push_artifact(APP, found["v2"], SBOM)
    return found


@pytest.mark.parametrize("sort", ["version", "-version", "-published_at", "last_pulled_at"])
def test_what_is_signed(carol: Person, signed: dict[str, Image], sort: str) -> None:
    """Tags by which cosign finds signatures are about others, and neither."""
    for size in (1, 2, 100):
        query = f"sort={sort}&n={size}"
        assert sorted(names(carol, f"{query}&signed=true")) == ["v1", "v10"]
        assert sorted(names(carol, f"{query}&signed=false")) == ["v2", "v3", "v9"]
    assert len(names(carol, f"sort={sort}&n=4")) == 6


@pytest.mark.parametrize("artifact_type", SIGNATURE_TYPES)
def test_each_type_of_signature(carol: Person, artifact_type: str) -> None:
    images.push_artifact(APP, push("v1"), artifact_type)
    push("v2")
    assert names(carol, "signed=true") == ["v1"]


def test_with_another_filter(carol: Person, signed: dict[str, Image]) -> None:
    assert names(carol, "signed=true&pattern=v.") == ["v1"]
    assert names(carol, "signed=false&name=9") == ["v9"]
    assert names(carol, "signed=true&platform=windows") == []


def test_what_is_elsewhere_or_was_taken_away_signs_nothing(
    carol: Person, signed: dict[str, Image]
) -> None:
    other = push("v3", "acme/app/other")
    images.push_artifact("acme/app/other", other, NOTATION)
    sign_by_tag(other, "acme/app/other")
    assert names(carol, "signed=true&sort=version") == ["v1", "v10"]
    tags.delete(APP, f"{signed['v10'].digest.replace(':', '-')}.sig", images.ALICE)
    signature = Manifest.objects.get(artifact_type=NOTATION, repository__name=APP)
    manifests.delete(APP, signature.digest, images.ALICE)
    assert names(carol, "signed=true") == []


def test_going_back(carol: Person, signed: dict[str, Image]) -> None:
    response = carol.send("GET", f"{LIST}?sort=version&n=1&signed=true&before=v10")
    assert [tag["name"] for tag in response.json()] == ["v1"]
    assert "signed=true" in response.headers["Link"]


@pytest.mark.parametrize("value", ["yes", "TRUE", "1"])
def test_what_is_neither_is_refused(carol: Person, value: str) -> None:
    push("v1")
    assert_refused(carol.send("GET", f"{LIST}?signed={value}"), Code.UNSUPPORTED, 400)


def test_many_that_refer_to_an_image_hide_no_signature(carol: Person) -> None:
    """Neither from the filter nor from the badges: of what scans leave each day one is told."""
    image = push("v1")
    repository_id = Manifest.objects.get(digest=image.digest).repository_id
    Manifest.objects.bulk_create(
        Manifest(
            repository_id=repository_id,
            digest=f"sha256:{number:064}",
            media_type="application/vnd.oci.image.manifest.v1+json",
            artifact_type=SBOM,
            subject_digest=image.digest,
            payload=b"{}",
            size=2,
        )
        for number in range(tag_details.MAX_REFERRERS + 1)
    )
    images.push_artifact(APP, image, NOTATION)
    assert names(carol, "signed=true") == ["v1"]
    kinds = belonging.kinds(repository_id, [tag_details.find(repository_id, "v1")])
    assert sorted(kinds[image.digest]) == [SBOM, NOTATION]


def test_a_walk_takes_few_queries(signed: dict[str, Image]) -> None:
    """One for the tags, one for who of them is signed, and one for those that are shown."""
    repository_id = Manifest.objects.get(digest=signed["v1"].digest).repository_id
    with CaptureQueriesContext(connections["registry"]) as captured:
        wanted = tag_filters.Filter(pattern="v.*", signed=True)
        page = tag_details.page(repository_id, limit=20, matching=wanted)
    assert [tag.name for tag in page.tags] == ["v1", "v10"]
    assert len(captured) == 3
