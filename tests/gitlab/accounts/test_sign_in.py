"""Passwords: checked and remembered. What failures cost: `test_failed_logins`."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache

from gitlab.accounts import passwords, remembered_passwords, services, sign_in
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


def _fail(login: str = "alice", address: str = "192.0.2.1", times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(sign_in.WrongPassword):
            sign_in.verify(login, "wrong", address=address)


@pytest.mark.parametrize("login", ["alice", "ALICE", "alice@example.com", "Alice@Example.com"])
def test_name_and_address_serve_in_any_case(alice: Any, login: str) -> None:
    assert sign_in.verify(login, PASSWORD, address="") == alice


def test_a_blocked_person_is_refused_also_with_a_remembered_password(alice: Any, root: Any) -> None:
    sign_in.verify("alice", PASSWORD, address="")
    services.block(alice, by=root)
    with pytest.raises(sign_in.AccountClosed, match="blocked"):
        sign_in.verify("alice", PASSWORD, address="")
    _fail()


def test_who_is_deactivated_is_told_so_for_the_right_password(alice: Any, root: Any) -> None:
    services.deactivate(alice, by=root)
    with pytest.raises(sign_in.AccountClosed, match="deactivated"):
        sign_in.verify("alice", PASSWORD, address="")
    _fail()
    assert sign_in.verify("alice", PASSWORD, address="", reactivates=True).is_active


def test_an_unknown_name_costs_a_hash_too(monkeypatch: pytest.MonkeyPatch, alice: Any) -> None:
    hashed = []
    monkeypatch.setattr(passwords, "make_password", hashed.append)
    _fail("nobody-here")
    assert hashed == ["wrong"]


def test_a_verified_password_is_not_hashed_again(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in.verify("alice", PASSWORD, address="")
    monkeypatch.setattr(type(alice), "check_password", lambda *_: pytest.fail("hashed"))
    assert sign_in.verify("alice", PASSWORD, address="") == alice


def test_a_cache_that_nobody_reaches_costs_time_and_no_login(
    alice: Any, root: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://:canary-of-the-cache@127.0.0.1:1/0",
        }
    }
    assert sign_in.verify("alice", PASSWORD, address="") == alice
    _fail()
    services.block(alice, by=root)
    with pytest.raises(sign_in.AccountClosed):
        sign_in.verify("alice", PASSWORD, address="")
    assert "the cache can't be used" in caplog.text
    assert "canary" not in caplog.text


def test_what_is_remembered_is_not_the_password(alice: Any) -> None:
    remembered_passwords.remember(alice, PASSWORD)
    kept = cache.get(f"verified-password:{alice.pk}")
    assert len(kept) == 64
    assert PASSWORD not in kept
    assert not remembered_passwords.knows(alice, PASSWORD + "x")


def test_a_changed_password_is_forgotten(alice: Any) -> None:
    sign_in.verify("alice", PASSWORD, address="")
    services.change_password(alice, "another-long-one", by=alice, current_password=PASSWORD)
    _fail("alice")
    with pytest.raises(sign_in.WrongPassword):
        sign_in.verify("alice", PASSWORD, address="")
    assert sign_in.verify("alice", "another-long-one", address="")


def test_a_password_is_changed_by_who_knows_the_current_one(
    alice: Any, bob: Any, root: Any
) -> None:
    with pytest.raises(services.Invalid) as refused:
        services.change_password(alice, "another-long-one", by=alice, current_password="no")
    assert refused.value.message_dict.keys() == {"current_password"}
    with pytest.raises(services.Forbidden):
        services.change_password(alice, "another-long-one", by=bob)
    services.change_password(alice, "another-long-one", by=root)
