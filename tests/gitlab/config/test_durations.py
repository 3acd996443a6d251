"""Lengths of time as people write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gitlab.config import load
from tests.gitlab.config.loading import refused

pytestmark = pytest.mark.engineless


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400), ("1w", 604800), ("0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    loaded = load({"BERTH__UNDO_WINDOW": text})
    assert loaded.configuration.berth.undo_window == timedelta(seconds=seconds)


def test_a_number_is_seconds(write: Any) -> None:
    loaded = load(write("[berth]\nundo_window = 2\n"))
    assert loaded.configuration.berth.undo_window == timedelta(seconds=2)


@pytest.mark.parametrize("text", ["1 fortnight", "-1d", "1d2h", "", "nan", "P1D", "01:00:00"])
def test_what_is_no_duration(text: str) -> None:
    assert "berth.undo_window" in refused({"BERTH__UNDO_WINDOW": text})


def test_a_boolean_is_no_duration(write: Any) -> None:
    assert "berth.undo_window" in refused(write("[berth]\nundo_window = true\n"))
