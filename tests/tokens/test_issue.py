"""What a signed token says."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from tests.tokens.conftest import Pair
from tokens import issue as issuing
from tokens import keys
from tokens.access import Access
from tokens.issue import MAX_TOKEN_LENGTH, Bearer, TokenTooLong, fitting, issue
from tokens.verify import verify

pytestmark = pytest.mark.engineless

PULL = Access.repository("acme/app", "pull")


def opened(text: str, pair: Pair) -> dict[str, Any]:
    """The claims, checked with nothing but PyJWT and the certificate."""
    (certificate,) = keys.load_certificates(pair.certificate.read_bytes())
    public = certificate.public_key()
    claims: dict[str, Any] = jwt.decode(
        text,
        public,
        algorithms=["ES256", "RS256"],
        audience="container_registry",  # type: ignore[arg-type]
    )
    return claims


def test_the_claims(pair: Pair) -> None:
    before = int(time.time())
    token = issue([PULL], subject="alice", auth_type="gitlab_or_ldap", user={"username": "alice"})
    claims = opened(token.text, pair)
    assert claims["iss"] == "gitlab-issuer"
    assert claims["aud"] == "container_registry"
    assert claims["sub"] == "alice"
    assert claims["auth_type"] == "gitlab_or_ldap"
    assert claims["access"] == [{"type": "repository", "name": "acme/app", "actions": ["pull"]}]
    assert before <= claims["iat"] == token.issued_at <= time.time()
    assert claims["nbf"] == claims["iat"] - 5
    assert claims["exp"] - claims["iat"] == token.expires_in == 600
    assert len(claims["jti"]) == 36
    user = jwt.decode(claims["user"], options={"verify_signature": False})
    assert user == {"user_info": {"username": "alice"}}


def test_who_it_is_for_is_signed_once_for_each_key(pair: Pair) -> None:
    user = {"username": "alice"}
    first, again = (opened(issue([PULL], user=user).text, pair)["user"] for _ in range(2))
    assert again == first
    assert opened(issue([PULL], user={"username": "bob"}).text, pair)["user"] != first
    key, certificate = keys.generate()
    pair.key.write_bytes(key)
    pair.certificate.write_bytes(certificate)
    issuing._load.cache_clear()  # Files may be of the same size and moment.
    claim = opened(issue([PULL], user=user).text, pair)["user"]
    (known,) = keys.load_certificates(certificate)
    found = jwt.decode(claim, known.public_key(), algorithms=["ES256"])  # type: ignore[arg-type]
    assert found == {"user_info": user}


def test_the_header(pair: Pair) -> None:
    header = jwt.get_unverified_header(issue([PULL]).text)
    signing = keys.signing_key(pair.key.read_bytes(), pair.certificate.read_bytes())
    assert header == {
        "alg": "ES256",
        "typ": "JWT",
        "kid": signing.key_id,
        "x5c": list(signing.x5c),
    }


def test_an_rsa_key_signs_too(pair: Pair) -> None:
    key, certificate = keys.generate(rsa_bits=2048)
    pair.key.write_bytes(key)
    pair.certificate.write_bytes(certificate)
    issuing._load.cache_clear()
    token = issue([PULL], subject="alice")
    assert jwt.get_unverified_header(token.text)["alg"] == "RS256"
    assert verify(token.text).grants(PULL)


def test_gitlabs_own_token_has_no_subject(pair: Pair) -> None:
    claims = opened(issue([PULL]).text, pair)
    assert not {"sub", "user", "auth_type"} & set(claims)
    assert opened(issue([], subject="").text, pair)["sub"] == ""


def test_each_token_is_another(pair: Pair) -> None:
    assert len({opened(issue([]).text, pair)["jti"] for _ in range(20)}) == 20


def test_a_lifetime_of_its_own(settings: Any) -> None:
    settings.TOKENS_LIFETIME = 120
    assert issue([]).expires_in == 120
    assert issue([], lifetime=30).expires_in == 30


def test_it_ends_no_later_than_what_it_was_made_of(pair: Pair) -> None:
    now = int(time.time())
    soon = issue([PULL], ends_at=now + 100.9)
    assert opened(soon.text, pair)["exp"] == now + 100
    assert soon.expires_in in (99, 100)
    assert issue([PULL], ends_at=now + 10_000).expires_in == 600
    assert issue([PULL], lifetime=30, ends_at=now + 100).expires_in == 30
    assert issue([PULL], ends_at=now - 5).expires_in == 0


def test_what_no_proxy_would_carry_is_refused() -> None:
    name = "/".join(["a" * 60] * 4)
    with pytest.raises(TokenTooLong):
        issue([Access.repository(f"{name}/{number}", "pull") for number in range(20)])
    few = issue([Access.repository(f"acme/app-{number}", "pull", "push") for number in range(20)])
    assert len(few.text) < MAX_TOKEN_LENGTH


def test_the_certificate_is_left_out_where_it_has_no_room() -> None:
    """Who knows the key's id has no need of it."""
    for count in range(1, 60):
        text = issue(
            [Access.repository(f"acme/app-{n}", "pull", "push") for n in range(count)]
        ).text
        assert verify(text)
        if "x5c" not in jwt.get_unverified_header(text):
            break
    assert 20 < count < 59
    assert len(text) <= MAX_TOKEN_LENGTH


@pytest.mark.parametrize("rsa_bits", [None, 2048])
@pytest.mark.parametrize("user", [None, {"username": "é" * 20}])
def test_what_fits(pair: Pair, rsa_bits: int | None, user: Any) -> None:
    """As many as there is room for: with one more it would be refused."""
    key, certificate = keys.generate(rsa_bits=rsa_bits)
    pair.key.write_bytes(key)
    pair.certificate.write_bytes(certificate)
    issuing._load.cache_clear()
    asked = [Access.repository(f"acme/app-{number}", "pull") for number in range(100)]
    fits = fitting(asked, Bearer("alice", "none", user))
    assert 20 < len(fits) < 100
    assert issue(fits, subject="alice", auth_type="none", user=user)
    with pytest.raises(TokenTooLong):
        issue(asked[: len(fits) + 1], subject="alice", auth_type="none", user=user)
    assert fitting([], Bearer()) == []


def test_a_key_that_is_gone_or_wrong_is_said(pair: Pair) -> None:
    pair.key.unlink()
    with pytest.raises(OSError):  # noqa: PT011
        issue([])
    pair.key.write_bytes(keys.generate()[0])
    with pytest.raises(keys.UnusableKey):
        issue([])
