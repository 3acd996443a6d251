"""Why a token is not accepted, and what GitLab's own token is told of the node."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from registry.gitlab_v1.diagnosis import NODE
from tests.registry.base import mint
from tokens import keys
from tokens.access import Access
from tokens.issue import issue

pytestmark = pytest.mark.django_db(databases=["registry"])
ADDRESS = "/gitlab/v1/diagnosis/"
NONCE = "a-nonce-of-this-test"


def ask(token: str = "", nonce: str = NONCE) -> dict[str, Any]:
    headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}
    answer = Client(HTTP_HOST="registry.example").get(ADDRESS, {"nonce": nonce}, **headers)  # type: ignore[arg-type]
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_gitlabs_own_token_is_told_everything(settings: Any) -> None:
    found = ask(mint(None, NODE))
    assert found["accepted"]
    assert found["pending_migrations"] == []
    assert found["max_blob_size"] == settings.REGISTRY_MAX_BLOB_SIZE
    assert settings.REGISTRY_HTTP_SECRET not in str(found)


def test_the_fingerprint_is_the_secrets_and_the_nonces(settings: Any) -> None:
    token = mint(None, NODE)
    first = ask(token)["http_secret"]
    assert len(first) == 32
    assert ask(token)["http_secret"] == first
    assert ask(token, nonce="another-nonce-of-this-test")["http_secret"] != first
    assert ask(token, nonce="short")["http_secret"] == ""
    settings.REGISTRY_HTTP_SECRET = "another"
    assert ask(token)["http_secret"] != first


def test_nobody_else_is_told_of_the_node() -> None:
    for token in (mint("alice", NODE), mint(None, Access.repository("a/b", "pull"))):
        assert set(ask(token)) == {"accepted", "time"}


def test_the_reasons(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    token = mint(None, NODE)
    settings.TOKENS_ISSUER = "somebody-else"
    assert ask(token)["reason"] == "InvalidIssuerError"
    other = issue((NODE,), subject=None).text
    settings.TOKENS_ISSUER = "gitlab-issuer"
    assert ask(other)["reason"] == "InvalidIssuerError"
    (tmp_path / "other.crt").write_bytes(keys.generate()[1])
    settings.TOKENS_CERTIFICATE_BUNDLE = tmp_path / "other.crt"
    assert ask(token)["reason"] == "no trusted key"
    assert ask()["reason"] == "no bearer token"
    (tmp_path / "other.crt").unlink()
    assert "can't be read" in ask(token)["reason"]


def test_it_is_read_only() -> None:
    assert Client(HTTP_HOST="registry.example").post(ADDRESS).status_code == 405
