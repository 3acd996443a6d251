"""Passwords: checked, remembered, and failed too often."""

from __future__ import annotations

import datetime as dt

import pytest
from django.contrib.auth import authenticate
from django.core.cache import cache
from django.test import RequestFactory
from django.utils import timezone

from gitlab.accounts import failed_logins, passwords, remembered_passwords, services, sign_in
from gitlab.accounts.models import FailedLogin
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _three_tries(settings):
    settings.FAILED_LOGIN_LIMIT = 3


def _fail(login="alice", address="192.0.2.1", times=1):
    for _ in range(times):
        with pytest.raises(sign_in.WrongPassword):
            sign_in.verify(login, "wrong", address=address)


@pytest.mark.parametrize("login", ["alice", "ALICE", "alice@example.com", "Alice@Example.com"])
def test_name_and_address_serve_in_any_case(alice, login):
    assert sign_in.verify(login, PASSWORD, address="") == alice


def test_a_blocked_person_is_refused_also_with_a_remembered_password(alice, root):
    sign_in.verify("alice", PASSWORD, address="")
    services.block(alice, by=root)
    with pytest.raises(sign_in.WrongPassword):
        sign_in.verify("alice", PASSWORD, address="")


def test_an_unknown_name_costs_a_hash_too(monkeypatch, alice):
    hashed = []
    monkeypatch.setattr(passwords, "make_password", hashed.append)
    _fail("nobody-here")
    assert hashed == ["wrong"]


def test_a_verified_password_is_not_hashed_again(alice, monkeypatch):
    sign_in.verify("alice", PASSWORD, address="")
    monkeypatch.setattr(type(alice), "check_password", lambda *_: pytest.fail("hashed"))
    assert sign_in.verify("alice", PASSWORD, address="") == alice


def test_a_cache_that_nobody_reaches_costs_time_and_no_login(alice, root, settings, caplog):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://:canary-of-the-cache@127.0.0.1:1/0",
        }
    }
    assert sign_in.verify("alice", PASSWORD, address="") == alice
    _fail()
    services.block(alice, by=root)
    _fail_with_the_right_one()
    assert "the cache can't be used" in caplog.text
    assert "canary" not in caplog.text


def _fail_with_the_right_one():
    with pytest.raises(sign_in.WrongPassword):
        sign_in.verify("alice", PASSWORD, address="")


def test_what_is_remembered_is_not_the_password(alice):
    remembered_passwords.remember(alice, PASSWORD)
    kept = cache.get(f"verified-password:{alice.pk}")
    assert len(kept) == 64
    assert PASSWORD not in kept
    assert not remembered_passwords.knows(alice, PASSWORD + "x")


def test_a_changed_password_is_forgotten(alice):
    sign_in.verify("alice", PASSWORD, address="")
    services.change_password(alice, "another-long-one", by=alice, current_password=PASSWORD)
    _fail("alice")
    with pytest.raises(sign_in.WrongPassword):
        sign_in.verify("alice", PASSWORD, address="")
    assert sign_in.verify("alice", "another-long-one", address="")


def test_a_password_is_changed_by_who_knows_the_current_one(alice, bob, root):
    with pytest.raises(services.Invalid) as refused:
        services.change_password(alice, "another-long-one", by=alice, current_password="no")
    assert refused.value.message_dict.keys() == {"current_password"}
    with pytest.raises(services.Forbidden):
        services.change_password(alice, "another-long-one", by=bob)
    services.change_password(alice, "another-long-one", by=root)


def test_too_many_failures_of_a_name_refuse_it_from_everywhere(alice):
    for number in range(3):
        _fail("alice", f"192.0.2.{number}")
    with pytest.raises(failed_logins.TooManyFailedLogins) as refused:
        sign_in.verify("alice", PASSWORD, address="198.51.100.7")
    assert 1 <= refused.value.retry_after <= 60


def test_too_many_failures_of_an_address_refuse_every_name(alice, bob):
    _fail("alice", times=2)
    _fail("nobody-here")
    with pytest.raises(failed_logins.TooManyFailedLogins):
        sign_in.verify("bob", PASSWORD, address="192.0.2.1")
    assert sign_in.verify("bob", PASSWORD, address="192.0.2.2")


def test_an_ipv6_customer_is_one_address(alice, bob):
    for number in range(3):
        _fail(f"nobody-{number}", f"2001:db8::{number}")
    with pytest.raises(failed_logins.TooManyFailedLogins):
        sign_in.verify("bob", PASSWORD, address="2001:db8::ffff")


def test_success_resets_ones_own_name_only(alice, bob):
    _fail("alice", times=2)
    sign_in.verify("alice", PASSWORD, address="192.0.2.1")
    assert not FailedLogin.objects.exists()
    _fail("bob", times=2)
    sign_in.verify("alice", PASSWORD, address="192.0.2.1")
    assert FailedLogin.objects.count() == 2


def test_failures_count_for_ten_minutes(alice):
    _fail("alice", times=3)
    FailedLogin.objects.update(at=timezone.now() - dt.timedelta(minutes=11))
    assert sign_in.verify("alice", PASSWORD, address="192.0.2.1")
    _fail("bob", times=1)
    FailedLogin.objects.update(at=timezone.now() - dt.timedelta(minutes=11))
    assert failed_logins.sweep() == 1


def test_zero_is_no_limit(alice, settings):
    settings.FAILED_LOGIN_LIMIT = 0
    _fail("alice", times=20)
    assert not FailedLogin.objects.exists()
    assert sign_in.verify("alice", PASSWORD, address="192.0.2.1")


def test_djangos_own_door_counts_too(alice):
    request = RequestFactory().post("/admin/login/")
    for _ in range(3):
        assert authenticate(request, username="alice", password="wrong") is None
    assert authenticate(request, username="alice", password=PASSWORD) is None
    assert FailedLogin.objects.filter(address="127.0.0.1").count() == 3
