"""Requests a minute: what is counted for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tokens import rate_limits
from tokens.limiter import TooManyRequests

pytestmark = pytest.mark.engineless


@pytest.fixture
def limits(settings: Any, tmp_path: Path) -> dict[str, int]:
    settings.RATE_LIMITS_STORES = (f"file://{tmp_path}/limiter.sqlite3",)
    settings.RATE_LIMITS = {}
    found: dict[str, int] = settings.RATE_LIMITS
    return found


@pytest.mark.parametrize("per_minute", [1, 7, 2000])
def test_retry_after_is_1_to_60(limits: dict[str, int], per_minute: int) -> None:
    limits["user"] = per_minute

    def take_them_all() -> None:
        for _ in range(10 * per_minute + 2000):
            rate_limits.take(("user", "alice"))

    with pytest.raises(TooManyRequests) as caught:
        take_them_all()
    assert 1 <= caught.value.retry_after <= 60
    assert caught.value.retry_after <= 60 / per_minute + 1


def test_each_kind_has_its_own_limit(limits: dict[str, int]) -> None:
    limits |= {"user": 3, "token": 1}
    rate_limits.take(("user", "alice"), ("token", "one"))
    # What is refused uses up nothing, not of the other kind either.
    for _ in range(5):
        with pytest.raises(TooManyRequests):
            rate_limits.take(("user", "alice"), ("token", "one"))
    rate_limits.take(("user", "alice"), ("token", "two"))
    rate_limits.take(("user", "alice"), ("token", "three"))
    with pytest.raises(TooManyRequests):
        rate_limits.take(("user", "alice"), ("token", "four"))
    rate_limits.take(("address", "203.0.113.7"))


def test_an_address_counts_by_its_source() -> None:
    assert rate_limits.of_address("2001:db8::1") == rate_limits.of_address("2001:db8::ffff:2")
    assert rate_limits.of_address("::ffff:203.0.113.7") == ("address", "203.0.113.7")


def test_no_token_is_kept() -> None:
    kind, key = rate_limits.of_token("glpat-a-secret")
    assert kind == "token"
    assert "a-secret" not in key
