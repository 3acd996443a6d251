"""Which signatures an image has, and by which keys: from the registry to the page."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gitlab.container_registry.signatures import services, statements, verification
from gitlab.container_registry.signatures.statements import State
from tests.gitlab.container_registry.layers.played_layers import push, put
from tests.gitlab.container_registry.signatures.signing import (
    BUNDLE,
    ENVELOPE,
    as_json,
    by_referrer,
    by_tag,
    envelope,
    holding,
    new_key,
    payload,
    pem,
    sign,
    signature_layer,
    statement,
)

pytestmark = pytest.mark.django_db
KEY = new_key()


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_remembered", verification._Remembered())


@pytest.fixture
def image(played: Any, web: Any) -> str:
    return push(played)


@pytest.fixture
def release(alice: Any, app: Any) -> Any:
    return services.create(alice, app, name="release", key=pem(KEY))


def signed(played: Any, web: Any, image: str, key: Any = KEY, about: str = "") -> str:
    """An image with a signature of cosign's, found by its tag."""
    content = payload(about or image)
    held = holding(played, signature_layer(played, content, sign(key, content)))
    by_tag(played, web.path, image, "sig", held)
    return held


def words(played: Any, web: Any, image: str) -> str:
    return verification.of_image(played, web, image).in_words


def test_by_cosigns_tag(played: Any, web: Any, image: str, release: Any) -> None:
    assert words(played, web, image) == "not signed"
    held = signed(played, web, image)
    found = verification.of_image(played, web, image)
    assert found.in_words == "signed by release"
    assert found.state is State.SIGNED
    assert [each.digest for each in found.signatures] == [held]


def test_by_a_referrer(played: Any, web: Any, image: str, release: Any) -> None:
    content = payload(image)
    held = holding(played, signature_layer(played, content, sign(KEY, content)))
    by_referrer(played, image, held, "application/vnd.dev.cosign.artifact.sig.v1+json")
    assert words(played, web, image) == "signed by release"


def test_what_somebody_else_has_signed_is_told_as_that(
    played: Any, web: Any, image: str, release: Any
) -> None:
    signed(played, web, image, new_key())
    assert words(played, web, image) == "signed, by no key held here"


def test_a_signature_that_was_copied_from_another_image_is_invalid(
    played: Any, web: Any, image: str, release: Any
) -> None:
    signed(played, web, image, about="sha256:" + "a" * 64)
    assert words(played, web, image) == "signature invalid"


def test_an_attestation_is_no_signature_of_the_image(
    played: Any, web: Any, image: str, release: Any
) -> None:
    layer = put(played, as_json(envelope(KEY, statement(image))), ENVELOPE)
    by_tag(played, web.path, image, "att", holding(played, layer))
    found = verification.of_image(played, web, image)
    assert found.in_words == "not signed"
    assert [each.checked.state for each in found.signatures] == [State.SIGNED]


def test_a_bundle(played: Any, web: Any, image: str, release: Any) -> None:
    made = {
        "verificationMaterial": {"publicKey": {}},
        "dsseEnvelope": envelope(KEY, statement(image, "https://sigstore.dev/cosign/sign/v1")),
    }
    held = holding(played, put(played, as_json(made), BUNDLE))
    by_referrer(played, image, held, BUNDLE)
    assert words(played, web, image) == "signed by release"


def test_a_signature_of_another_kind_is_told_unchecked(
    played: Any, web: Any, image: str, release: Any
) -> None:
    """The Notary Project's: a list of tags calls the image signed, so this page does too."""
    kind = "application/vnd.cncf.notary.signature"
    held = holding(played, put(played, b"{}", "application/jose+json"), artifactType=kind)
    by_referrer(played, image, held, kind)
    assert words(played, web, image) == "signed, by no key held here"
    (found,) = verification.of_image(played, web, image).signatures
    assert (found.checked.state, found.digest) == (State.UNKNOWN, held)


def test_one_good_signature_is_enough_and_the_others_are_told(
    played: Any, web: Any, image: str, release: Any
) -> None:
    signed(played, web, image)
    content = payload("sha256:" + "a" * 64)
    bad = holding(played, signature_layer(played, content, sign(KEY, content)))
    by_referrer(played, image, bad, "application/vnd.dev.cosign.artifact.sig.v1+json")
    found = verification.of_image(played, web, image)
    assert found.in_words == "signed by release"
    assert [each.checked.state for each in found.signatures] == [State.SIGNED, State.INVALID]


def test_a_groups_key_holds_below_and_a_neighbours_does_not(
    played: Any, alice: Any, web: Any, image: str, make_project: Any
) -> None:
    signed(played, web, image)
    services.create(alice, make_project("acme/other", owner=alice), name="x", key=pem(KEY))
    assert words(played, web, image) == "signed, by no key held here"
    group = web.project.namespace
    services.create(alice, group, name="everywhere", key=pem(KEY))
    assert words(played, web, image) == "signed by everywhere"


def test_what_came_of_it_is_remembered_until_the_keys_change(
    played: Any, alice: Any, web: Any, image: str, release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed(played, web, image)
    asked: list[str] = []
    check = statements.simple_signing
    monkeypatch.setattr(
        statements, "simple_signing", lambda *given: (asked.append("x"), check(*given))[1]
    )
    for _ in range(2):
        assert words(played, web, image) == "signed by release"
    assert len(asked) == 1
    services.delete(alice, release)
    assert words(played, web, image) == "signed, by no key held here"
    assert len(asked) == 2


def test_what_is_not_here_may_still_come(played: Any, web: Any, image: str, release: Any) -> None:
    content = payload(image)
    layer = signature_layer(played, content, sign(KEY, content))
    by_tag(played, web.path, image, "sig", holding(played, layer))
    kept = played.blobs.pop(layer["digest"])
    assert words(played, web, image) == "signature invalid"
    played.blobs[layer["digest"]] = kept
    assert words(played, web, image) == "signed by release"


def test_what_is_no_signature_is_left_out_and_there_is_an_end(
    played: Any, web: Any, image: str, release: Any
) -> None:
    layer = put(played, b"{}", "application/octet-stream")
    for number in range(verification.MAX_CHECKED + 1):
        held = holding(played, layer, annotations={"n": str(number)})
        by_referrer(played, image, held, "application/vnd.dev.cosign.x")
    by_referrer(played, image, holding(played), "application/spdx+json")
    found = verification.of_image(played, web, image)
    assert (found.signatures, found.has_more) == ([], True)


# The page of a tag


def test_a_tag_shows_who_signed_it(
    played: Any, browser: Any, carol: Any, web: Any, image: str, release: Any
) -> None:
    played.push(web.path, "v1")
    played.now[web.path]["v1"] = dataclasses.replace(played.now[web.path]["v1"], digest=image)
    url = f"/acme/app/container_registry/{web.pk}/tags/v1"
    page = browser(carol).get(url).content.decode()
    assert "Nobody has signed this image" in page
    assert "public_keys" not in page
    signed(played, web, image)
    page = browser(carol).get(url).content.decode()
    assert "signed by release" in page
    assert "Not checked: identities" in page
    page = (
        browser(carol)
        .get(f"/acme/app/container_registry/{web.pk}/manifests/{image}")
        .content.decode()
    )
    assert "signed by release" in page


def test_of_many_signatures_some_are_read_and_nothing_is_said_of_the_others(
    played: Any, web: Any, image: str, release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may push puts as many there as they like, and each page would read them all."""
    monkeypatch.setattr(verification, "MAX_READ", 2)
    contents = [as_json(envelope(KEY, statement(image, f"https://{n}.test"))) for n in range(3)]
    layers = [put(played, content, ENVELOPE) for content in contents]
    by_tag(played, web.path, image, "att", holding(played, *layers))
    read: list[str] = []
    blob = played.blob
    monkeypatch.setattr(
        played,
        "blob",
        lambda path, digest, **more: (read.append(digest), blob(path, digest, **more))[1],
    )
    found = verification.of_image(played, web, image)
    assert len(read) == len(found.signatures) == 2
    assert found.has_more
    assert found.in_words == "not all signatures were looked at"


def test_their_bytes_have_an_end_too(
    played: Any, web: Any, image: str, release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = payload(image)
    layer = signature_layer(played, content, sign(KEY, content))
    by_tag(played, web.path, image, "sig", holding(played, layer))
    monkeypatch.setattr(verification, "MAX_BYTES", len(content) - 1)
    found = verification.of_image(played, web, image)
    assert (found.signatures, found.has_more) == ([], True)
    monkeypatch.setattr(verification, "MAX_BYTES", len(content))
    assert words(played, web, image) == "signed by release"
    # A descriptor that says less than there is buys nothing.
    by_tag(played, web.path, image, "sig", holding(played, {**layer, "size": 1}))
    assert words(played, web, image) == "signature invalid"


def test_a_bundle_of_an_image_that_is_not_here_proves_nothing(
    played: Any, web: Any, image: str, release: Any
) -> None:
    """The signature of nothing would be one of every manifest that can't be read."""
    made = {"messageSignature": {"signature": sign(KEY, b"")}, "verificationMaterial": {}}
    held = holding(played, put(played, as_json(made), BUNDLE))
    del played.manifests[image]
    found = verification.of_image(played, web, image, [held])
    assert found.in_words == "signature invalid"
