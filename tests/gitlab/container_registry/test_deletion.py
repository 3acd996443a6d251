"""Deleting images: taken once, taken over, given back, finished."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry import deletion
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import RepositoryDetails
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs import enqueue, leases
from gitlab.jobs.leases import Outcome
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import Project

pytestmark = pytest.mark.django_db


@pytest.fixture
def scheduled(make_image: Any) -> Any:
    """An image whose deletion waits."""
    return make_image("alice/app", status="delete_scheduled")


@pytest.mark.django_db(transaction=True)
def test_a_worker_may_be_quicker_than_whoever_asks(
    make_image: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent at the commit is done before `schedule` comes back."""
    image = make_image("alice/app")
    monkeypatch.setattr(enqueue, "now", lambda task, pk: type(image).objects.get(pk=pk).delete())
    assert deletion.schedule(alice, image).status == "delete_scheduled"
    assert not ContainerRepository.objects.exists()
    # A second click comes too late, and finds nothing that is wrong.
    deletion.schedule(alice, image)


def test_it_goes_in_batches_until_nothing_is_left(scheduled: Any, fake_registry: Any) -> None:
    fake_registry.images["alice/app"] = 250
    assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.DONE
    assert fake_registry.batches == [("alice/app", 100)] * 3
    assert not ContainerRepository.objects.exists()
    assert AuditEvent.objects.filter(action="container_repository.delete").exists()
    assert Project.objects.filter(full_path="alice/app").exists()


def test_twice_is_as_once(scheduled: Any, fake_registry: Any) -> None:
    assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.DONE
    assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.NOT_OURS


def test_an_image_at_rest_is_left_alone(make_image: Any, fake_registry: Any) -> None:
    image = make_image("alice/app")
    assert deletion.delete_repository(image.pk, fake_registry) is Outcome.NOT_OURS
    assert fake_registry.batches == []


def test_two_workers_never_both_have_it(scheduled: Any) -> None:
    assert deletion.take(scheduled.pk) is not None
    assert deletion.take(scheduled.pk) is None
    assert deletion.due() == []


def test_a_killed_workers_image_is_taken_over(scheduled: Any, fake_registry: Any) -> None:
    first = deletion.take(scheduled.pk)
    long_ago = timezone.now() - leases.STALE - dt.timedelta(seconds=1)
    ContainerRepository.objects.update(lease_renewed_at=long_ago)
    assert deletion.due() == [scheduled.pk]
    assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.DONE
    assert first is not None
    assert deletion._finish(first, fake_registry) is Outcome.NOT_OURS


def test_who_lost_the_lease_lets_go(scheduled: Any, fake_registry: Any) -> None:
    fake_registry.images["alice/app"] = 500

    def rob(path: Any) -> None:
        long_ago = timezone.now() - leases.STALE - dt.timedelta(seconds=1)
        ContainerRepository.objects.update(lease_renewed_at=long_ago)
        assert deletion.take(scheduled.pk)

    fake_registry.during_batch = rob
    assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.NOT_OURS
    assert len(fake_registry.batches) == 1
    assert ContainerRepository.objects.get().status == "delete_ongoing"


def test_an_unavailable_registry_is_tried_later_and_at_last_given_up(
    scheduled: Any, fake_registry: Any
) -> None:
    fake_registry.trouble = RegistryUnavailable("away")
    for count in range(1, leases.MAX_FAILURES):
        assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.LATER
        scheduled.refresh_from_db()
        assert (scheduled.status, scheduled.failed_deletion_count) == ("delete_scheduled", count)
        assert scheduled.next_attempt_at > timezone.now()
        assert deletion.due() == []
        assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.NOT_OURS
        ContainerRepository.objects.update(next_attempt_at=timezone.now())
    assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.FAILED
    scheduled.refresh_from_db()
    assert (scheduled.status, scheduled.failure_reason) == ("delete_failed", "away")
    assert scheduled.lease is None
    assert AuditEvent.objects.filter(action="container_repository.delete_failed").exists()


def test_a_refusal_is_final(scheduled: Any, fake_registry: Any) -> None:
    fake_registry.trouble = RegistryRefused(405, "UNSUPPORTED", "deletion is off")
    assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.FAILED
    scheduled.refresh_from_db()
    assert scheduled.failure_reason == "UNSUPPORTED: deletion is off"


def test_a_project_goes_with_its_last_image(
    alice: Any, make_project: Any, make_image: Any, fake_registry: Any, enqueued: Any
) -> None:
    app = make_project("alice/app", owner=alice)
    for path in ("alice/app", "alice/app/x"):
        make_image(path, of=app)
    namespaces.delete_project(alice, app)
    waiting = deletion.due()
    assert len(waiting) == 2
    for pk in waiting:
        assert Project.objects.exists()
        deletion.delete_repository(pk, fake_registry)
    assert not Project.objects.exists()
    assert deletion.due() == []


def test_a_project_without_images_goes_with_the_sweep(
    alice: Any, make_project: Any, enqueued: Any, fake_registry: Any
) -> None:
    project = make_project("alice/app", owner=alice)
    namespaces.delete_project(alice, project)
    assert deletion.due(fake_registry) == []
    assert fake_registry.given_up == [("alice/app", project.pk)]
    assert not Project.objects.exists()


def test_a_path_stays_taken_until_the_registry_knows_that_it_is_given_up(
    alice: Any, make_project: Any, enqueued: Any, fake_registry: Any
) -> None:
    namespaces.delete_project(alice, make_project("alice/app", owner=alice))
    fake_registry.trouble = RegistryUnavailable("it does not answer")
    assert deletion.due(fake_registry) == []
    assert Project.objects.exists()
    fake_registry.trouble = None
    assert deletion.due(fake_registry) == []
    assert not Project.objects.exists()


def test_nobody_is_told_where_there_is_no_registry(
    alice: Any, make_project: Any, enqueued: Any, settings: Any
) -> None:
    namespaces.delete_project(alice, make_project("alice/app", owner=alice))
    settings.CONTAINER_REGISTRY_ENABLED = False
    assert deletion.due() == []
    assert not Project.objects.exists()


class TestPushedMeanwhile:
    """A token from before the deletion pushes for minutes after it."""

    def test_the_image_stays_known(self, scheduled: Any, alice: Any, fake_registry: Any) -> None:
        ContainerRepository.objects.update(deleted_by=alice)
        fake_registry.repository = lambda path, size=True: RepositoryDetails("app", path, 1)
        assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.DONE
        scheduled.refresh_from_db()
        assert (scheduled.status, scheduled.lease, scheduled.deleted_by) == (None, None, None)
        event = AuditEvent.objects.get(action="container_repository.delete")
        assert event.details["pushed_again"] is True
        assert deletion.due() == []

    def test_a_push_that_is_told_of_at_the_last_moment(
        self, scheduled: Any, fake_registry: Any
    ) -> None:
        looked = []

        def repository(path: Any, size: bool = True) -> Any:
            looked.append(path)
            if len(looked) == 1:  # Told after we have looked, and before the row goes.
                ContainerRepository.objects.update(last_published_at=timezone.now())
                return None
            return RepositoryDetails("app", path, 1)

        fake_registry.repository = repository
        assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.DONE
        assert len(looked) == 2
        assert ContainerRepository.objects.get().status is None

    def test_without_any_tag_it_is_no_image(self, scheduled: Any, fake_registry: Any) -> None:
        fake_registry.repository = lambda path, size=True: RepositoryDetails("app", path, 0)
        assert deletion.delete_repository(scheduled.pk, fake_registry) is Outcome.DONE
        assert not ContainerRepository.objects.exists()

    def test_the_image_of_a_deleted_project_goes_too(
        self, alice: Any, make_project: Any, make_image: Any, fake_registry: Any, enqueued: Any
    ) -> None:
        app = make_project("alice/app", owner=alice)
        image = make_image("alice/app", of=app)
        namespaces.delete_project(alice, app)
        there = RepositoryDetails("app", "alice/app", 1)
        # Each time it is asked before and after.
        is_there = iter([there, there, there, None])
        fake_registry.repository = lambda path, size=True: next(is_there)
        for _ in range(2):
            assert deletion.due() == [image.pk]
            assert deletion.delete_repository(image.pk, fake_registry) is Outcome.DONE
        assert not Project.objects.exists()
