from __future__ import annotations

import datetime as dt

import pytest

from registry.services import tag_ages
from registry.timestamps import timestamp

pytestmark = pytest.mark.engineless


@pytest.mark.parametrize("microsecond", [0, 1, 499, 500, 51_499, 51_500, 51_999, 999_500, 999_999])
def test_both_ways_to_write_a_moment_tell_the_same(microsecond: int) -> None:
    moment = dt.datetime(2026, 11, 29, 16, 10, 42, microsecond, tzinfo=dt.UTC)
    as_sqlite_has_it = str(moment.replace(tzinfo=None))
    texts = [timestamp(moment), tag_ages._written(moment), tag_ages._written(as_sqlite_has_it)]
    for text in texts:
        assert text is not None
        found = dt.datetime.fromisoformat(text)
        assert found == dt.datetime.fromisoformat(texts[0] or "")
        assert dt.timedelta() <= moment - found < dt.timedelta(milliseconds=1)


def test_no_moment_is_null() -> None:
    assert timestamp(None) is None
