"""Jobs that are rows: held by one worker, taken over from one that died, tried later and given up.

The rows are deletions of tags in bulk; what is done for them is not looked at.
"""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from gitlab.container_registry.models import BulkTagDeletion, ContainerRepository
from gitlab.jobs import leases
from gitlab.jobs.leases import LeaseLost, Leases, Outcome

pytestmark = pytest.mark.django_db

LEASES = Leases(BulkTagDeletion.objects, active=("scheduled", "ongoing"))


@pytest.fixture
def make_job(make_image: Any) -> Any:
    image = make_image("acme/app")
    return partial(BulkTagDeletion.objects.create, repository=image, name_regex_delete=".*")


@pytest.fixture
def job(make_job: Any) -> Any:
    return make_job()


def die() -> None:
    """Whoever holds a job renews nothing any more."""
    long_ago = timezone.now() - leases.STALE - dt.timedelta(seconds=1)
    BulkTagDeletion.objects.update(lease_renewed_at=long_ago)


def fail(**columns: Any) -> Outcome:
    BulkTagDeletion.objects.update(**leases.UNOWNED, status="failed", **columns)
    return Outcome.FAILED


def test_one_worker_has_it(job: Any) -> None:
    assert LEASES.due("requested_at", 10) == [job.pk]
    taken = LEASES.take(job.pk, "repository__project", status="ongoing")
    assert taken is not None
    assert (taken.pk, taken.status) == (job.pk, "ongoing")
    assert "repository" in taken._state.fields_cache
    assert LEASES.take(job.pk) is None
    assert LEASES.due("requested_at", 10) == []
    assert LEASES.held_count() == 1


def test_those_that_are_over_or_not_there_are_not_taken(job: Any) -> None:
    BulkTagDeletion.objects.update(status="finished")
    assert LEASES.due("requested_at", 10) == []
    assert LEASES.take(job.pk) is None
    assert LEASES.take(0) is None


def test_so_many_in_their_order(make_job: Any) -> None:
    now = timezone.now()
    late, early, middle = (
        make_job(requested_at=now - dt.timedelta(hours=hours)).pk for hours in (1, 3, 2)
    )
    assert LEASES.due("requested_at", 10) == [early, middle, late]
    assert LEASES.due("requested_at", 2) == [early, middle]


def test_a_dead_workers_job_is_taken_over_and_lost_to_it(job: Any) -> None:
    first = LEASES.take(job.pk, status="ongoing")
    assert first is not None
    assert LEASES.renew(first)
    die()
    assert LEASES.held_count() == 0
    assert LEASES.due("requested_at", 10) == [job.pk]
    second = LEASES.take(job.pk, status="ongoing")
    assert second is not None
    assert not LEASES.renew(first, deleted_count=7)
    assert not LEASES.release(first, status="finished")
    assert LEASES.give_back(first, "no answer", fail, status="scheduled") is Outcome.NOT_OURS
    with pytest.raises(LeaseLost):
        LEASES.require(first)
    job.refresh_from_db()
    assert (job.status, job.deleted_count, job.failures) == ("ongoing", 0, 0)
    assert LEASES.renew(second, deleted_count=8)
    assert LEASES.release(second, status="finished", deleted_count=9)
    job.refresh_from_db()
    assert (job.status, job.deleted_count) == ("finished", 9)
    assert (job.lease, job.lease_renewed_at) == (None, None)


def test_one_that_was_ended_meanwhile_is_lost(job: Any) -> None:
    taken = LEASES.take(job.pk, status="ongoing")
    assert taken is not None
    BulkTagDeletion.objects.update(status="failed")
    assert not LEASES.renew(taken)
    assert not LEASES.release(taken, status="finished")


def test_a_failure_waits_and_the_last_is_final(job: Any) -> None:
    for count in range(1, leases.MAX_FAILURES):
        taken = LEASES.take(job.pk, status="ongoing")
        assert taken is not None
        given_back = LEASES.give_back(taken, "x" * 600, fail, status="scheduled")
        assert given_back is Outcome.LATER
        job.refresh_from_db()
        assert (job.status, job.failures, job.failure_reason) == ("scheduled", count, "x" * 500)
        assert LEASES.take(job.pk) is None
        BulkTagDeletion.objects.update(next_attempt_at=timezone.now())
    taken = LEASES.take(job.pk, status="ongoing")
    assert taken is not None
    assert LEASES.give_back(taken, "no answer", fail, status="scheduled") is Outcome.FAILED
    job.refresh_from_db()
    assert (job.status, job.failures) == ("failed", leases.MAX_FAILURES)
    assert (job.failure_reason, job.lease) == ("no answer", None)


def test_what_is_no_fault_of_its_own_does_not_count(job: Any) -> None:
    for _ in range(leases.MAX_FAILURES + 1):
        taken = LEASES.take(job.pk, status="ongoing")
        assert taken is not None
        waits = LEASES.give_back(taken, "renamed", fail, counts=False, status="scheduled")
        assert waits is Outcome.LATER
        BulkTagDeletion.objects.update(next_attempt_at=None)
    job.refresh_from_db()
    assert job.failures == 0


def test_each_failure_waits_longer_than_the_one_before() -> None:
    for failures in range(1, leases.MAX_FAILURES):
        about = leases.FIRST_DELAY * 3 ** (failures - 1)
        assert about * 0.8 <= leases.delay(failures) <= about * 1.2
    assert leases.FIRST_DELAY * 0.8 <= leases.delay(0) <= leases.FIRST_DELAY * 1.2


def test_the_failures_may_be_counted_under_another_name(make_image: Any) -> None:
    image = make_image("acme/other", status="delete_scheduled")
    images = Leases(
        ContainerRepository.objects,
        active=("delete_scheduled", "delete_ongoing"),
        failures="failed_deletion_count",
    )
    taken = images.take(image.pk, status="delete_ongoing", started_at=timezone.now())
    assert taken is not None
    waits = images.give_back(taken, "no answer", fail, status="delete_scheduled")
    assert waits is Outcome.LATER
    image.refresh_from_db()
    assert (image.status, image.failed_deletion_count) == ("delete_scheduled", 1)
