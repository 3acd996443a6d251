"""Deleting tags in bulk: taken once, taken over, given back, finished."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry import bulk_deletion
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.models import BulkTagDeletion
from gitlab.jobs import leases
from gitlab.jobs.leases import Outcome
from gitlab.namespaces.models import PathChange

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(alice: Any, web: Any, played: Any, enqueued: list[Any]) -> Any:
    """Of the tags latest, v0 … v4 all but one shall go."""
    played.push("acme/app/web", "latest")
    for number in range(5):
        played.push("acme/app/web", f"v{number}", "abcde"[number])
    return bulk_deletion.schedule(alice, web, name_regex_delete=".*", keep_n=1)


def left(played: Any) -> list[str]:
    return sorted(played.now["acme/app/web"])


def test_it_works(job: Any, played: Any) -> None:
    assert bulk_deletion.due() == [job.pk]
    assert bulk_deletion.run(job.pk, played) is Outcome.DONE
    assert left(played) == ["latest", "v4"]
    job.refresh_from_db()
    assert (job.status, job.deleted_count, job.refused_count) == ("finished", 4, 0)
    assert job.finished_at is not None
    event = AuditEvent.objects.get(action="tag.delete")
    assert event.details["tags"] == ["v0", "v1", "v2", "v3"]
    assert event.actor_name == "alice"
    assert bulk_deletion.due() == []
    assert bulk_deletion.run(job.pk, played) is Outcome.NOT_OURS


def test_it_is_enqueued(
    job: Any, enqueued: list[Any], django_capture_on_commit_callbacks: Any, alice: Any, web: Any
) -> None:
    BulkTagDeletion.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True):
        row = bulk_deletion.schedule(alice, web, name_regex_delete=".*")
    assert enqueued[-1] == (bulk_deletion.TASK, row.pk)


def test_page_by_page(job: Any, played: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_deletion, "_PAGE", 2)
    monkeypatch.setattr(bulk_deletion, "_AT_ONCE", 1)
    assert bulk_deletion.run(job.pk, played) is Outcome.DONE
    assert left(played) == ["latest", "v4"]


def test_how_many_are_looked_at(job: Any, played: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_deletion, "_PAGE", 2)
    monkeypatch.setattr(bulk_deletion, "MAX_TAGS", 4)
    assert bulk_deletion.run(job.pk, played) is Outcome.DONE
    # latest, v0, v1 and v2 were looked at, and v2 is the newest of them.
    assert left(played) == ["latest", "v2", "v3", "v4"]


def test_a_registry_that_does_not_answer(job: Any, played: Any) -> None:
    played.trouble = RegistryUnavailable("no answer")
    for _ in range(leases.MAX_FAILURES - 1):
        assert bulk_deletion.run(job.pk, played) is Outcome.LATER
        job.refresh_from_db()
        assert job.next_attempt_at > timezone.now()
        assert bulk_deletion.run(job.pk, played) is Outcome.NOT_OURS
        BulkTagDeletion.objects.update(next_attempt_at=None)
    assert bulk_deletion.run(job.pk, played) is Outcome.FAILED
    job.refresh_from_db()
    assert (job.status, job.failure_reason) == ("failed", "no answer")


def test_it_goes_on_where_it_was(job: Any, played: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = played.delete_tag

    def dies(path: str, tag: str, *, by: str = "") -> bool:
        if tag == "v2":
            raise RegistryUnavailable("no answer")
        return bool(real(path, tag, by=by))

    monkeypatch.setattr(played, "delete_tag", dies)
    assert bulk_deletion.run(job.pk, played) is Outcome.LATER
    job.refresh_from_db()
    assert job.deleted_count == 2
    assert AuditEvent.objects.get(action="tag.delete").details["tags"] == ["v0", "v1"]
    monkeypatch.undo()
    BulkTagDeletion.objects.update(next_attempt_at=None)
    assert bulk_deletion.run(job.pk, played) is Outcome.DONE
    job.refresh_from_db()
    assert job.deleted_count == 4
    assert left(played) == ["latest", "v4"]


def test_a_worker_that_died_is_succeeded(job: Any, played: Any) -> None:
    assert bulk_deletion.take(job.pk) is not None
    assert bulk_deletion.take(job.pk) is None
    assert bulk_deletion.due() == []
    before = timezone.now() - leases.STALE - dt.timedelta(seconds=1)
    BulkTagDeletion.objects.update(lease_renewed_at=before)
    assert bulk_deletion.due() == [job.pk]
    assert bulk_deletion.run(job.pk, played) is Outcome.DONE


def test_whose_lease_is_gone_lets_go(
    job: Any, played: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = played.delete_tag

    def robbed(path: str, tag: str, *, by: str = "") -> bool:
        BulkTagDeletion.objects.update(lease=None)
        return bool(real(path, tag, by=by))

    monkeypatch.setattr(bulk_deletion, "_AT_ONCE", 1)
    monkeypatch.setattr(played, "delete_tag", robbed)
    assert bulk_deletion.run(job.pk, played) is Outcome.NOT_OURS
    assert len(left(played)) == 5


def test_a_tag_that_the_registry_keeps(
    job: Any, played: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = played.delete_tag

    def protects(path: str, tag: str, *, by: str = "") -> bool:
        if tag == "v1":
            raise RegistryRefused(403, "DENIED", "protected")
        return bool(real(path, tag, by=by))

    monkeypatch.setattr(played, "delete_tag", protects)
    assert bulk_deletion.run(job.pk, played) is Outcome.DONE
    job.refresh_from_db()
    assert (job.deleted_count, job.refused_count) == (3, 1)


@pytest.mark.parametrize("how", ["blocked", "no member", "gone"])
def test_who_may_no_more(job: Any, played: Any, alice: Any, how: str) -> None:
    if how == "blocked":
        alice.state = "blocked"
        alice.save()
    elif how == "no member":
        alice.memberships.all().delete()
    else:
        BulkTagDeletion.objects.update(by=None)
    assert bulk_deletion.run(job.pk, played) is Outcome.FAILED
    assert len(left(played)) == 6
    job.refresh_from_db()
    assert "not allowed" in job.failure_reason


def test_while_the_path_changes_it_waits(job: Any, played: Any, app: Any) -> None:
    change = PathChange.objects.create(project=app, old_path="acme/app", new_path="acme/new")
    assert bulk_deletion.run(job.pk, played) is Outcome.LATER
    job.refresh_from_db()
    assert job.failures == 0
    change.delete()
    BulkTagDeletion.objects.update(next_attempt_at=None)
    assert bulk_deletion.run(job.pk, played) is Outcome.DONE


def test_what_is_over_is_kept_for_a_time(job: Any, played: Any) -> None:
    bulk_deletion.run(job.pk, played)
    bulk_deletion.due()
    assert BulkTagDeletion.objects.exists()
    BulkTagDeletion.objects.update(finished_at=timezone.now() - bulk_deletion.KEPT)
    bulk_deletion.due()
    assert not BulkTagDeletion.objects.exists()


def test_an_image_that_goes_takes_its_jobs_along(job: Any, web: Any, played: Any) -> None:
    web.delete()
    assert bulk_deletion.run(job.pk, played) is Outcome.NOT_OURS
