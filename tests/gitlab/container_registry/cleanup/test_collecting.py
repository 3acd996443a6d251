"""What a cleanup has really freed, noted when the collector is done."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.container_registry.cleanup import collecting, requests, runs
from gitlab.container_registry.cleanup.models import CleanupRun
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import Collected
from gitlab.jobs.leases import Outcome
from tests.gitlab.container_registry.cleanup.played_cleanup import PATH

pytestmark = pytest.mark.django_db
AT = dt.datetime(2026, 11, 28, 4, 30, tzinfo=dt.UTC)


@pytest.fixture
def over(finished: CleanupRun, settings: Any) -> CleanupRun:
    """A run whose undo window is over."""
    then = timezone.now() - settings.UNDO_WINDOW - dt.timedelta(minutes=1)
    CleanupRun.objects.update(started_at=then, finished_at=then)
    finished.refresh_from_db()
    return finished


def noted(run: CleanupRun) -> tuple[int | None, dt.datetime | None]:
    run.refresh_from_db()
    return run.collected_bytes, run.collected_at


def test_the_registry_is_told_whose_work_it_is(finished: CleanupRun, tags: Any) -> None:
    assert tags.causes == [finished.cause]


def test_it_is_noted_once(over: CleanupRun, tags: Any) -> None:
    tags.collected_of[over.cause] = Collected(0, 1234, AT)
    assert collecting.note_collected(tags) == 1
    assert noted(over) == (1234, AT)
    tags.collected_of[over.cause] = Collected(0, 9999, AT)
    assert collecting.note_collected(tags) == 0
    assert noted(over) == (1234, AT)


def test_nothing_may_have_gone(over: CleanupRun, tags: Any) -> None:
    """Where the project keeps what has no tag, or others need all of it."""
    tags.collected_of[over.cause] = Collected(0, 0)
    assert collecting.note_collected(tags) == 1
    size, at = noted(over)
    assert size == 0
    assert at is not None


def test_within_the_undo_window_nobody_is_asked(
    finished: CleanupRun, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "collected", None)
    assert collecting.note_collected(tags) == 0
    assert noted(finished) == (None, None)


@pytest.mark.parametrize("found", [Collected(1, 1000, AT), None])
def test_while_the_collector_has_something_to_do_it_is_asked_again_later(
    over: CleanupRun, tags: Any, found: Collected | None
) -> None:
    """None: a registry of before, which is not told causes."""
    if found is not None:
        tags.collected_of[over.cause] = found
    assert collecting.note_collected(tags) == 0
    assert noted(over) == (None, None)
    tags.collected_of[over.cause] = Collected(0, 1234, AT)
    assert collecting.note_collected(tags) == 0
    CleanupRun.objects.update(next_attempt_at=timezone.now())
    assert collecting.note_collected(tags) == 1


def test_one_that_is_being_undone_is_left_alone(over: CleanupRun, tags: Any) -> None:
    tags.collected_of[over.cause] = Collected(0, 1234, AT)
    CleanupRun.objects.update(status="undoing")
    assert collecting.note_collected(tags) == 0
    assert noted(over) == (None, None)


def test_a_cancelled_one_has_freed_something_too(over: CleanupRun, tags: Any) -> None:
    CleanupRun.objects.update(status="cancelled")
    tags.collected_of[over.cause] = Collected(0, 1234, AT)
    assert collecting.note_collected(tags) == 1


def test_without_deletions_there_is_nothing_to_note(over: CleanupRun, tags: Any) -> None:
    CleanupRun.objects.update(deleted_count=0)
    tags.collected_of[over.cause] = Collected(0, 0)
    assert collecting.note_collected(tags) == 0


def test_another_registry_does_not_tell(over: CleanupRun, tags: Any) -> None:
    tags.has_own_api = False
    assert collecting.note_collected(tags) == 0


def test_a_registry_that_does_not_answer(over: CleanupRun, tags: Any) -> None:
    tags.trouble = RegistryUnavailable("no answer")
    with pytest.raises(RegistryUnavailable):
        collecting.note_collected(tags)
    assert noted(over) == (None, None)


def test_its_page_shows_both(over: CleanupRun, tags: Any, browser: Any, alice: Any) -> None:
    address = f"/acme/app/-/cleanup/{over.pk}"
    assert "by the collector" not in browser(alice).get(address).content.decode()
    CleanupRun.objects.update(collected_bytes=5 * 2**20, collected_at=AT)
    page = browser(alice).get(address).content.decode()
    assert "5 MiB" in page or "5.0 MiB" in page
    assert "by the collector" in page


def test_the_least_is_called_so(finished: CleanupRun, browser: Any, alice: Any) -> None:
    address = f"/acme/app/-/cleanup/{finished.pk}"
    assert "too many to be counted together" not in browser(alice).get(address).content.decode()
    CleanupRun.objects.update(is_exact=False)
    page = browser(alice).get(address).content.decode()
    assert "at least" in page
    assert "too many to be counted together" in page


def test_a_run_begins_without(planned: CleanupRun, tags: Any, alice: Any) -> None:
    requests.approve(alice, planned)
    assert runs.run(planned.pk, tags) is Outcome.DONE
    assert noted(planned) == (None, None)
    assert sorted(tags.now[PATH]) == ["latest", "v4"]
