"""Berth's registry with a token server that is not Berth's: its certificates are all that
is known.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests import authorities
from tests.authorities import Issued
from tests.e2e import images, token_server
from tests.e2e.clients import Docker, Refused, Skopeo
from tests.e2e.installation import Installation
from tests.e2e.token_server import ISSUER, PASSWORD, USERNAME, TokenServer, signer
from tokens import keys

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("containers")]

SCOPE = "repository:alice/app:pull,push"


@dataclass(frozen=True)
class Trusted:
    """What is behind the certificates in the registry's bundle."""

    ec: Issued
    rsa: Issued
    authority: Issued
    between: Issued
    leaf: Issued


@pytest.fixture(scope="module")
def trusted() -> Trusted:
    authority = authorities.issue("an authority", authority=True)
    between = authorities.issue("between", authority, authority=True, signs=True)
    return Trusted(
        ec=authorities.issue("an EC key", constraints=False),
        rsa=authorities.issue("an RSA key", key=rsa.generate_private_key(65537, 2048)),
        authority=authority,
        between=between,
        leaf=authorities.issue("of the token server", between),
    )


@pytest.fixture(scope="module")
def server() -> Iterator[TokenServer]:
    with token_server.running() as found:
        yield found


@pytest.fixture(scope="module")
def berth(
    tmp_path_factory: pytest.TempPathFactory, server: TokenServer, trusted: Trusted
) -> Iterator[Installation]:
    """A registry and nothing else: no key, no people, no pages."""
    folder = tmp_path_factory.mktemp("registry-alone")
    bundle = folder / "bundle.crt"
    bundle.write_bytes(trusted.ec.pem + trusted.rsa.pem + trusted.authority.pem)
    found = Installation(
        folder,
        BERTH__ROLES="registry",
        BERTH__PROCESSES="1",
        REGISTRY__TOKEN_REALM=server.url,
        REGISTRY__REGISTRY_ISSUER=ISSUER,
        REGISTRY__ROOTCERTBUNDLE=str(bundle),
    )
    found.start()
    yield found
    found.discard()


def _public(issued: Issued) -> Any:
    return issued.certificate.public_key()


Make = Callable[[Trusted], Callable[[dict[str, Any]], str]]
WAYS: dict[str, Make] = {
    "ES256, libtrust": lambda t: signer(t.ec.key, "ES256", kid=keys.libtrust_key_id(_public(t.ec))),
    "ES256, RFC 7638": lambda t: signer(t.ec.key, "ES256", kid=keys.thumbprint(_public(t.ec))),
    "RS256, libtrust": lambda t: signer(
        t.rsa.key, "RS256", kid=keys.libtrust_key_id(_public(t.rsa))
    ),
    "RS384, RFC 7638": lambda t: signer(t.rsa.key, "RS384", kid=keys.thumbprint(_public(t.rsa))),
    "RS512, RFC 7638": lambda t: signer(t.rsa.key, "RS512", kid=keys.thumbprint(_public(t.rsa))),
    "RS256, x5c": lambda t: signer(t.rsa.key, "RS256", x5c=[t.rsa.x5c]),
    "ES256, x5c with a chain": lambda t: signer(
        t.leaf.key, "ES256", kid="their own name", x5c=[t.leaf.x5c, t.between.x5c]
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_skopeo(
    berth: Installation, server: TokenServer, trusted: Trusted, skopeo: Skopeo,
    tmp_path: Path, way: str,
) -> None:  # fmt: skip
    server.sign = WAYS[way](trusted)
    skopeo.login(berth.registry, USERNAME, PASSWORD)
    there = images.write_layout(tmp_path / "there", images.tiny(way))
    name = f"docker://{berth.registry}/alice/{way.partition(',')[0].lower()}:1"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{there}", name)
    skopeo("copy", "--src-tls-verify=false", name, f"oci:{tmp_path}/back")
    assert images.layout_blobs(tmp_path / "back") == images.layout_blobs(there)
    # What the token server does not grant is refused by the registry.
    other = f"docker://{berth.registry}/bob/app:1"
    with pytest.raises(Refused):
        skopeo("copy", "--dest-tls-verify=false", f"oci:{there}", other)


@pytest.mark.parametrize("way", ["ES256, x5c with a chain", "RS512, RFC 7638"])
def test_docker(
    berth: Installation, server: TokenServer, trusted: Trusted, docker: Docker, way: str
) -> None:
    server.sign = WAYS[way](trusted)
    docker.login(berth.registry, USERNAME, PASSWORD)
    with pytest.raises(Refused):
        docker.login(berth.registry, USERNAME, "wrong")
    docker.login(berth.registry, USERNAME, PASSWORD)
    image, name = images.tiny(f"docker {way}"), f"{berth.registry}/alice/by-docker:1"
    docker.load(image, name)
    docker("push", name)
    docker.remove_images()
    docker("pull", name)
    assert docker.inspect(name)["Id"] == image.id


def ask(berth: Installation, token: str) -> httpx.Response:
    return httpx.post(
        f"{berth.registry_url}/v2/alice/app/blobs/uploads/",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )


def assert_unauthorized(berth: Installation, server: TokenServer, token: str, error: str) -> None:
    """In the protocol's form: the challenge names the foreign token server, and nothing the
    token.
    """
    answer = ask(berth, token)
    assert answer.status_code == 401
    assert [entry["code"] for entry in answer.json()["errors"]] == ["UNAUTHORIZED"]
    realm = server.url
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="{realm}",service="container_registry",'
        f'scope="repository:alice/app:pull,push",error="{error}"'
    )
    assert token.split(".")[1] not in answer.text + berth.log()


def test_good_tokens_are_good(berth: Installation, server: TokenServer, trusted: Trusted) -> None:
    """What the refusals below differ from."""
    for make in WAYS.values():
        server.sign = make(trusted)
        assert ask(berth, server.token(SCOPE)).status_code == 202


def _keyed(claims: dict[str, Any], secret: bytes, **headers: Any) -> str:
    """A keyed hash, which PyJWT refuses to make with a public key."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", **headers}, claims)]
    text = ".".join(jwt.utils.base64url_encode(part).decode() for part in parts)
    signature = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{jwt.utils.base64url_encode(signature).decode()}"


def _unsigned(claims: dict[str, Any], **headers: Any) -> str:
    return jwt.encode(claims, None, algorithm="none", headers=headers)


def _jwk(issued: Issued) -> Any:
    return json.loads(jwt.algorithms.ECAlgorithm.to_jwk(_public(issued)))


def _der(issued: Issued) -> bytes:
    return _public(issued).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


FORGED: dict[str, Callable[[Trusted, Issued, dict[str, Any]], str]] = {
    "a wrong key with a known kid": lambda t, evil, c: signer(
        evil.key, "ES256", kid=keys.thumbprint(_public(t.ec))
    )(c),
    "a wrong key with the right certificate": lambda t, evil, c: signer(
        evil.key, "ES256", x5c=[t.ec.x5c]
    )(c),
    "an unknown kid": lambda t, evil, c: signer(t.ec.key, "ES256", kid="unknown")(c),
    "no kid": lambda t, evil, c: signer(t.ec.key, "ES256")(c),
    "its own certificate": lambda t, evil, c: signer(evil.key, "ES256", x5c=[evil.x5c])(c),
    "a chain that ends elsewhere": lambda t, evil, c: signer(
        evil.key, "ES256", x5c=[evil.x5c, t.between.x5c, t.authority.x5c]
    )(c),
    "a chain with a piece missing": lambda t, evil, c: signer(
        t.leaf.key, "ES256", x5c=[t.leaf.x5c]
    )(c),
    "a key in the header": lambda t, evil, c: signer(
        evil.key, "ES256", kid=keys.thumbprint(_public(t.ec)), jwk=_jwk(evil)
    )(c),
    "the address of a key": lambda t, evil, c: signer(
        evil.key, "ES256", jku="http://127.0.0.1:1/jwks", x5u="http://127.0.0.1:1/x5u"
    )(c),
    "HS256 with the certificate": lambda t, evil, c: _keyed(
        c, t.ec.pem, kid=keys.thumbprint(_public(t.ec))
    ),
    "HS256 with the public key": lambda t, evil, c: _keyed(
        c, _der(t.rsa), kid=keys.libtrust_key_id(_public(t.rsa))
    ),
    "none": lambda t, evil, c: _unsigned(c, kid=keys.thumbprint(_public(t.ec))),
    "none with the certificate": lambda t, evil, c: _unsigned(c, x5c=[t.ec.x5c]),
    "an algorithm of another key": lambda t, evil, c: signer(
        t.rsa.key, "RS256", kid=keys.thumbprint(_public(t.ec))
    )(c),
    "another curve": lambda t, evil, c: signer(
        ec.generate_private_key(ec.SECP384R1()), "ES384", kid=keys.thumbprint(_public(t.ec))
    )(c),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged(berth: Installation, server: TokenServer, trusted: Trusted, what: str) -> None:
    evil = authorities.issue("evil", authority=True)
    token = FORGED[what](trusted, evil, server.claims(SCOPE))
    assert_unauthorized(berth, server, token, "invalid_token")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("exp", -120), ("nbf", 120), ("exp", None), ("nbf", None),
        ("aud", "another"), ("aud", None), ("iss", "another"), ("iss", None),
        ("access", "pull"),
    ],
)  # fmt: skip
def test_claims_that_do_not_hold(
    berth: Installation, server: TokenServer, trusted: Trusted, name: str, value: Any
) -> None:
    server.sign = WAYS["ES256, x5c with a chain"](trusted)
    changed = int(time.time()) + value if isinstance(value, int) else value
    assert_unauthorized(berth, server, server.token(SCOPE, **{name: changed}), "invalid_token")


def test_too_little(berth: Installation, server: TokenServer, trusted: Trusted) -> None:
    server.sign = WAYS["ES256, libtrust"](trusted)
    for scope in ("repository:alice/app:pull", "repository:alice/other:pull,push", ""):
        assert_unauthorized(berth, server, server.token(scope), "insufficient_scope")
