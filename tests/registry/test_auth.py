"""From the Authorization field to what may be done: challenges, wildcards, the cache of tokens."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import auth
from registry.auth import Caller
from registry.errors import Code, RegistryError
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, mint
from tokens import issue as issuing
from tokens import keys
from tokens.access import Access
from tokens.issue import issue
from tokens.verify import InvalidToken

pytestmark = pytest.mark.django_db(databases=["registry"])

LEEWAY = 10
"""Seconds: the setting's default."""

PULL = Access.repository(APP, "pull")


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> auth._VerifiedTokens:
    """A cache of this test's own."""
    fresh = auth._VerifiedTokens()
    monkeypatch.setattr(auth, "_verified", fresh)
    return fresh


@pytest.fixture
def other_keys(tmp_path: Path, settings: Any) -> Iterator[tuple[Path, Path]]:
    """A pair of this test's own, in force on both sides."""
    key, certificate = keys.generate()
    key_path, certificate_path = tmp_path / "key", tmp_path / "certificate"
    key_path.write_bytes(key)
    certificate_path.write_bytes(certificate)
    settings.TOKENS_KEY_PATH = key_path
    settings.TOKENS_CERTIFICATE_PATH = settings.TOKENS_CERTIFICATE_BUNDLE = certificate_path
    issuing._load.cache_clear()
    yield key_path, certificate_path
    issuing._load.cache_clear()


def test_a_bearer_with_padding_is_not_a_bearer(nobody: Person) -> None:
    text = issue([PULL], subject="alice").text
    assert nobody.get("/v2/", HTTP_AUTHORIZATION=f"Bearer {text}").status_code == 200
    for other in (f"{text}=", f"{text}==", f"{text}\t", f"{text},", f"{text} {text}"):
        response = nobody.get("/v2/", HTTP_AUTHORIZATION=f"Bearer {other}")
        assert_challenged(response, None, "invalid_token")


def test_the_challenge_names_what_is_needed(nobody: Person) -> None:
    images.push_image(APP, "v1")
    for method, path, actions in (
        ("GET", "manifests/v1", "pull"),
        ("HEAD", "manifests/v1", "pull"),
        ("PUT", "manifests/v1", "pull,push"),
        ("DELETE", "manifests/v1", "delete"),
        ("GET", "tags/list", "pull"),
        ("POST", "blobs/uploads/", "pull,push"),
        ("PATCH", "blobs/uploads/x", "pull,push"),
    ):
        response = nobody.send(method, f"/v2/{APP}/{path}")
        assert response.status_code == 401
        assert f'scope="repository:{APP}:{actions}"' in response.headers["WWW-Authenticate"]
        if method != "HEAD":
            error = assert_refused(response, Code.UNAUTHORIZED)
            assert error["detail"] == {
                "type": "repository",
                "name": APP,
                "actions": actions.split(","),
            }


@pytest.mark.parametrize(
    "field",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Basic Og==",
        "Bearer a.b.c",
        "x",
        "Bearer \xff",
        "Bearer=",
        "Bearer =",
    ],
)
def test_a_field_that_is_no_token_is_refused(nobody: Person, field: str) -> None:
    response = nobody.get("/v2/", HTTP_AUTHORIZATION=field)
    assert_challenged(response, None, "invalid_token")


def test_the_scheme_may_be_spelled_any_way(nobody: Person) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        response = nobody.get("/v2/", HTTP_AUTHORIZATION=f"{scheme} {mint('alice')}")
        assert response.status_code == 200


def test_cookies_count_for_nothing(nobody: Person) -> None:
    nobody.cookies["berth_session_8000"] = "x"
    assert_challenged(nobody.send("GET", "/v2/"), None)


def test_the_realm_does_not_follow_the_host(nobody: Person, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    response = nobody.get("/v2/", HTTP_HOST="evil.example", HTTP_X_FORWARDED_HOST="evil.example")
    assert "evil" not in str(response.headers)


@pytest.mark.parametrize(
    ("granted", "name", "covers"),
    [
        ("acme/*", "acme/app", True),
        ("acme/*", "acme/a/b/c", True),
        ("acme/*", "acme", False),
        ("acme/*", "acme-evil/x", False),
        ("acme/*", "acmeevil/x", False),
        ("acme*", "acme/app", False),
        ("*", "acme/app", False),
        ("/*", "acme/app", False),
        ("acme/a*", "acme/app", False),
        ("*/app", "acme/app", False),
        ("acme/app", "acme/app/sub", False),
        ("acme/ap", "acme/app", False),
        ("ACME/APP", "acme/app", False),
    ],
)
def test_wildcards(nobody: Person, granted: str, name: str, covers: bool) -> None:
    images.push_image(name, "v1")
    own = mint(None, Access.repository(granted, "pull", "delete"))
    path = f"/v2/{name}/manifests/v1"
    assert (nobody.send("GET", path, token=own).status_code == 200) == covers
    for subject in ("alice", ""):
        token = mint(subject, Access.repository(granted, "pull"))
        assert nobody.send("GET", path, token=token).status_code == 401


def test_a_token_for_deletion_does_not_push(nobody: Person) -> None:
    token = mint(None, Access.repository("acme/*", "pull", "delete"))
    response = nobody.send("POST", f"/v2/{APP}/blobs/uploads/", token=token)
    assert_challenged(response, f"repository:{APP}:pull,push", "insufficient_scope")


def test_why_stands_in_the_challenge_too(nobody: Person) -> None:
    """docker shows what it finds there, and its own words in place of the body's."""
    why = 'pushing to "acme" takes the rôle\\\r\nX: y, (denial ABC)'
    token = issue([], subject="x", lifetime=60, refusals={APP: why}).text
    response = nobody.send("POST", f"/v2/{APP}/blobs/uploads/", token=token)
    assert assert_refused(response, "UNAUTHORIZED", 401)["message"] == why
    said = "pushing to 'acme' takes the r'le'''X: y, (denial ABC)"
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.endswith(f',error="insufficient_scope",error_description="{said}"')
    response = nobody.send("POST", f"/v2/{APP}/other/blobs/uploads/", token=token)
    assert "error_description" not in response.headers["WWW-Authenticate"]


def test_actions_of_two_entries_do_not_add_up(nobody: Person) -> None:
    """One entry has to cover all of what a request needs."""
    token = mint("x", Access.repository(APP, "pull"), Access.repository(APP, "push"))
    response = nobody.send("POST", f"/v2/{APP}/blobs/uploads/", token=token)
    assert response.status_code == 401


# The cache


def test_a_token_is_verified_once(
    verified: auth._VerifiedTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(auth, "verify", lambda text: calls.append(text) or auth.Claims)
    monkeypatch.setattr(auth.Claims, "expires_at", time.time() + 100, raising=False)
    for _ in range(3):
        verified.find("x")
    assert calls == ["x"]


def test_a_refused_token_is_not_remembered(verified: auth._VerifiedTokens) -> None:
    for _ in range(2):
        with pytest.raises(InvalidToken):
            verified.find("x")
    assert not verified._entries


def test_a_token_ends_in_the_cache_too(
    verified: auth._VerifiedTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = issue([PULL], subject="alice", lifetime=60).text
    header = f"Bearer {text}"
    assert Caller(header).may(PULL)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 60 + LEEWAY - 2)
    assert Caller(header).may(PULL)
    monkeypatch.setattr(time, "time", lambda: now + 60 + LEEWAY + 1)
    assert not Caller(header).may(PULL)
    with pytest.raises(RegistryError) as refused:
        Caller(header).require(PULL)
    assert 'error="invalid_token"' in refused.value.headers["WWW-Authenticate"]


def test_the_cache_is_bounded(
    verified: auth._VerifiedTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "_CACHED_TOKENS", 3)
    texts = [issue([], subject=str(number)).text for number in range(6)]
    for text in texts:
        verified.find(text)
    assert list(verified._entries) == texts[3:]


def test_a_key_that_is_taken_away_counts_no_more(
    verified: auth._VerifiedTokens,
    other_keys: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also for tokens that have been verified and remembered."""
    _, certificate_path = other_keys
    header = f"Bearer {issue([PULL], subject='alice').text}"
    assert Caller(header).may(PULL)
    certificate_path.write_bytes(keys.generate()[1])
    os.utime(certificate_path, ns=(1, 1))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3)
    assert not Caller(header).may(PULL)


def test_a_token_that_was_verified_while_keys_changed_is_not_remembered(
    verified: auth._VerifiedTokens,
    other_keys: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The check was right when it began, and must not outlive the key."""
    text = issue([PULL], subject="alice").text
    real = auth.verify

    def slow(text: str) -> Any:
        found = real(text)
        other_keys[1].write_bytes(keys.generate()[1])
        os.utime(other_keys[1], ns=(2, 2))
        verified._forget_when_keys_change(time.time())
        return found

    verified._forget_when_keys_change(time.time())
    monkeypatch.setattr(auth, "verify", slow)
    verified.find(text)
    assert not verified._entries


def test_a_key_that_is_added_counts_at_once(
    verified: auth._VerifiedTokens, other_keys: tuple[Path, Path], settings: Any
) -> None:
    """Rotation: the bundle holds the old and the new certificate for a while."""
    key_path, certificate_path = other_keys
    old = f"Bearer {issue([PULL], subject='alice').text}"
    assert Caller(old).may(PULL)
    key, certificate = keys.generate()
    key_path.write_bytes(key)
    certificate_path.write_bytes(certificate_path.read_bytes() + certificate)
    issuing._load.cache_clear()
    new = f"Bearer {issue([PULL], subject='alice').text}"
    assert Caller(new).may(PULL)
    assert Caller(old).may(PULL)


def test_a_bundle_that_is_gone_is_no_stack_trace(
    verified: auth._VerifiedTokens, settings: Any, tmp_path: Path, nobody: Person
) -> None:
    """The operator's fault: 503 in the protocol's form, and the reason in the log."""
    token = mint("alice")
    settings.TOKENS_CERTIFICATE_BUNDLE = tmp_path / "none"
    response = nobody.send("GET", "/v2/", token=token)
    assert_refused(response, Code.UNAVAILABLE)
    (tmp_path / "none").write_text("no certificate")
    assert_refused(nobody.send("GET", "/v2/", token=token), Code.UNAVAILABLE)


def test_a_database_that_is_gone_is_no_stack_trace(
    carol: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    from registry.services import database

    def fail(*arguments: Any) -> None:
        raise OperationalError("could not connect to 10.0.0.1 as berth")

    monkeypatch.setattr(database, "one", fail)
    response = carol.send("GET", f"/v2/{APP}/manifests/v1")
    assert_refused(response, Code.UNAVAILABLE)
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert b"10.0.0.1" not in response.content


def test_a_subject_that_is_no_text_is_kept_as_far_as_it_is_one() -> None:
    token = mint("a\ud800\0b" + "x" * 300, Access.repository(APP, "pull", "push"))
    actor = Caller(f"Bearer {token}").actor
    assert actor.name == "a\ufffdb" + "x" * 252
