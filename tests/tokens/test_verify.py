"""Checking: good tokens pass, every forged one is refused, with nothing of it in the reason."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from tests.tokens.conftest import Pair
from tokens import issue as issuing
from tokens import keys
from tokens.access import Access
from tokens.issue import issue
from tokens.verify import MAX_LIFETIME, InvalidToken, trusted, verify

pytestmark = pytest.mark.engineless

LEEWAY = 10
"""Seconds: the setting's default."""

PULL = Access.repository("acme/app", "pull")
REMOVED = object()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture
def key(pair: Pair) -> keys.SigningKey:
    """The trusted key."""
    return keys.signing_key(pair.key.read_bytes(), pair.certificate.read_bytes())


@pytest.fixture
def evil() -> keys.SigningKey:
    """An attacker's."""
    return keys.signing_key(*keys.generate())


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    found = {
        "iss": "gitlab-issuer",
        "aud": "container_registry",
        "iat": now,
        "nbf": now - 5,
        "exp": now + 600,
        "jti": "an-id",
        "sub": "alice",
        "access": [PULL.as_claim()],
        **changes,
    }
    return {name: value for name, value in found.items() if value is not REMOVED}


def sign(key: keys.SigningKey, value: dict[str, Any] | None = None, **headers: Any) -> str:
    given = {"kid": key.key_id, **headers}
    headers = {name: each for name, each in given.items() if each is not REMOVED}
    payload = json.dumps(value or claims()).encode()
    return jwt.api_jws.encode(payload, key.private, key.algorithm, headers)


def raw(key: keys.SigningKey, payload: bytes, **headers: Any) -> str:
    """A payload that a JSON library would not write, signed by the trusted key."""
    return jwt.api_jws.encode(payload, key.private, key.algorithm, {"kid": key.key_id, **headers})


def assert_invalid(text: str) -> None:
    with pytest.raises(InvalidToken) as refused:
        verify(text)
    for part in text.split("."):
        assert len(part) < 8 or part not in str(refused.value)


def test_a_good_token() -> None:
    token = issue([PULL], subject="alice", user={"username": "alice"})
    found = verify(token.text)
    assert found.subject == "alice"
    assert found.grants(PULL)
    assert not found.grants(Access.repository("acme/app", "pull", "push"))
    assert found.expires_at == token.issued_at + token.expires_in
    assert found.user


def test_every_spelling_of_the_key_id(key: keys.SigningKey) -> None:
    public = key.private.public_key()
    for kid in (keys.libtrust_key_id(public), keys.thumbprint(public)):
        assert verify(sign(key, kid=kid)).grants(PULL)
    assert verify(sign(key, kid=REMOVED, x5c=list(key.x5c))).grants(PULL)


def test_any_of_several_certificates(key: keys.SigningKey, pair: Pair) -> None:
    other_key, other_certificate = keys.generate()
    pair.certificate.write_bytes(pair.certificate.read_bytes() + other_certificate)
    other = keys.signing_key(other_key, other_certificate)
    for each in (key, other):
        assert verify(sign(each)).grants(PULL)


def test_a_changed_bundle_is_read_anew(key: keys.SigningKey, pair: Pair) -> None:
    assert verify(sign(key))
    pair.certificate.write_bytes(keys.generate()[1])
    os.utime(pair.certificate, ns=(1, 1))
    assert_invalid(sign(key))


def test_the_bundle_is_read_once() -> None:
    assert trusted() is trusted()


# Who has signed


def unsigned(key: keys.SigningKey, algorithm: str) -> str:
    head = json.dumps({"alg": algorithm, "typ": "JWT", "kid": key.key_id}).encode()
    return f"{b64(head)}.{b64(json.dumps(claims()).encode())}."


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "ES256"])
def test_unsigned(key: keys.SigningKey, algorithm: str) -> None:
    assert_invalid(unsigned(key, algorithm))
    assert_invalid(unsigned(key, algorithm).rstrip("."))


def _public(key: keys.SigningKey, encoding: serialization.Encoding) -> bytes:
    return key.private.public_key().public_bytes(
        encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(
    "secret",
    [
        lambda key, pair: _public(key, serialization.Encoding.PEM),
        lambda key, pair: _public(key, serialization.Encoding.PEM).strip(),
        lambda key, pair: _public(key, serialization.Encoding.DER),
        lambda key, pair: pair.certificate.read_bytes(),
        lambda key, pair: b"",
        lambda key, pair: key.key_id.encode(),
    ],
)
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_secret_that_everybody_knows(
    key: keys.SigningKey, pair: Pair, secret: Callable[..., bytes], algorithm: str
) -> None:
    head = json.dumps({"alg": algorithm, "typ": "JWT", "kid": key.key_id}).encode()
    text = f"{b64(head)}.{b64(json.dumps(claims()).encode())}"
    function = f"sha{algorithm[2:]}"
    signature = hmac.new(secret(key, pair), text.encode(), function).digest()
    assert_invalid(f"{text}.{b64(signature)}")


def test_another_algorithm_of_the_same_family(key: keys.SigningKey) -> None:
    """The key says which algorithm, not the token."""
    head = json.dumps({"alg": "ES384", "kid": key.key_id}).encode()
    text = f"{b64(head)}.{b64(json.dumps(claims()).encode())}"
    real = jwt.encode(claims(), key.private, algorithm="ES256").split(".")[2]
    assert_invalid(f"{text}.{real}")


def test_an_attackers_key(key: keys.SigningKey, evil: keys.SigningKey) -> None:
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(evil.private.public_key()))  # type: ignore[arg-type]
    for headers in (
        {},
        {"kid": key.key_id},
        {"kid": REMOVED},
        {"kid": key.key_id, "jwk": jwk},
        {"kid": REMOVED, "jwk": jwk},
        {"kid": key.key_id, "jku": "http://127.0.0.1:1/keys"},
        {"kid": REMOVED, "x5u": "http://127.0.0.1:1/certificate"},
        {"kid": REMOVED, "x5c": list(evil.x5c)},
        {"kid": REMOVED, "x5c": list(key.x5c)},
        {"kid": REMOVED, "x5c": [*key.x5c, *evil.x5c]},
        {"kid": key.key_id, "x5c": list(evil.x5c)},
        {"kid": "../../../dev/null"},
        {"kid": ""},
    ):
        assert_invalid(sign(evil, **headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"kid": "unknown"}, {"kid": ""}, {"kid": REMOVED}, {"kid": REMOVED, "x5c": []},
        {"kid": REMOVED, "x5c": "x"}, {"kid": REMOVED, "x5c": [5]}, {"kid": REMOVED, "x5c": ["!"]},
        {"kid": REMOVED, "x5c": {}},
    ],
)  # fmt: skip
def test_a_key_that_is_not_named(key: keys.SigningKey, headers: dict[str, Any]) -> None:
    assert_invalid(sign(key, **headers))


@pytest.mark.parametrize("kid", [5, None, [], {}, True])
def test_a_key_id_that_is_no_text(key: keys.SigningKey, kid: object) -> None:
    head = json.dumps({"alg": key.algorithm, "kid": kid}).encode()
    rest = sign(key).partition(".")[2]
    assert_invalid(f"{b64(head)}.{rest}")


@pytest.mark.parametrize(
    "headers",
    [
        {"crit": ["x"]},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False, "crit": ["b64"]},
    ],
)
def test_critical_extensions(key: keys.SigningKey, headers: dict[str, Any]) -> None:
    assert_invalid(sign(key, **headers))


def test_a_changed_signature_or_payload(key: keys.SigningKey) -> None:
    head, payload, signature = sign(key).split(".")
    bits = bytearray(base64.urlsafe_b64decode(signature + "=="))
    bits[7] ^= 1
    assert_invalid(f"{head}.{payload}.{b64(bytes(bits))}")
    other = b64(json.dumps(claims(sub="root")).encode())
    assert_invalid(f"{head}.{other}.{signature}")
    assert_invalid(f"{head}.{payload}.{b64(bytes(64))}")
    assert_invalid(f"{head}.{payload}.{signature}.{signature}")
    assert_invalid(f"{head}..{signature}")


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "x" * 20_000, "é.é.é", "\0", "a b.c d.e f", "." * 10_000,
     b64(b"[]") + ".e30.x", b64(b"5") + ".e30.x", b64(b"\xff") + ".e30.x",
     b64(b"[" * 5000) + ".e30.x", b64(b'{"alg":["ES256"]}') + ".e30.x"],
)  # fmt: skip
def test_what_is_no_token(text: str) -> None:
    assert_invalid(text)


def test_one_token_has_one_spelling(key: keys.SigningKey) -> None:
    """Padding, bytes that readers of base64 skip, bits that they don't look at."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    text = sign(key, claims())
    head, payload, signature = text.split(".")
    assert verify(text)
    last = alphabet.index(signature[-1])
    for other in (
        f"{text}=", f"{text}==", f"{text}\n", f"{text}.", f" {text}", f"{text} ",
        f"{head}=.{payload}.{signature}", f"{head}.{payload}=.{signature}",
        f"{head}.{payload}.!{signature}", f"{head}.{payload}.{signature[:9]} {signature[9:]}",
        f"{head}.{payload}.{signature[:-1]}{alphabet[last + 1]}",
        f"{head}.{payload}.{signature}A", f"{text}\u00e9",
    ):  # fmt: skip
        assert_invalid(other)


# What it says


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "iss", "aud", "jti"])
def test_a_claim_that_is_missing(key: keys.SigningKey, name: str) -> None:
    assert_invalid(sign(key, claims(**{name: REMOVED})))
    assert_invalid(sign(key, claims(**{name: None})))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "dependency_proxy"}, {"aud": ["evil", "container_registry"]}, {"aud": []},
        {"aud": ["container_registry"]}, {"aud": "Container_Registry"}, {"aud": 5}, {"aud": {}},
        {"iss": "evil"}, {"iss": "gitlab-issuer "}, {"iss": ["gitlab-issuer"]}, {"iss": "gitlab"},
        {"iss": {}}, {"sub": 5}, {"sub": ["alice"]}, {"user": 5}, {"user": {}},
        {"jti": 5}, {"jti": []},
    ],
)  # fmt: skip
def test_claims_of_another_kind(key: keys.SigningKey, changes: dict[str, Any]) -> None:
    assert_invalid(sign(key, claims(**changes)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp", -LEEWAY - 1), ("exp", -3600), ("exp", MAX_LIFETIME + 10), ("exp", 10 * 365 * 86400),
        ("nbf", LEEWAY + 10), ("iat", LEEWAY + 10), ("iat", 700),
    ],
)  # fmt: skip
def test_times_that_do_not_hold(key: keys.SigningKey, name: str, value: int) -> None:
    assert_invalid(sign(key, claims(**{name: int(time.time()) + value})))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value", ["x", "9999999999", [], {}, True, False, "1e400", "1e18", "-1e400"]
)
def test_times_that_are_none(key: keys.SigningKey, name: str, value: Any) -> None:
    if isinstance(value, str) and value.endswith(("400", "18")):
        text = json.dumps(claims(**{name: "HERE"})).replace('"HERE"', value)
        assert_invalid(raw(key, text.encode()))
    else:
        assert_invalid(sign(key, claims(**{name: value})))


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_times_that_are_no_numbers(key: keys.SigningKey, name: str, value: str) -> None:
    text = json.dumps(claims(**{name: "HERE"})).replace('"HERE"', value)
    assert_invalid(raw(key, text.encode()))


def test_clocks_may_differ_a_little(key: keys.SigningKey) -> None:
    now = int(time.time())
    ahead = claims(iat=now + LEEWAY - 5, nbf=now + LEEWAY - 5, exp=now + 600)
    assert verify(sign(key, ahead))
    behind = claims(iat=now - 600, nbf=now - 600, exp=now - LEEWAY + 5)
    assert verify(sign(key, behind))


def test_how_much_clocks_may_differ_is_a_setting(key: keys.SigningKey, settings: Any) -> None:
    now = int(time.time())
    ended = sign(key, claims(iat=now - 600, nbf=now - 600, exp=now - 2))
    assert verify(ended)
    settings.TOKENS_LEEWAY = 1.0
    assert_invalid(ended)


def test_a_certificate_that_has_ended(pair: Pair, settings: Any) -> None:
    """Its key signs nothing any more, whatever the token says of its own end."""
    settings.TOKENS_LEEWAY = 30.0
    for seconds, holds in ((3600, True), (-20, True), (-40, False)):
        certificate = certificate_that_ends_in(seconds, pair.key.read_bytes())
        pair.certificate.write_bytes(certificate)
        os.utime(pair.certificate, ns=(seconds + 100, seconds + 100))
        issuing._load.cache_clear()
        text = issue([PULL], subject="alice").text
        if holds:
            assert verify(text).expires_at <= time.time() + max(seconds, 0)
        else:
            assert_invalid(text)


def certificate_that_ends_in(seconds: int, key_pem: bytes) -> bytes:
    key = keys.load_private_key(key_pem)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gitlab-issuer")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(seconds=seconds))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    "access",
    [
        "*", {}, 5, [PULL.as_claim() | {"actions": "pullpush"}], [{"type": "repository"}], ["x"],
        [None], [[]], [PULL.as_claim(), 5], [PULL.as_claim() | {"name": ["acme/app"]}],
    ],
)  # fmt: skip
def test_access_of_another_form(key: keys.SigningKey, access: object) -> None:
    assert_invalid(sign(key, claims(access=access)))


def test_a_token_may_grant_nothing(key: keys.SigningKey) -> None:
    for changes in ({"access": []}, {"access": REMOVED}):
        assert not verify(sign(key, claims(**changes))).grants(PULL)


@pytest.mark.parametrize(
    "payload", [b"[1]", b'"x"', b"5", b"null", b"", b"\xff", b"{", b"[" * 4000]
)
def test_a_payload_that_is_no_object(key: keys.SigningKey, payload: bytes) -> None:
    assert_invalid(raw(key, payload))


def test_a_deeply_nested_payload(key: keys.SigningKey) -> None:
    deep = b"[" * 3000 + b"]" * 3000
    text = json.dumps(claims(x="HERE")).encode().replace(b'"HERE"', deep)
    assert_invalid(raw(key, text))


def test_a_claim_that_stands_twice(key: keys.SigningKey) -> None:
    """Two readers might take different ones: nobody signs such a token in good faith."""
    text = json.dumps(claims())
    for doubled in (
        text[:-1] + ', "access": []}',
        '{"access": [], ' + text[1:],
        text.replace('"actions"', '"actions": ["push"], "actions"'),
        text[:-1] + ', "sub": "root"}',
    ):
        assert_invalid(raw(key, doubled.encode()))


def test_wildcards_are_gitlabs_own(key: keys.SigningKey) -> None:
    entry = Access.repository("acme/*", "pull").as_claim()
    assert verify(sign(key, claims(access=[entry], sub=REMOVED))).grants(PULL)
    for subject in ("alice", ""):
        assert not verify(sign(key, claims(access=[entry], sub=subject))).grants(PULL)


def test_the_hash_is_as_expected() -> None:
    """The tests' own base64 is right."""
    assert b64(hashlib.sha256(b"").digest()).startswith("47DEQpj8HBSa")
