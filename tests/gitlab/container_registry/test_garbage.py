"""Garbage: batch after batch while any is due."""

from __future__ import annotations

from gitlab.container_registry import garbage
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import ReviewRun
from workers import tasks


class Reviewing:
    """A registry with so much to review."""

    @property
    def own(self):
        return self

    def __init__(self, due, reviewable=True):
        self.due, self.reviewable = due, reviewable

    def review_garbage(self, n):
        done = min(n, self.due) if self.reviewable else 0
        self.due -= done
        return ReviewRun(reviewed=done, left_due=self.due)


def test_until_nothing_is_due():
    assert [run.reviewed for run in garbage.collect(Reviewing(250))] == [100, 100, 50]
    assert len(garbage.collect(Reviewing(0))) == 1


def test_what_cant_be_reviewed_now_is_left_for_later():
    assert len(garbage.collect(Reviewing(250, reviewable=False))) == 1


def test_a_task_has_its_time():
    assert len(garbage.collect(Reviewing(10_000), budget=0)) == 1


def test_a_registry_that_fails_is_asked_next_time(monkeypatch, caplog):
    for error in (RegistryUnavailable("away"), RegistryRefused(401, "UNAUTHORIZED", "no")):

        def fail(error=error):
            raise error

        monkeypatch.setattr(garbage, "collect", fail)
        tasks.review_garbage()
        assert str(error) in caplog.text
