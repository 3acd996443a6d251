from __future__ import annotations

import datetime as dt

import pytest

from registry.timestamps import epoch_seconds, timestamp

pytestmark = pytest.mark.engineless


@pytest.mark.parametrize("microsecond", [0, 1, 499, 500, 51_499, 51_500, 51_999, 999_500, 999_999])
def test_both_ways_to_write_a_moment_tell_the_same(microsecond: int) -> None:
    moment = dt.datetime(2026, 11, 29, 16, 10, 42, microsecond, tzinfo=dt.UTC)
    text, seconds = timestamp(moment), epoch_seconds(moment)
    assert text is not None
    assert seconds is not None
    assert dt.datetime.fromtimestamp(seconds, dt.UTC) == dt.datetime.fromisoformat(text)
    assert dt.timedelta() <= moment - dt.datetime.fromisoformat(text) < dt.timedelta(milliseconds=1)


def test_no_moment_is_null() -> None:
    assert timestamp(None) is epoch_seconds(None) is None
