"""Reading an issuer's keys, and choosing one."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gitlab.trusted_issuers import keys
from gitlab.trusted_issuers.keys import MOST_KEYS, UnusableKeys, choose, read
from tests.played_issuer import public_jwk

pytestmark = pytest.mark.engineless


def number(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize("algorithm", ["RS256", "PS512", "ES256", "ES384", "EdDSA"])
def test_each_kind(algorithm: str) -> None:
    found = read({"keys": [public_jwk(algorithm)]})
    assert choose(found, algorithm, f"{algorithm}-0") == found[0]
    assert choose(found, algorithm, None) == found[0]
    assert choose(found, algorithm, "other") is None


RSA = public_jwk("RS256")
IGNORED: dict[str, Any] = {
    "no object": "key",
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
    "for encryption": {**RSA, "use": "enc"},
    "operations": {**RSA, "key_ops": ["sign"]},
    "operations of a wrong form": {**RSA, "key_ops": "verify"},
    "the algorithm of another kind": {**RSA, "alg": "ES256"},
    "a secret's algorithm": {**RSA, "alg": "HS256"},
    "an algorithm that is none": {**RSA, "alg": 5},
    "an unknown curve": {**public_jwk(), "crv": "secp256k1"},
    "a point beside the curve": {**public_jwk(), "x": public_jwk(number=1)["x"]},
    "a weak one": {**RSA, "n": number(2**1023 + 1)},
    "a huge one": {**RSA, "n": number(2**16383 + 1)},
    "a huge exponent": {**RSA, "e": number(2**64 + 1)},
    "no modulus": {**RSA, "n": None},
    "a modulus that is none": {**RSA, "n": "ü"},
    "an id that is none": {**RSA, "kid": {"a": 1}},
    "a long id": {**RSA, "kid": "x" * 256},
}


@pytest.mark.parametrize("entry", IGNORED.values(), ids=IGNORED)
def test_what_is_no_usable_key_is_left_out(entry: Any) -> None:
    good = public_jwk("ES384")
    assert [key.id for key in read({"keys": [entry, good]})] == ["ES384-0"]


@pytest.mark.parametrize("document", [None, [], {}, {"keys": None}, {"keys": {}}, "keys"])
def test_what_is_no_set(document: Any) -> None:
    with pytest.raises(UnusableKeys):
        read(document)


def test_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_read_one", lambda entry: pytest.fail("none of them is read"))
    with pytest.raises(UnusableKeys):
        read({"keys": [{}] * (MOST_KEYS + 1)})


def test_a_key_is_for_its_own_kind_alone() -> None:
    found = read({"keys": [{**RSA, "kid": "a"}, {**public_jwk(), "kid": "a"}]})
    assert choose(found, "RS256", "a") == found[0]
    assert choose(found, "ES256", "a") == found[1]
    for algorithm in ("HS256", "none", "ES384", "RS1", ""):
        assert choose(found, algorithm, "a") is None
    bound = read({"keys": [{**RSA, "alg": "RS512"}]})
    assert choose(bound, "RS256", None) is None


def test_of_two_that_could_be_meant_none_is() -> None:
    twice = read({"keys": [public_jwk(), public_jwk(number=1)]})
    assert choose(twice, "ES256", None) is None
    same = read({"keys": [public_jwk(kid="a"), public_jwk(number=1, kid="a")]})
    assert choose(same, "ES256", "a") is None


def test_a_private_half_is_not_kept() -> None:
    entry = {**RSA, "d": "c2VjcmV0", "p": "c2VjcmV0"}
    (found,) = read({"keys": [entry]})
    assert not hasattr(found.public, "private_numbers")
