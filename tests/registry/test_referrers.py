"""end-12a, 12b: what refers to a manifest."""

from __future__ import annotations

import pytest

from registry import media_types
from registry.errors import Code
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images, largest
from tests.registry.base import APP, Person

pytestmark = pytest.mark.django_db(databases=["registry"])

SIGNATURE, SBOM = "application/vnd.example.signature", "application/vnd.example.sbom"


def path_of(image: images.Image, query: str = "") -> str:
    return f"/v2/{APP}/referrers/{image.digest}{query}"


def test_it_works(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    signature = images.push_artifact(APP, image, SIGNATURE)
    response = carol.send("GET", path_of(image))
    assert response.status_code == 200
    assert response.headers["Content-Type"] == media_types.OCI_INDEX
    assert "OCI-Filters-Applied" not in response.headers
    index = response.json()
    assert (index["schemaVersion"], index["mediaType"]) == (2, media_types.OCI_INDEX)
    (found,) = index["manifests"]
    annotations = images.json.loads(signature.payload)["annotations"]
    assert found == {
        **signature.descriptor,
        "artifactType": SIGNATURE,
        "annotations": annotations,
    }


def test_an_image_has_its_configs_type(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_image(APP, "v2", subject=image.descriptor)
    (found,) = carol.send("GET", path_of(image)).json()["manifests"]
    assert found["artifactType"] == images.CONFIG


def test_an_index_may_refer(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    index = images.push_index(APP, None, [], subject=image.descriptor, artifactType=SBOM)
    (found,) = carol.send("GET", path_of(image)).json()["manifests"]
    assert found == {**index.descriptor, "artifactType": SBOM}


def test_the_filter_works(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_artifact(APP, image, SIGNATURE)
    sbom = images.push_artifact(APP, image, SBOM)
    response = carol.send("GET", path_of(image, f"?artifactType={SBOM}"))
    assert [found["digest"] for found in response.json()["manifests"]] == [sbom.digest]
    assert response.headers["OCI-Filters-Applied"] == "artifactType"
    response = carol.send("GET", path_of(image, "?artifactType=a/none"))
    assert response.json()["manifests"] == []
    assert response.headers["OCI-Filters-Applied"] == "artifactType"


def test_pages_lead_through_everything(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    pushed = {images.push_artifact(APP, image, SIGNATURE).digest for _ in range(5)}
    images.push_artifact(APP, image, SBOM)
    found, path = [], path_of(image, f"?n=2&artifactType={SIGNATURE}")
    while path:
        response = carol.send("GET", path)
        found += [manifest["digest"] for manifest in response.json()["manifests"]]
        path = response.headers.get("Link", "").partition(">")[0].lstrip("<")
        assert response.headers["OCI-Filters-Applied"] == "artifactType"
    assert set(found) == pushed
    assert len(found) == 5


def test_pages_end_by_bytes_and_lead_through_everything(carol: Person) -> None:
    pushed = {*largest.push_annotated(APP, 2), *largest.push_annotated(APP, 9, 500_000)}
    found, path = {}, f"/v2/{APP}/referrers/{largest.SUBJECT}"
    for _ in range(20):
        response = carol.send("GET", path)
        assert len(response.content) < 2 * 1024 * 1024
        assert response.json()["manifests"]
        found |= {each["digest"]: each for each in response.json()["manifests"]}
        path = response.headers.get("Link", "").partition(">")[0].lstrip("<")
        if not path:
            break
    assert found.keys() == pushed
    told = [each for each in found.values() if "annotations" in each]
    assert {each["size"] > 512 * 1024 for each in told} == {False}
    assert len(told) == 9


def test_a_page_of_nothing_has_no_link(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_artifact(APP, image, SIGNATURE)
    response = carol.send("GET", path_of(image, "?n=0"))
    assert response.status_code == 200
    assert response.json()["manifests"] == []
    assert "Link" not in response.headers


def test_nobody_refers_to_what_is_unknown(carol: Person) -> None:
    for name in (APP, "acme/none"):
        response = carol.send("GET", f"/v2/{name}/referrers/sha256:{'0' * 64}")
        assert (response.status_code, response.json()["manifests"]) == (200, [])


def test_what_was_deleted_does_not_refer(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    signature = images.push_artifact(APP, image, SIGNATURE)
    alice.send("DELETE", f"/v2/{APP}/manifests/{signature.digest}")
    assert alice.send("GET", path_of(image)).json()["manifests"] == []


def test_referrers_elsewhere_are_not_listed(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_artifact("acme/other", image, SIGNATURE)
    assert carol.send("GET", path_of(image)).json()["manifests"] == []


def test_annotations_travel_whatever_they_hold(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    strange = {"a": "\0\ud800<script>", "": "\r\nX-Evil: 1", "é": "💥"}
    images.push_image(APP, None, subject=image.descriptor, annotations=strange)
    response = carol.send("GET", path_of(image))
    (found,) = response.json()["manifests"]
    assert found["annotations"] == strange
    assert "X-Evil" not in response.headers


def test_it_refuses_malformed_digests(carol: Person) -> None:
    for digest in ("sha256:zz", "v1", "sha256:" + "A" * 64):
        response = carol.send("GET", f"/v2/{APP}/referrers/{digest}")
        assert_refused(response, Code.DIGEST_INVALID)


def test_head_says_what_get_says(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    got, head = carol.send("GET", path_of(image)), carol.send("HEAD", path_of(image))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


def test_it_checks_access(mallory: Person, nobody: Person) -> None:
    image = images.push_image(APP, "v1")
    assert_challenged(nobody.send("GET", path_of(image)), f"repository:{APP}:pull")
    response = mallory.send("GET", path_of(image))
    assert_challenged(response, f"repository:{APP}:pull", "insufficient_scope")
