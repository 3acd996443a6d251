"""``/jwt/auth``: docker's GET and OAuth2's POST, and everything that is refused."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.parse import quote, urlencode

import jwt
import pytest
from django.test import Client

from tests import people
from tests.refusals import assert_refused
from tests.tokens.conftest import FakeAuthorizer, Pair
from tokens import issue as issuing
from tokens import keys
from tokens.access import Access
from tokens.authorizer import (
    AccessForbidden,
    InsufficientCredentials,
    RegistryDisabled,
)
from tokens.issue import MAX_TOKEN_LENGTH
from tokens.limiter import TooManyRequests
from tokens.verify import Claims, verify

pytestmark = pytest.mark.engineless

AUTH = "/jwt/auth?service=container_registry"
FORM = "application/x-www-form-urlencoded"
PULL = "repository:acme/app:pull"


@pytest.fixture(autouse=True)
def _token_server(settings: Any) -> None:
    """Its address alone: neither pages nor a database."""
    settings.ROOT_URLCONF = "tokens.urls"
    settings.MIDDLEWARE = ["gitlab.server.middleware.RequestIdMiddleware"]


@pytest.fixture
def client() -> Client:
    """Somebody with docker."""
    return Client()


def basic(name: str = "alice", password: str = "pa:ss wörd") -> str:
    return people.basic(name, password)


def ask(client: Client, *scopes: str, authorization: str | None = None, **more: str) -> Any:
    query = urlencode([*(("scope", scope) for scope in scopes), *more.items()])
    extra = {"HTTP_AUTHORIZATION": authorization} if authorization is not None else {}
    return client.get(f"{AUTH}&{query}", **extra)


def claims_of(response: Any) -> Claims:
    assert response.status_code == 200, response.content
    return verify(response.json()["token"])


def test_a_token_ends_with_the_right_to_it(client: Client, authorizer: FakeAuthorizer) -> None:
    authorizer.rights["acme/app"] = {"pull"}
    authorizer.end = time.time() + 200
    body = ask(client, PULL, authorization=basic()).json()
    assert 190 <= body["expires_in"] <= 200
    assert verify(body["token"]).grants(Access.parse(PULL))


def test_it_works(client: Client, authorizer: FakeAuthorizer) -> None:
    authorizer.rights["acme/app"] = {"pull", "push"}
    response = ask(client, "repository:acme/app:pull,push", authorization=basic())
    body = response.json()
    assert set(body) == {"token", "access_token", "expires_in", "issued_at"}
    assert body["token"] == body["access_token"]
    assert body["expires_in"] == 600
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["issued_at"])
    assert response.headers["Cache-Control"] == "no-store"
    assert "Authorization" in response.headers["Vary"]
    found = claims_of(response)
    assert found.subject == "alice"
    assert found.access == (Access.repository("acme/app", "pull", "push"),)
    assert authorizer.recorded == [[Access.repository("acme/app", "pull", "push")]]


def test_a_login_asks_for_nothing(client: Client, authorizer: FakeAuthorizer) -> None:
    """docker login: a token without access, and never a refresh token."""
    response = ask(
        client, authorization=basic(), account="alice", client_id="docker", offline_token="true"
    )
    assert claims_of(response).access == ()
    assert "refresh_token" not in response.json()


def test_what_is_not_granted_is_left_out(client: Client, authorizer: FakeAuthorizer) -> None:
    authorizer.rights = {"acme/app": {"pull"}, "acme/other": set()}
    response = ask(
        client,
        "repository:acme/app:pull,push",
        "repository:acme/other:pull",
        "repository:acme/none:pull",
        authorization=basic(),
    )
    assert claims_of(response).access == (Access.repository("acme/app", "pull"),)


def test_several_scopes_are_several_entries(client: Client, authorizer: FakeAuthorizer) -> None:
    authorizer.rights = {"a": {"pull"}, "b": {"pull"}, "c": {"pull", "push"}}
    response = ask(
        client,
        "repository:a:pull repository:b:pull",
        "repository:c:pull",
        "repository:c:push",
        authorization=basic(),
    )
    assert claims_of(response).access == (
        Access.repository("a", "pull"),
        Access.repository("b", "pull"),
        Access.repository("c", "pull", "push"),
    )


def test_the_authorizer_sees_well_formed_scopes_only(
    client: Client, authorizer: FakeAuthorizer
) -> None:
    response = ask(
        client,
        "repository:ACME/app:pull",
        "repository:acme/*:pull",
        "repository:acme/../x:pull",
        "repository:acme/app\n:pull",
        "repository:acme/app\0:pull",
        "repository:acme/app:PULL",
        "repository:host:5000/acme/app:pull",
        "repository:acme/app:",
        "repository:acme/app:pull\r\nX-Evil: 1",
        PULL,
        authorization=basic(),
    )
    # The line break ends no header and begins no scope: it is malformed.
    assert response.status_code in (200, 400)
    if response.status_code == 200:
        assert authorizer.seen == [("alice", [Access.parse(PULL)])]
    assert "X-Evil" not in response.headers


def test_post_with_a_password(client: Client, authorizer: FakeAuthorizer) -> None:
    authorizer.rights["acme/app"] = {"pull"}
    form = {
        "grant_type": "password",
        "service": "container_registry",
        "client_id": "docker",
        "username": "alice",
        "password": "pa:ss wörd",
        "scope": PULL,
        "access_type": "offline",
    }
    response = client.post("/jwt/auth", urlencode(form), content_type=FORM)
    assert claims_of(response).access == (Access.parse(PULL),)
    assert "refresh_token" not in response.json()


def test_post_with_basic(client: Client, authorizer: FakeAuthorizer) -> None:
    response = client.post(
        "/jwt/auth",
        urlencode({"service": "container_registry"}),
        content_type=FORM,
        HTTP_AUTHORIZATION=basic(),
    )
    assert claims_of(response).subject == "alice"


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "refresh_token", "refresh_token": "x"},
        {"grant_type": "authorization_code"},
        {},
    ],
)
def test_post_with_another_grant_is_refused(
    client: Client, authorizer: FakeAuthorizer, form: dict[str, str]
) -> None:
    body = urlencode({"service": "container_registry", **form})
    response = client.post("/jwt/auth", body, content_type=FORM)
    assert_refused(response, "UNSUPPORTED", 400)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--x--", "multipart/form-data; boundary=x"),
        (b"{}", "application/json"),
        (b"", "text/plain"),
        (b"service=container_registry&username=\xff", FORM),
        (b"service=container_registry&" + b"a&" * 3000, FORM),
    ],
)
def test_post_with_another_body_is_refused(
    client: Client, authorizer: FakeAuthorizer, body: bytes, content_type: str
) -> None:
    response = client.post("/jwt/auth", body, content_type=content_type)
    assert_refused(response, "UNSUPPORTED", 400)


def test_post_with_a_huge_form_is_refused(client: Client, authorizer: FakeAuthorizer) -> None:
    response = client.post("/jwt/auth", b"x" * 70_000, content_type=FORM)
    assert_refused(response, "UNSUPPORTED", 413)


# Anonymous


@pytest.mark.parametrize("authorization", [None, "Basic Og=="])
def test_an_anonymous_pull(
    client: Client, authorizer: FakeAuthorizer, authorization: str | None
) -> None:
    authorizer.rights["acme/app"] = {"pull"}
    response = ask(client, "repository:acme/app:pull,push", authorization=authorization)
    found = claims_of(response)
    assert found.subject == ""
    assert found.access == (Access.parse(PULL),)
    assert authorizer.seen[0][0] is None


@pytest.mark.parametrize(
    "scopes", [[], [PULL], ["repository:acme/none:pull"], ["registry:catalog:*"]]
)
def test_anonymous_callers_who_get_nothing_are_refused_alike(
    client: Client, authorizer: FakeAuthorizer, scopes: list[str]
) -> None:
    response = ask(client, *scopes)
    assert assert_refused(response, "DENIED", 403)["message"] == "access forbidden"
    assert authorizer.recorded == []


def test_cookies_count_for_nothing(client: Client, authorizer: FakeAuthorizer) -> None:
    client.cookies["sessionid"] = "x"
    assert_refused(ask(client, PULL), "DENIED", 403)


# Refusals


@pytest.mark.parametrize(
    "authorization",
    [
        basic("alice", "wrong"), basic("nobody", "x"), basic("alice", ""), basic("", "x"),
        basic("alice", "x" * 5000), basic("alice", "a\0b"), basic("al\0ice", "x"),
        "Basic", "Basic ", "Basic !!!!", "Basic //46//4=", "Basic YWxpY2U=", "Bearer x", "x",
        "Digest x", "Basic =", "Basic " + "A" * 5000,
    ],
)  # fmt: skip
def test_wrong_credentials_are_refused_alike(
    client: Client, authorizer: FakeAuthorizer, authorization: str
) -> None:
    response = ask(client, PULL, authorization=authorization)
    error = assert_refused(response, "UNAUTHORIZED", 401)
    reference = ask(client, PULL, authorization=basic("alice", "wrong"))
    assert error == reference.json()["errors"][0]
    assert response.headers["WWW-Authenticate"] == reference.headers["WWW-Authenticate"]
    assert authorizer.seen == []


def test_a_password_in_post_that_is_wrong(client: Client, authorizer: FakeAuthorizer) -> None:
    form = {"grant_type": "password", "service": "container_registry", "username": "alice"}
    for password in ("wrong", "", "x" * 5000, "\0"):
        body = urlencode({**form, "password": password})
        response = client.post("/jwt/auth", body, content_type=FORM)
        assert_refused(response, "UNAUTHORIZED", 401)


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (InsufficientCredentials(), 403, "DENIED"),
        (AccessForbidden("the project is full"), 403, "DENIED"),
        (RegistryDisabled(), 404, "UNAVAILABLE"),
        (TooManyRequests(17), 429, "TOOMANYREQUESTS"),
    ],
)
def test_other_refusals(
    client: Client, authorizer: FakeAuthorizer, refusal: Exception, status: int, code: str
) -> None:
    authorizer.refusal = refusal
    response = ask(client, PULL, authorization=basic())
    assert_refused(response, code, status)
    if status == 429:
        assert response.headers["Retry-After"] == "17"


@pytest.mark.parametrize(
    "query", ["", "?service=", "?service=unknown", "?service=container_registry%00"]
)
def test_another_service_is_unknown(client: Client, authorizer: FakeAuthorizer, query: str) -> None:
    response = client.get(f"/jwt/auth{query}", HTTP_AUTHORIZATION=basic())
    assert_refused(response, "UNSUPPORTED", 404)
    assert authorizer.addresses == []


@pytest.mark.parametrize("scope", ["x", "repository", "repository:a", "::", "repository::pull"])
def test_a_malformed_scope_is_refused(
    client: Client, authorizer: FakeAuthorizer, scope: str
) -> None:
    assert_refused(ask(client, PULL, scope, authorization=basic()), "UNSUPPORTED", 400)


@pytest.mark.parametrize("form", ["repeated", "blanks"])
@pytest.mark.parametrize("count", [20, 21, 60, 500])
def test_scopes_past_the_limit_are_not_granted(
    client: Client, authorizer: FakeAuthorizer, form: str, count: int
) -> None:
    """FL-04: the 21st scope costs itself and not the login."""
    names = [f"acme/p{number}" for number in range(count)]
    authorizer.rights = {name: {"pull"} for name in names}
    scopes = [f"repository:{name}:pull" for name in names]
    asked = scopes if form == "repeated" else [" ".join(scopes)]
    found = claims_of(ask(client, *asked, authorization=basic()))
    assert [access.name for access in found.access] == names[:20]
    ((_, seen),) = authorizer.seen
    assert len(seen) == 20


def test_scopes_for_one_name_are_one(client: Client, authorizer: FakeAuthorizer) -> None:
    authorizer.rights = {"acme/app": {"pull", "push"}, "acme/base": {"pull"}}
    scopes = ["repository:acme/app:pull", "repository:acme/app:push"] * 30
    found = claims_of(ask(client, *scopes, "repository:acme/base:pull", authorization=basic()))
    assert [access.name for access in found.access] == ["acme/app", "acme/base"]


@pytest.mark.parametrize("rsa_bits", [None, 4096])
@pytest.mark.parametrize("length", [10, 100, 240])
def test_scopes_that_do_not_fit_are_not_granted(
    client: Client,
    authorizer: FakeAuthorizer,
    settings: Any,
    pair: Pair,
    length: int,
    rsa_bits: int | None,
) -> None:
    """FL-04. What is left out is not recorded either: it made projects that no token was for."""
    if rsa_bits:
        key, certificate = keys.generate(rsa_bits=rsa_bits)
        pair.key.write_bytes(key)
        pair.certificate.write_bytes(certificate)
        issuing._load.cache_clear()
    settings.TOKENS_MAX_SCOPES = 100
    names = [f"{number:03}{'a' * length}" for number in range(100)]
    authorizer.rights = {name: {"pull", "push"} for name in names}
    scopes = [f"repository:{name}:pull,push" for name in names]
    response = ask(client, *scopes, authorization=basic())
    granted = list(claims_of(response).access)
    assert [access.name for access in granted] == names[: len(granted)]
    assert authorizer.recorded == [granted]
    text = response.json()["token"]
    entry = len(json.dumps(granted[0].as_claim(), separators=(",", ":"))) + 1
    assert MAX_TOKEN_LENGTH - 2 * entry < len(text) <= MAX_TOKEN_LENGTH
    assert "x5c" not in jwt.get_unverified_header(text)


def test_a_grant_that_grew_while_it_was_recorded(
    client: Client, authorizer: FakeAuthorizer, settings: Any
) -> None:
    settings.TOKENS_MAX_SCOPES = 100
    names = [f"{number:03}{'a' * 60}" for number in range(30)]
    authorizer.rights = {name: {"pull"} for name in names}
    authorizer.meta = {"project_path": "b" * 60}
    scopes = [f"repository:{name}:pull" for name in names]
    response = ask(client, *scopes, authorization=basic())
    granted = claims_of(response).access
    assert 0 < len(granted) < len(authorizer.recorded[0])


@pytest.mark.parametrize("path", ["/jwt/auth", "/jwt/auth/"])
def test_a_slash_at_the_end(client: Client, authorizer: FakeAuthorizer, path: str) -> None:
    """FL-05: scripts and realms that are written by hand."""
    authorizer.rights["acme/app"] = {"pull"}
    query = f"service=container_registry&scope={PULL}"
    assert claims_of(client.get(f"{path}?{query}", HTTP_AUTHORIZATION=basic())).access
    fields = {"grant_type": "password", "service": "container_registry", "username": "alice"}
    body = urlencode({**fields, "password": "pa:ss wörd"})
    assert claims_of(client.post(path, body, content_type=FORM)).subject == "alice"
    assert_refused(client.post(path, "x", content_type="text/plain"), "UNSUPPORTED", 400)
    assert_refused(client.put(path), "UNSUPPORTED", 405)


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_other_methods_are_refused(client: Client, authorizer: FakeAuthorizer, method: str) -> None:
    response = client.generic(method, AUTH, HTTP_AUTHORIZATION=basic())
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, POST"
    if method != "HEAD":
        assert_refused(response, "UNSUPPORTED", 405)
    assert authorizer.addresses == []


def test_too_many_parameters_are_refused(client: Client, authorizer: FakeAuthorizer) -> None:
    response = client.get(AUTH + "&a" * 3000, HTTP_AUTHORIZATION=basic())
    assert_refused(response, "UNSUPPORTED", 400)


def test_the_address_is_the_peers(client: Client, authorizer: FakeAuthorizer) -> None:
    """What a header claims is no address, unless the server in front is trusted to say so."""
    client.get(
        AUTH,
        HTTP_AUTHORIZATION=basic(),
        HTTP_X_FORWARDED_FOR="203.0.113.1",
        REMOTE_ADDR="198.51.100.7",
    )
    assert authorizer.addresses == ["198.51.100.7"]


def test_the_account_parameter_means_nothing(client: Client, authorizer: FakeAuthorizer) -> None:
    response = ask(client, authorization=basic(), account="root")
    assert claims_of(response).subject == "alice"


def test_nothing_is_logged_of_credentials(
    client: Client, authorizer: FakeAuthorizer, caplog: pytest.LogCaptureFixture
) -> None:
    ask(client, PULL, authorization=basic())
    ask(client, PULL, authorization=basic("alice", "a-wrong-one"))
    assert "pa:ss" not in caplog.text
    assert "a-wrong-one" not in caplog.text
    assert basic()[6:] not in caplog.text


def test_a_plus_in_a_password_travels(client: Client, authorizer: FakeAuthorizer) -> None:
    authorizer.passwords["alice"] = "a+b c%20d"
    assert ask(client, authorization=basic("alice", "a+b c%20d")).status_code == 200
    body = "grant_type=password&service=container_registry&username=alice&password="
    response = client.post("/jwt/auth", body + quote("a+b c%20d"), content_type=FORM)
    assert claims_of(response).subject == "alice"
