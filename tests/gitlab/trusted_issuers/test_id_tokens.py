"""What an ID token has to be and to say, at the token endpoint."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from django.test import Client

from gitlab.trusted_issuers.models import IdTokenUse, TrustedIssuer
from tests.people import basic
from tests.played_issuer import PlayedIssuer, private_key, public_jwk
from tests.refusals import DENIAL, assert_refused

pytestmark = pytest.mark.django_db
SCOPE = "repository:acme/app/web:pull,push"


def ask(trust: TrustedIssuer | str, text: str, *scopes: str, **environment: Any) -> Any:
    name = trust if isinstance(trust, str) else trust.username
    return Client().get(
        "/jwt/auth",
        {"service": "container_registry", "scope": scopes or [SCOPE]},
        HTTP_AUTHORIZATION=basic(name, text),
        **environment,
    )


@pytest.fixture
def trust(app: Any, make_trust: Any) -> TrustedIssuer:
    return make_trust(app)


@pytest.fixture
def refused(trust: TrustedIssuer, caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    """``refused(text, says)``: as every wrong password is, with the reason in the log alone."""

    def check(text: str, says: str) -> None:
        caplog.clear()
        with caplog.at_level(logging.WARNING, "gitlab.trusted_issuers"):
            answer = ask(trust, text)
        assert_refused(answer, "UNAUTHORIZED", 401)
        wrong = ask("nobody", "wrong")
        said = [DENIAL.sub("", each.content.decode()) for each in (answer, wrong)]
        assert said[0] == said[1]
        assert says in caplog.text
        assert text not in caplog.text
        assert not IdTokenUse.objects.exists()

    return check


@pytest.mark.parametrize(
    "algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
)
def test_algorithms(
    algorithm: str, trust: TrustedIssuer, issuer: PlayedIssuer, id_token: Any
) -> None:
    issuer.keys = [public_jwk(algorithm)]
    assert ask(trust, id_token(algorithm=algorithm)).status_code == 200


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "none", "typ": "JWT", **header}, claims)
    ]
    return f"{parts[0]}.{parts[1]}."


def claims_of(text: str) -> dict[str, Any]:
    return jwt.decode(text, options={"verify_signature": False})


def test_without_a_signature(refused: Any, id_token: Any) -> None:
    said = claims_of(id_token())
    for name in ("none", "None", "NONE", "", "nOnE"):
        refused(unsigned(said, alg=name), "its algorithm")
    refused(unsigned(said, alg="ES256", kid="ES256-0"), "its signature is wrong")
    refused(id_token().rpartition(".")[0] + ".", "its signature is wrong")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_secret(
    algorithm: str, refused: Any, issuer: PlayedIssuer, id_token: Any
) -> None:
    issuer.keys = [public_jwk("RS256")]
    public = private_key("RS256").public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for secret in (pem, pem.strip(), json.dumps(issuer.keys[0]).encode()):
        text = _hmac(claims_of(id_token()), algorithm, secret, kid="RS256-0")
        refused(text, "its algorithm")
    assert issuer.asked == []


def _hmac(claims: dict[str, Any], algorithm: str, secret: bytes, **header: Any) -> str:
    """Without PyJWT, which refuses to sign with a public key."""
    import hashlib
    import hmac

    head, body, _ = unsigned(claims, alg=algorithm, **header).split(".")
    digest = getattr(hashlib, f"sha{algorithm[2:]}")
    signature = hmac.new(secret, f"{head}.{body}".encode(), digest).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_another_key(refused: Any, id_token: Any, issuer: PlayedIssuer) -> None:
    refused(id_token(number=1, headers={"kid": "ES256-0"}), "its signature is wrong")
    refused(id_token(number=1), "no such key")
    issuer.keys = [public_jwk(), public_jwk(number=1)]
    refused(id_token(headers={"kid": "ES256-1"}), "no such key")


@pytest.mark.parametrize(
    "kid", ["../../../../etc/passwd", "' OR 1=1 --", "http://127.0.0.1/", "\0", "", "x" * 256]
)
def test_an_id_of_a_key_leads_nowhere(
    kid: str, refused: Any, id_token: Any, issuer: PlayedIssuer
) -> None:
    refused(id_token(headers={"kid": kid}), "key")
    assert set(issuer.asked) <= {"/keys", "/.well-known/openid-configuration"}


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "x5c"])
def test_keys_that_come_along_count_nothing(header: str, refused: Any, id_token: Any) -> None:
    own = public_jwk(number=1, kid="ES256-0")
    value = {"jwk": own, "x5c": [own["x"]]}.get(header, "http://127.0.0.1:1/keys")
    text = id_token(number=1, headers={"kid": "ES256-0", header: value})
    refused(text, "its signature is wrong")


def test_headers_that_ask_for_more(refused: Any, id_token: Any) -> None:
    refused(id_token(headers={"typ": "at+jwt"}), "its header asks")
    refused(id_token(headers={"crit": ["exp"], "exp": 1}), "")
    refused(id_token(headers={"typ": 5}), "")


@pytest.mark.parametrize(
    "text",
    ["ey", "ey..", "eyJ.eyJ.x", "ey.ey.ey.ey.ey", "e30.e30.e30"],
)
def test_what_is_no_token(text: str, refused: Any) -> None:
    refused(text, "no signed JWT")


def test_what_nests(refused: Any, issuer: PlayedIssuer) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 1400).decode().rstrip("=")
    refused(f"eyJhbGciOiJFUzI1NiJ9.{deep}.x", "no signed JWT")


CLAIMS: dict[str, tuple[dict[str, Any], str]] = {
    "of another issuer": ({"iss": "https://ci.example.com"}, "of another issuer"),
    "of no issuer": ({"iss": None}, "of another issuer"),
    "for another": ({"aud": "https://other.example.com"}, "it is not for"),
    "for others too": ({"aud": ["http://localhost", "other"]}, "it is not for"),
    "for nobody": ({"aud": None}, "it is not for"),
    "of nobody": ({"sub": None}, "sub is missing"),
    "of an empty subject": ({"sub": ""}, "sub is missing"),
    "expired": ({"iat": -400, "exp": -31}, "it has expired"),
    "without an end": ({"exp": None}, "exp is missing"),
    "without a beginning": ({"iat": None}, "iat is missing"),
    "later": ({"iat": 60, "exp": 300}, "it does not hold yet"),
    "not before": ({"nbf": 60}, "it does not hold yet"),
    "for longer than a day": ({"iat": -10, "exp": 86_401}, "longer than a day"),
    "backwards": ({"iat": 20, "exp": 10}, "no time at all"),
    "an end that is a text": ({"exp": "tomorrow"}, "exp is"),
    "an end that is endless": ({"exp": float("inf")}, "exp is"),
    "an end that is none": ({"exp": float("nan")}, "exp is"),
    "an end that is true": ({"exp": True}, "exp is"),
    "a huge end": ({"exp": 10**300}, "exp is"),
    "another repository": ({"repository": "octo/other"}, "condition on repository"),
    "no repository": ({"repository": None}, "condition on repository"),
    "repositories that are none": ({"repository": {"octo/app": 1}}, "condition on repository"),
}


@pytest.mark.parametrize(("claims", "says"), CLAIMS.values(), ids=CLAIMS)
def test_claims(claims: dict[str, Any], says: str, refused: Any, id_token: Any) -> None:
    now = int(time.time())
    moved = {
        name: value + now
        if name in ("exp", "iat", "nbf") and type(value) is int and abs(value) < 10**6
        else value
        for name, value in claims.items()
    }
    refused(id_token(**moved), says)


def test_times_may_differ_a_little(trust: TrustedIssuer, id_token: Any) -> None:
    now = time.time()
    for claims in (
        {"exp": now - 10.5, "iat": now - 300},
        {"iat": int(now) + 20, "nbf": int(now) + 20},
        {"nbf": None},
    ):
        assert ask(trust, id_token(**claims)).status_code == 200


def test_the_audience_may_be_a_list_of_one(trust: TrustedIssuer, id_token: Any, app: Any,
                                           make_trust: Any, settings: Any) -> None:  # fmt: skip
    assert ask(trust, id_token(aud=[settings.EXTERNAL_URL])).status_code == 200
    other = make_trust(app, audience="berth")
    assert ask(other, id_token(aud="berth")).status_code == 200
    assert_refused(ask(other, id_token()), "UNAUTHORIZED", 401)


def test_a_trust_that_is_not_there_or_another(
    refused: Any, trust: TrustedIssuer, id_token: Any
) -> None:
    for name in (
        f"gitlab+trusted-issuer-{trust.pk + 1}",
        "gitlab+trusted-issuer-",
        "gitlab+trusted-issuer-999999999999999999",
        "gitlab+trusted-issuer-9999999999999999999",
        f"gitlab+trusted-issuer-{trust.pk} ",
        f"GitLab+trusted-issuer-{trust.pk}",
        "alice",
    ):
        assert_refused(ask(name, id_token()), "UNAUTHORIZED", 401)


def test_an_issuer_that_is_gone(refused: Any, issuer: PlayedIssuer, id_token: Any) -> None:
    issuer.answers["/keys"] = lambda handler: handler.send_error(500)
    refused(id_token(), "the keys of its issuer are not to be had")


def test_who_guesses_waits(
    trust: TrustedIssuer, id_token: Any, settings: Any, issuer: PlayedIssuer
) -> None:
    settings.FAILED_LOGINS_PER_ADDRESS = 2
    # What its issuer has signed is no guess.
    for number in range(4):
        assert ask(trust, id_token(repository=f"octo/{number}")).status_code == 401
    for number in range(2):
        forged = id_token(number=1, headers={"kid": "ES256-0"}, jti=str(number))
        assert ask(trust, forged).status_code == 401
    forged = id_token(number=1, headers={"kid": "ES256-0"}, jti="more")
    assert_refused(ask(trust, forged), "TOOMANYREQUESTS", 429)
    assert ask(trust, id_token()).status_code == 200
    assert len(issuer.asked) == 2


def test_nobody_calls_an_issuer_that_the_trust_does_not_name(
    trust: TrustedIssuer, issuer: PlayedIssuer, id_token: Any
) -> None:
    with PlayedIssuer().serving() as other:
        text = id_token(iss=other.url)
        assert_refused(ask(trust, text), "UNAUTHORIZED", 401)
        assert other.asked == issuer.asked == []
