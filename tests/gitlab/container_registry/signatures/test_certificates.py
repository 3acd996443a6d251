"""Bundles of Sigstore's with a certificate, by a trust root of the test's own."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.signatures import certificates, identities, verification
from gitlab.container_registry.signatures.models import SigningIdentity
from gitlab.container_registry.signatures.statements import State
from gitlab.refusals import Forbidden, Invalid, NotFound
from tests.gitlab.container_registry.layers.played_layers import push, put
from tests.gitlab.container_registry.signatures.signing import (
    BUNDLE,
    as_json,
    by_referrer,
    holding,
    statement,
)
from tests.gitlab.container_registry.signatures.sigstore_signing import (
    ISSUER,
    WORKFLOW,
    Sigstore,
)

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]
SIGNS = "https://sigstore.dev/cosign/sign/v1"
PAGE = "/acme/app/-/settings/signing_identities"
GROUP = "/groups/acme/-/settings/signing_identities"


@pytest.fixture(scope="module")
def sigstore() -> Sigstore:
    return Sigstore()


@pytest.fixture(autouse=True)
def root(
    sigstore: Sigstore, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setattr(verification, "_remembered", verification._Remembered())
    path = tmp_path / "trusted_root.json"
    path.write_bytes(sigstore.trust_root)
    settings.SIGSTORE_TRUST_ROOT = path
    return path


@pytest.fixture
def image(played: Any, web: Any) -> str:
    return push(played)


@pytest.fixture
def release(alice: Any, app: Any) -> SigningIdentity:
    return identities.add_identity(alice, app, name="release", identity=WORKFLOW, issuer=ISSUER)


def attach(played: Any, image: str, bundle: dict[str, Any]) -> None:
    held = holding(played, put(played, as_json(bundle), BUNDLE))
    by_referrer(played, image, held, BUNDLE)


def found(played: Any, web: Any, image: str) -> verification.Verified:
    return verification.of_image(played, web, image)


def test_a_bundle_with_a_certificate(
    played: Any, web: Any, image: str, alice: Any, app: Any, sigstore: Sigstore
) -> None:
    attach(played, image, sigstore.bundle(played.manifests[image].payload))
    known = found(played, web, image)
    assert known.in_words == "signed, by no key held here"
    assert WORKFLOW in known.signatures[0].checked.sentence
    identities.add_identity(alice, app, name="release", identity=WORKFLOW, issuer=ISSUER)
    known = found(played, web, image)
    assert (known.in_words, known.state) == ("signed by release", State.SIGNED)


def test_a_statement_that_signs(
    played: Any, web: Any, image: str, release: Any, sigstore: Sigstore
) -> None:
    attach(played, image, sigstore.attestation(statement(image, SIGNS)))
    assert found(played, web, image).in_words == "signed by release"


def test_an_attestation_is_no_signature(
    played: Any, web: Any, image: str, release: Any, sigstore: Sigstore
) -> None:
    attach(played, image, sigstore.attestation(statement(image)))
    known = found(played, web, image)
    assert known.in_words == "not signed"
    assert [each.checked.state for each in known.signatures] == [State.SIGNED]


def test_one_of_another_image_is_invalid(
    played: Any, web: Any, image: str, release: Any, sigstore: Sigstore
) -> None:
    attach(played, image, sigstore.attestation(statement("sha256:" + "a" * 64, SIGNS)))
    assert found(played, web, image).in_words == "signature invalid"


@pytest.mark.parametrize(
    ("identity", "issuer", "holds"),
    [
        (WORKFLOW.rpartition("@")[0] + "@*", ISSUER, True),
        ("https://github.com/acme/app/*", ISSUER, True),
        (WORKFLOW, "https://accounts.example.com", False),
        (WORKFLOW.replace("v1", "v2"), ISSUER, False),
        ("https://github.com/acme/other/*", ISSUER, False),
    ],
)
def test_who_counts(
    played: Any,
    web: Any,
    image: str,
    alice: Any,
    app: Any,
    sigstore: Sigstore,
    identity: str,
    issuer: str,
    holds: bool,
) -> None:
    attach(played, image, sigstore.bundle(played.manifests[image].payload))
    identities.add_identity(alice, app, name="x", identity=identity, issuer=issuer)
    expected = "signed by x" if holds else "signed, by no key held here"
    assert found(played, web, image).in_words == expected


def test_a_persons_certificate_and_a_groups_identity(
    played: Any, web: Any, image: str, alice: Any, app: Any, sigstore: Sigstore
) -> None:
    bundle = sigstore.bundle(
        played.manifests[image].payload, "alice@example.com", issuer="https://accounts.example.com"
    )
    attach(played, image, bundle)
    identities.add_identity(
        alice,
        app.namespace,
        name="Alice",
        identity="alice@example.com",
        issuer="https://accounts.example.com",
    )
    assert found(played, web, image).in_words == "signed by Alice"


def _entry(bundle: Any) -> Any:
    return bundle["verificationMaterial"]["tlogEntries"][0]


def _set(bundle: Any, key: str, value: Any) -> None:
    _entry(bundle)[key] = value


def _other_content(bundle: Any) -> None:
    bundle["messageSignature"]["signature"] = base64.b64encode(b"x" * 70).decode()


def _other_root(bundle: Any) -> None:
    _entry(bundle)["inclusionProof"]["rootHash"] = base64.b64encode(b"x" * 32).decode()


CHANGED: dict[str, Callable[[Any], None]] = {
    "another signature": _other_content,
    "no entry of a log": lambda b: b["verificationMaterial"].update(tlogEntries=[]),
    "a promise of nobody": lambda b: _set(b, "inclusionPromise", {"signedEntryTimestamp": "AAAA"}),
    "another time": lambda b: _set(b, "integratedTime", "1700000000"),
    "another proof": _other_root,
    "another body": lambda b: _set(b, "canonicalizedBody", base64.b64encode(b"{}").decode()),
    "no certificate": lambda b: b["verificationMaterial"].update(certificate={"rawBytes": ""}),
    "another type": lambda b: b.update(mediaType="application/x"),
    "a certificate that is none": lambda b: b["verificationMaterial"].update(
        certificate={"rawBytes": "AAAA"}
    ),
    "a list": lambda b: b.update(verificationMaterial={"certificate": []}),
    "a number": lambda b: b.update(verificationMaterial={"certificate": 5}),
    "an entry that is none": lambda b: b["verificationMaterial"].update(tlogEntries=[5]),
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_what_does_not_hold_counts_for_nothing(
    played: Any, web: Any, image: str, release: Any, sigstore: Sigstore, change: Any
) -> None:
    bundle = json.loads(json.dumps(sigstore.bundle(played.manifests[image].payload)))
    change(bundle)
    attach(played, image, bundle)
    assert not found(played, web, image).signers


def test_one_of_other_bytes(
    played: Any, web: Any, image: str, release: Any, sigstore: Sigstore
) -> None:
    attach(played, image, sigstore.bundle(b"something else"))
    assert found(played, web, image).in_words == "signed, by no key held here"


def test_a_certificate_that_was_over(
    played: Any, web: Any, image: str, release: Any, sigstore: Sigstore
) -> None:
    attach(played, image, sigstore.bundle(played.manifests[image].payload, minutes=-0.5))
    assert not found(played, web, image).signers


def test_another_trust_root(
    played: Any, web: Any, image: str, release: Any, root: Path, sigstore: Sigstore
) -> None:
    attach(played, image, sigstore.bundle(played.manifests[image].payload))
    assert found(played, web, image).signers
    root.write_bytes(Sigstore().trust_root + b"\n")
    known = found(played, web, image)
    assert not known.signers
    assert known.signatures[0].checked.sentence.startswith("By the trust root here it does not")


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", None])
def test_a_trust_root_that_is_none(
    played: Any, web: Any, image: str, release: Any, root: Path, sigstore: Sigstore, content: Any
) -> None:
    root.unlink() if content is None else root.write_bytes(content)
    attach(played, image, sigstore.bundle(played.manifests[image].payload))
    assert found(played, web, image).in_words == "signed, by no key held here"


def test_without_the_library(
    played: Any,
    web: Any,
    image: str,
    release: Any,
    sigstore: Sigstore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificates._load.cache_clear()
    monkeypatch.setitem(sys.modules, "sigstore.models", None)
    attach(played, image, sigstore.bundle(played.manifests[image].payload))
    (signature,) = found(played, web, image).signatures
    assert signature.checked.state is State.UNKNOWN
    assert "can't be checked here now" in signature.checked.sentence


def test_without_a_trust_root(
    played: Any, web: Any, image: str, release: Any, settings: Any, sigstore: Sigstore
) -> None:
    settings.SIGSTORE_TRUST_ROOT = None
    attach(played, image, sigstore.bundle(played.manifests[image].payload))
    (signature,) = found(played, web, image).signatures
    assert "which is not checked here" in signature.checked.sentence


# Who counts, on the page and by the rule


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_an_identity_is_added_shown_and_deleted(browser: Any, alice: Any, app: Any) -> None:
    client = browser(alice)
    assert "No identity is held" in text(client.get(PAGE))
    assert PAGE in text(client.get("/acme/app/-/settings/public_keys"))
    sent = {"name": "rel<b>", "identity": WORKFLOW, "issuer": ISSUER}
    assert client.post(PAGE, sent).url == PAGE
    row = SigningIdentity.objects.get()
    assert "rel&lt;b&gt;" in text(client.get(PAGE))
    assert "Delete this identity?" in text(client.get(f"{PAGE}/{row.pk}/delete"))
    client.post(f"{PAGE}/{row.pk}/delete")
    assert not SigningIdentity.objects.exists()
    events = AuditEvent.objects.filter(action__startswith="signing_identity").order_by("pk")
    assert [(each.action, each.details["identity"]) for each in events] == [
        ("signing_identity.create", WORKFLOW),
        ("signing_identity.delete", WORKFLOW),
    ]


def test_a_groups_hold_below_and_are_changed_there(browser: Any, alice: Any, app: Any) -> None:
    browser(alice).post(GROUP, {"name": "all", "identity": WORKFLOW, "issuer": ISSUER})
    row = SigningIdentity.objects.get()
    assert "<code>acme</code>" in text(browser(alice).get(PAGE))
    assert browser(alice).post(f"{PAGE}/{row.pk}/delete").status_code == 404


def test_who_may(
    browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any, settings: Any
) -> None:
    for user, status in ((alice, 200), (bob, 403), (carol, 403), (mallory, 404)):
        assert browser(user).get(PAGE).status_code == status
    with pytest.raises(Forbidden):
        identities.add_identity(bob, app, name="x", identity=WORKFLOW, issuer=ISSUER)
    with pytest.raises(NotFound):
        identities.identities_of(mallory, app)
    settings.SIGSTORE_TRUST_ROOT = None
    assert browser(alice).get(PAGE).status_code == 404


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": ""}, "required"),
        ({"name": "taken"}, "There is one of this name already."),
        ({"identity": "*"}, "Write an address"),
        ({"identity": "https://github.com/*"}, "with its owner at least"),
        ({"identity": "https://github.com/acme*"}, "with its owner at least"),
        ({"identity": "*@example.com"}, "Write an address"),
        ({"issuer": "http://x"}, "https://…"),
        ({"issuer": "x" * 501}, "at most 500 characters"),
    ],
)
def test_what_can_not_be_added_says_why(
    browser: Any, alice: Any, app: Any, changed: dict[str, str], says: str
) -> None:
    identities.add_identity(alice, app, name="taken", identity=WORKFLOW, issuer=ISSUER)
    sent = {"name": "x", "identity": WORKFLOW, "issuer": ISSUER, **changed}
    assert says in text(browser(alice).post(PAGE, sent))
    assert SigningIdentity.objects.count() == 1


def test_there_is_an_end(alice: Any, app: Any) -> None:
    for number in range(identities.MAX_IDENTITIES):
        identities.add_identity(alice, app, name=f"i{number}", identity=WORKFLOW, issuer=ISSUER)
    with pytest.raises(Invalid, match="delete one first"):
        identities.add_identity(alice, app, name="x", identity=WORKFLOW, issuer=ISSUER)
