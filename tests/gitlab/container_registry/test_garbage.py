"""Garbage: batch after batch while any is due."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry import garbage
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import ReviewRun
from workers import tasks


class Reviewing:
    """A registry with so much to review."""

    @property
    def own(self) -> Any:
        return self

    def __init__(self, due: Any, reviewable: bool = True) -> None:
        self.due, self.reviewable = due, reviewable

    def review_garbage(self, n: Any) -> Any:
        done = min(n, self.due) if self.reviewable else 0
        self.due -= done
        return ReviewRun(reviewed=done, left_due=self.due)


def test_until_nothing_is_due() -> None:
    assert [run.reviewed for run in garbage.collect(Reviewing(250))] == [100, 100, 50]
    assert len(garbage.collect(Reviewing(0))) == 1


def test_what_cant_be_reviewed_now_is_left_for_later() -> None:
    assert len(garbage.collect(Reviewing(250, reviewable=False))) == 1


def test_a_task_has_its_time() -> None:
    assert len(garbage.collect(Reviewing(10_000), budget=0)) == 1


def test_a_registry_that_fails_is_asked_next_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for error in (RegistryUnavailable("away"), RegistryRefused(401, "UNAUTHORIZED", "no")):

        def fail(error: Any = error) -> None:
            raise error

        monkeypatch.setattr(garbage, "collect", fail)
        tasks.review_garbage()
        assert str(error) in caplog.text
