"""Tokens of others: any algorithm that fits the key, and certificates that an authority has
issued.
"""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.authorities import Issued, issue
from tests.tokens.conftest import Pair
from tokens import keys
from tokens.access import Access
from tokens.verify import InvalidToken, verify

pytestmark = pytest.mark.engineless

PULL = Access.repository("acme/app", "pull")


def token(by: Issued, chain: list[Issued], *, algorithm: str = "ES256", **headers: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "gitlab-issuer",
        "aud": "container_registry",
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "jti": "1",
        "sub": "alice",
        "access": [PULL.as_claim()],
    }
    given = {"x5c": [each.x5c for each in chain], **headers} if chain else headers
    return jwt.encode(claims, by.key, algorithm=algorithm, headers=given)


def refused(text: str) -> str:
    with pytest.raises(InvalidToken) as error:
        verify(text)
    return str(error.value)


@pytest.fixture
def root(pair: Pair) -> Issued:
    """The one certificate of the bundle: an authority's."""
    found = issue("an authority", authority=True)
    pair.certificate.write_bytes(found.pem)
    return found


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_every_algorithm_of_an_rsa_key(pair: Pair, algorithm: str) -> None:
    by = issue("rsa", key=rsa.generate_private_key(65537, 2048))
    pair.certificate.write_bytes(by.pem)
    public = by.certificate.public_key()
    for kid in (keys.libtrust_key_id(public), keys.thumbprint(public)):  # type: ignore[arg-type]
        assert verify(token(by, [], algorithm=algorithm, kid=kid)).grants(PULL)


@pytest.mark.parametrize(
    ("curve", "algorithm"),
    [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), "ES512")],
)
def test_every_curve(pair: Pair, curve: ec.EllipticCurve, algorithm: str) -> None:
    by = issue("ec", key=ec.generate_private_key(curve))
    pair.certificate.write_bytes(by.pem)
    public = by.certificate.public_key()
    for kid in (keys.libtrust_key_id(public), keys.thumbprint(public)):  # type: ignore[arg-type]
        assert verify(token(by, [], algorithm=algorithm, kid=kid)).grants(PULL)


def test_a_certificate_that_the_authority_has_issued(root: Issued) -> None:
    leaf = issue("token server", root)
    assert verify(token(leaf, [leaf])).grants(PULL)
    assert verify(token(leaf, [leaf, root])).grants(PULL)
    # Another's name for the key says nothing to us, and does no harm.
    assert verify(token(leaf, [leaf], kid="their own name")).grants(PULL)


def test_a_chain_with_what_lies_between(root: Issued) -> None:
    between = issue("between", root, authority=True, signs=True)
    leaf = issue("token server", between, key=rsa.generate_private_key(65537, 2048))
    assert verify(token(leaf, [leaf, between], algorithm="RS512")).grants(PULL)
    refused(token(leaf, [leaf], algorithm="RS512"))
    refused(token(leaf, [between, leaf], algorithm="RS512"))


def test_the_certificate_itself_with_an_unknown_key_id(pair: Pair) -> None:
    by = issue("ours", constraints=False)
    pair.certificate.write_bytes(by.pem)
    assert verify(token(by, [by], kid="unknown")).grants(PULL)


@pytest.mark.parametrize("what", ["self-signed", "another authority", "same name"])
def test_nobody_vouches_for_it(root: Issued, what: str) -> None:
    other = issue("an authority" if what == "same name" else "another", authority=True)
    leaf = issue("token server", None if what == "self-signed" else other)
    refused(token(leaf, [leaf]))
    refused(token(leaf, [leaf, other]))
    refused(token(leaf, [leaf, root]))


def test_the_signature_is_the_leafs(root: Issued) -> None:
    leaf, evil = issue("token server", root), issue("evil")
    refused(token(evil, [leaf]))
    refused(token(evil, [leaf, evil]))
    refused(token(leaf, [root, leaf]))


@pytest.mark.parametrize("days", [(-30, -1), (1, 30)])
def test_certificates_that_are_not_in_force(
    root: Issued, pair: Pair, days: tuple[int, int]
) -> None:
    leaf = issue("token server", root, days=days)
    refused(token(leaf, [leaf]))
    between = issue("between", root, authority=True, days=days)
    leaf = issue("token server", between)
    refused(token(leaf, [leaf, between]))
    old = issue("old", authority=True, days=days)
    pair.certificate.write_bytes(old.pem)
    leaf = issue("token server", old)
    refused(token(leaf, [leaf]))


@pytest.mark.parametrize(
    "between",
    [
        {"authority": False},
        {"constraints": False},
        {"authority": True, "signs": False},
    ],
    ids=["no authority", "no constraints", "a key that signs none"],
)
def test_whoever_is_no_authority_issues_nothing(root: Issued, between: dict[str, Any]) -> None:
    holder = issue("holder", root, **between)
    leaf = issue("token server", holder)
    refused(token(leaf, [leaf, holder]))


@pytest.mark.parametrize("constraints", [True, False])
def test_a_certificate_in_the_bundle_that_is_no_authority(pair: Pair, constraints: bool) -> None:
    holder = issue("holder", constraints=constraints)
    pair.certificate.write_bytes(holder.pem)
    leaf = issue("token server", holder)
    refused(token(leaf, [leaf]))
    assert verify(token(holder, [holder])).grants(PULL)


def test_how_long_a_chain_may_be(pair: Pair) -> None:
    root = issue("root", authority=True, path_length=0)
    pair.certificate.write_bytes(root.pem)
    leaf = issue("token server", root)
    assert verify(token(leaf, [leaf])).grants(PULL)
    between = issue("between", root, authority=True)
    leaf = issue("token server", between)
    refused(token(leaf, [leaf, between]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: rsa.generate_private_key(65537, 1024),
        lambda: ec.generate_private_key(ec.SECP224R1()),
    ],
)
def test_a_weak_key_that_the_authority_has_signed(root: Issued, make: Any) -> None:
    leaf = issue("token server", root, key=make())
    strong = issue("strong", root, key=rsa.generate_private_key(65537, 2048))
    # Refused for the certificate, before the signature is looked at.
    reason = refused(token(strong, [leaf], algorithm="RS256"))
    assert "needs 2048 bits" in reason or "is not one of secp256r1" in reason


@pytest.mark.parametrize(
    "chain", [[], "x", {}, None, 5, [5], [None], ["!"], ["AAAA"], ["é"], [["x"]], ["AAAA"] * 7]
)
def test_what_is_no_chain(root: Issued, chain: object) -> None:
    leaf = issue("token server", root)
    refused(token(leaf, [leaf], x5c=chain))


def test_a_chain_that_goes_on_and_on(root: Issued) -> None:
    leaf = issue("token server", root)
    assert "1 to 6" in refused(token(leaf, [leaf, *[root] * 6]))


def test_hashes_keyed_with_what_everybody_knows(root: Issued) -> None:
    leaf = issue("token server", root)
    key = leaf.pem.decode().encode().replace(b"-----", b"")
    now = int(time.time())
    text = jwt.encode(
        {"iss": "gitlab-issuer", "aud": "container_registry", "iat": now, "nbf": now, "jti": "1",
         "exp": now + 300},
        key, algorithm="HS256", headers={"x5c": [leaf.x5c]},
    )  # fmt: skip
    refused(text)
