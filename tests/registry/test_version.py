"""end-1, and what lies beside the addresses that are there."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory
from django.urls import resolve

from registry import media_types
from registry.errors import Code
from registry.services import manifests
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint

pytestmark = pytest.mark.django_db(databases=["registry"])


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_it_works_with_any_valid_token(nobody: Person, path: str) -> None:
    for token in (mint("alice"), mint("")):
        response = nobody.send("GET", path, token=token)
        assert (response.status_code, response.json()) == (200, {})
        assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
        assert response.headers["gitlab-container-registry-database-enabled"] == "true"


def test_it_challenges_without_a_scope(nobody: Person, settings: Any) -> None:
    response = nobody.send("GET", "/v2/")
    assert_challenged(response, None)
    challenge = response.headers["WWW-Authenticate"]
    assert f'realm="{settings.REGISTRY_TOKEN_REALM}"' in challenge


def test_head_works(nobody: Person) -> None:
    response = nobody.send("HEAD", "/v2/", token=mint("alice"))
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "TRACE"])
def test_other_methods_are_refused(nobody: Person, method: str) -> None:
    response = nobody.send(method, "/v2/", token=mint("alice"))
    assert_refused(response, Code.UNSUPPORTED)
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_options_says_what_there_is(nobody: Person) -> None:
    response = nobody.send("OPTIONS", f"/v2/{APP}/manifests/v1")
    assert response.status_code == 200
    assert {"GET", "HEAD", "PUT", "DELETE"} <= set(response.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "path",
    ["/v2/acme/app", "/v2/acme/app/", "/v2/acme/app/tags", "/v2/acme/app/tags/list/",
     f"/v2/{APP}/manifests/", f"/v2/{APP}/blobs/", f"/v2/{APP}/tags/reference/v1", "/v2/x",
     "/v2/%0a", "/v2//", "/gitlab/v1/x"],
)  # fmt: skip
def test_other_addresses_are_unknown_in_the_protocols_form(nobody: Person, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        response = nobody.send(method, path)
        assert_refused(response, Code.UNSUPPORTED, 404)
        assert response.headers["Content-Length"] == str(len(response.content))


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        (f"/v2/{APP}/manifests/v1", ["POST", "PATCH"]),
        (f"/v2/{APP}/blobs/sha256:{'0' * 64}", ["POST", "PUT", "PATCH"]),
        (f"/v2/{APP}/blobs/uploads/", ["GET", "HEAD", "PUT", "PATCH", "DELETE"]),
        (f"/v2/{APP}/tags/list", ["POST", "PUT", "PATCH", "DELETE"]),
        (f"/v2/{APP}/referrers/sha256:{'0' * 64}", ["POST", "DELETE"]),
        ("/v2/_catalog", ["POST", "DELETE"]),
    ],
)
def test_methods_that_an_address_has_not_are_refused(
    alice: Person, path: str, methods: list[str]
) -> None:
    for method in methods:
        response = alice.send(method, path, X_HTTP_Method_Override="GET")
        assert response.status_code == 405
        assert response.headers["Allow"]
        if method != "HEAD":
            assert_refused(response, Code.UNSUPPORTED)


@pytest.mark.parametrize(
    ("path", "status"), [(f"/v2/{APP}/manifests/v1", 401), ("/v2/", 200), ("/v2/nothing", 404)]
)
def test_head_is_answered_without_content(path: str, status: int) -> None:
    """By the view itself: what is sent all the same, gunicorn drops with a warning in the log."""
    request = RequestFactory().head(
        path, HTTP_HOST="localhost", HTTP_AUTHORIZATION=f"Bearer {mint('alice')}"
    )
    matched = resolve(path)
    response = matched.func(request, *matched.args, **matched.kwargs)
    assert (response.status_code, response.content) == (status, b"")
    assert int(response.headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    "path", ["/", "/favicon.ico", "/jwt/x", "/v3/x", "/gitlab", "/-/x", "//", "/x%0a"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_what_is_not_the_registrys_is_no_page(nobody: Person, path: str, method: str) -> None:
    response = nobody.send(method, path)
    assert_refused(response, Code.UNSUPPORTED, 404)
    assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


def test_a_fault_of_ours_is_no_page(carol: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(manifests, "find", fail)
    carol.raise_request_exception = carol.compares = False
    response = carol.send("GET", f"/v2/{APP}/manifests/v1")
    assert_refused(response, Code.UNAVAILABLE, 500)
    assert b"ZeroDivisionError" not in response.content


@pytest.mark.parametrize("slashes", ["//", "///", "/" * 50])
def test_slashes_in_front_are_read_over(bob: Person, slashes: str) -> None:
    """Not by a redirect, which would lose a body."""
    payload = images.push_image(APP, "v1").payload

    def ask(method: str, path: str, body: bytes = b"", token: str | None = None) -> Any:
        # Where the test's client takes the path from; it would read a host in it.
        return bob.generic(
            method,
            path,
            body,
            content_type=media_types.OCI_MANIFEST,
            HTTP_AUTHORIZATION=f"Bearer {token or bob.token_for(path)}",
            PATH_INFO=slashes + path.lstrip("/"),
        )

    assert ask("GET", "/v2/", token=mint("bob")).status_code == 200
    assert ask("PUT", f"/v2/{APP}/manifests/v2", payload).status_code == 201
    assert ask("GET", f"/v2/{APP}/manifests/v2").content == payload
    refused = ask("GET", f"/v2/{APP}/manifests/none")
    assert_refused(refused, Code.MANIFEST_UNKNOWN)
    assert_refused(ask("GET", "/v2/nothing"), Code.UNSUPPORTED, 404)
