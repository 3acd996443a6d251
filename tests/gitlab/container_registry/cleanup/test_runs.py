"""A cleanup from its plan to its receipt: planned, approved, run, cancelled, undone."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.cleanup import deletion, plan, protection, requests, runs, services
from gitlab.container_registry.cleanup.models import CleanupBatch, CleanupRun
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import TagDetails
from gitlab.container_registry.protection import services as rules
from gitlab.jobs import leases
from gitlab.jobs.leases import Outcome
from gitlab.namespaces.models import PathChange
from gitlab.refusals import Conflict, Forbidden, NotFound
from tests.gitlab.container_registry.cleanup.played_cleanup import PATH, entries, left

pytestmark = pytest.mark.django_db
ALL = ["latest", "v0", "v1", "v2", "v3", "v4"]


def test_the_preview_is_the_plan(planned: CleanupRun, tags: Any) -> None:
    assert left(tags) == ALL
    going = entries(planned)
    assert list(going) == ["v0", "v1", "v2", "v3"]
    assert going["v0"].reason == "deleted: older than the newest 1 of v.*"
    assert going["v0"].digest == tags.now[PATH]["v0"].digest
    assert {name: each.reason for name, each in entries(planned, goes=False).items()} == {
        "latest": "kept: latest always stays",
        "v4": "kept: newest 1 of v.*",
    }
    assert (planned.seen_count, planned.going_count, planned.is_exact) == (6, 4, True)
    assert planned.freed_bytes == tags.freed_bytes.alone_bytes
    assert planned.shared_bytes == tags.freed_bytes.shared_bytes
    assert tags.seen == ["acme/app", "acme/app/*"]
    assert runs.run(planned.pk, tags) is Outcome.NOT_OURS


def test_it_runs_as_planned(finished: CleanupRun, tags: Any, alice: Any) -> None:
    assert left(tags) == ["latest", "v4"]
    assert (finished.done_count, finished.deleted_count, finished.spared_count) == (4, 4, 0)
    assert {each.outcome for each in entries(finished).values()} == {"deleted"}
    assert all(each.interval for each in entries(finished).values())
    event = AuditEvent.objects.get(action="tag.delete")
    assert event.details == {"tags": ["v0", "v1", "v2", "v3"], "cleanup": finished.pk}
    assert event.actor_name == "alice"
    assert AuditEvent.objects.get(action="cleanup.finished").details["deleted"] == 4
    assert runs.due() == []


def test_what_has_moved_since_is_spared(approved: CleanupRun, tags: Any) -> None:
    tags.push(PATH, "v1", "f")
    tags.delete_tag(PATH, "v2", by="bob")
    tags.push(PATH, "v0-new", "a")
    assert runs.run(approved.pk, tags) is Outcome.DONE
    assert left(tags) == ["latest", "v0-new", "v1", "v4"]
    found = {name: (each.outcome, each.said) for name, each in entries(approved).items()}
    assert found == {
        "v0": ("deleted", ""),
        "v1": ("spared", "points elsewhere since it was planned"),
        "v2": ("spared", "was gone already"),
        "v3": ("deleted", ""),
    }
    approved.refresh_from_db()
    assert (approved.deleted_count, approved.spared_count) == (2, 2)


def test_what_is_protected_since_is_spared(
    approved: CleanupRun, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = {"v1": "protected by v1: maintainers"}
    monkeypatch.setattr(deletion, "protects_in", lambda project: lambda path: says.get)
    assert runs.run(approved.pk, tags) is Outcome.DONE
    assert left(tags) == ["latest", "v1", "v4"]
    assert entries(approved)["v1"].said == "protected since: protected by v1: maintainers"


def test_what_is_protected_is_not_planned(
    tags: Any, alice: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert protection.protects_in(app)(app.full_path)("v1") is None
    says = {"v1": "protected by v1: maintainers"}
    monkeypatch.setattr(runs, "protects_in", lambda project: lambda path: says.get)
    row = requests.request(alice, app)
    runs.run(row.pk, tags)
    assert entries(row, goes=False)["v1"].reason == "kept: protected by v1: maintainers"


def test_rules_keep_what_they_protect(tags: Any, alice: Any, app: Any) -> None:
    """Also from a run that an owner has approved: a cleanup is nobody."""
    rules.create_tag_rule(alice, app, tag_name_pattern="v1", minimum_access_level_for_delete=40)
    rules.create_tag_rule(alice, app, tag_name_pattern="v2")
    row = requests.request(alice, app)
    runs.run(row.pk, tags)
    kept = {name: entry.reason for name, entry in entries(row, goes=False).items()}
    assert (
        kept["v1"] == 'kept: tag v1 is protected by rule "v1": deleting takes the role Maintainer'
    )
    assert kept["v2"] == 'kept: tag v2 is immutable by rule "v2"'


def test_a_rule_for_the_image_keeps_all_of_it(tags: Any, alice: Any, app: Any) -> None:
    rules.create_repository_rule(
        alice, app, repository_path_pattern=PATH, minimum_access_level_for_delete=40
    )
    row = requests.request(alice, app)
    runs.run(row.pk, tags)
    assert entries(row) == {}
    assert "is protected by rule" in entries(row, goes=False)["v1"].reason


def test_a_rule_since_the_plan_spares(
    approved: CleanupRun, tags: Any, alice: Any, app: Any
) -> None:
    rules.create_tag_rule(alice, app, tag_name_pattern="v1")
    assert runs.run(approved.pk, tags) is Outcome.DONE
    assert left(tags) == ["latest", "v1", "v4"]
    assert entries(approved)["v1"].said.startswith("protected since: tag v1 is immutable")


def _count_pulls(tags: Any, name: str, at: dt.datetime | None) -> None:
    tag: TagDetails = tags.now[PATH][name]
    tags.now[PATH][name] = dataclasses.replace(
        tag, pulls_counted_since=timezone.now() - dt.timedelta(days=200), last_pulled_at=at
    )


def test_what_was_pulled_since_is_spared(tags: Any, alice: Any, app: Any) -> None:
    for name in ALL[1:]:
        _count_pulls(tags, name, None)
    row = requests.request(alice, app)
    runs.run(row.pk, tags)
    requests.approve(alice, row)
    _count_pulls(tags, "v1", timezone.now())
    assert runs.run(row.pk, tags) is Outcome.DONE
    assert left(tags) == ["latest", "v1", "v4"]
    assert entries(row)["v1"].said == "pulled since it was planned"
    # All of a batch at once: nothing is asked about each of its tags.
    assert ("delete unmoved", PATH, ["v0", "v1", "v2", "v3"], "alice") in tags.calls


@pytest.mark.parametrize("rule", [{"not_pulled_for": "1d"}, {"never_pulled": True}])
def test_another_registry_knows_no_pulls_and_so_spares_everything(
    tags: Any, alice: Any, app: Any, rule: dict[str, Any]
) -> None:
    tags.has_own_api = False
    services.save_policy(alice, app, rules=[{"name_regex_delete": ".*", **rule}])
    row = requests.request(alice, app)
    assert runs.run(row.pk, tags) is Outcome.DONE
    row.refresh_from_db()
    assert (row.status, row.going_count, row.watches_pulls) == ("finished", 0, False)
    assert {each.reason for each in entries(row, goes=False).values()} == {
        "kept: latest always stays",
        "kept: this registry does not count pulls",
    }
    assert left(tags) == ALL


def test_nothing_to_delete_is_finished(tags: Any, alice: Any, app: Any) -> None:
    services.save_policy(alice, app, rules=[{"name_regex_delete": "x.*"}])
    row = requests.request(alice, app)
    assert runs.run(row.pk, tags) is Outcome.DONE
    row.refresh_from_db()
    assert (row.status, row.going_count, row.seen_count) == ("finished", 0, 6)
    assert requests.undo_until(row) is None


def test_in_batches_and_turns(
    planned: CleanupRun, alice: Any, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "GOING_IN_BATCH", 1)
    monkeypatch.setattr(runs, "TURN", -1.0)
    row = requests.request(alice, planned.project)
    planned.refresh_from_db()
    assert (planned.status, planned.failure_reason) == (
        "cancelled",
        "A newer plan has taken its place.",
    )
    runs.run(row.pk, tags)
    requests.approve(alice, row)
    assert CleanupBatch.objects.filter(run=row, goes=True).count() == 4
    assert runs.run(row.pk, tags) is Outcome.MORE
    assert left(tags) == ALL
    monkeypatch.undo()
    assert runs.due() == [row.pk]
    assert runs.run(row.pk, tags) is Outcome.DONE
    assert left(tags) == ["latest", "v4"]


def test_who_had_a_turn_waits_behind_the_others(
    approved: CleanupRun, make_project: Any, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = CleanupRun.objects.create(project=make_project("acme/other"), rules=[])
    assert runs.due() == [approved.pk, other.pk]
    monkeypatch.setattr(runs, "TURN", -1.0)
    assert runs.run(approved.pk, tags) is Outcome.MORE
    assert runs.due() == [other.pk, approved.pk]


def test_so_many_at_once(approved: CleanupRun, make_project: Any, tags: Any) -> None:
    for number in range(runs.AT_ONCE):
        row = CleanupRun.objects.create(project=make_project(f"acme/p{number}"))
        assert runs.take(row.pk) is not None
    assert runs.due() == []
    assert runs.run(approved.pk, tags) is Outcome.NOT_OURS


def test_bounds_of_a_plan(tags: Any, alice: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MAX_TAGS", 3)
    monkeypatch.setattr(plan, "MAX_GOING", 1)
    monkeypatch.setattr(plan, "_PAGE_OF_OURS", 2)
    row = requests.request(alice, app)
    runs.run(row.pk, tags)
    row.refresh_from_db()
    # latest, v0 and v1 were looked at, and v1 is the newest of them.
    assert (row.seen_count, row.going_count, row.is_cut) == (3, 1, True)
    assert list(entries(row)) == ["v0"]


def test_more_than_the_registry_counts_at_once(
    tags: Any, alice: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_FORECAST", 3)
    row = requests.request(alice, app)
    runs.run(row.pk, tags)
    row.refresh_from_db()
    assert row.freed_bytes == 2 * tags.freed_bytes.alone_bytes
    assert not row.is_exact


def test_what_several_images_share_makes_it_the_least(
    tags: Any, alice: Any, app: Any, make_image: Any
) -> None:
    make_image("acme/app/other", of=app)
    row = requests.request(alice, app)
    runs.run(row.pk, tags)
    row.refresh_from_db()
    assert row.is_exact, "nothing goes of the other"
    for number in range(3):
        tags.push("acme/app/other", f"v{number}", "abc"[number])
    row = requests.request(alice, app)
    runs.run(row.pk, tags)
    row.refresh_from_db()
    assert row.freed_bytes == 2 * tags.freed_bytes.alone_bytes
    assert not row.is_exact


def test_a_long_plan_is_written_while_the_registry_counts(
    tags: Any, alice: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_MANY", 1)
    monkeypatch.setattr(plan, "_WRITTEN_AT_ONCE", 1)
    monkeypatch.setattr(plan, "KEPT_IN_BATCH", 1)
    row = requests.request(alice, app)
    runs.run(row.pk, tags)
    row.refresh_from_db()
    assert row.status == "planned"
    assert row.freed_bytes == tags.freed_bytes.alone_bytes
    batches = CleanupBatch.objects.filter(run=row).order_by("number")
    numbers = list(batches.values_list("number", flat=True))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 2
    assert sum(len(each.entries) for each in batches) == row.seen_count


def test_a_registry_that_does_not_answer(approved: CleanupRun, tags: Any) -> None:
    tags.trouble = RegistryUnavailable("no answer")
    for _ in range(leases.MAX_FAILURES - 1):
        assert runs.run(approved.pk, tags) is Outcome.LATER
        approved.refresh_from_db()
        assert approved.next_attempt_at is not None
        assert approved.next_attempt_at > timezone.now()
        assert runs.run(approved.pk, tags) is Outcome.NOT_OURS
        CleanupRun.objects.update(next_attempt_at=None)
    assert runs.run(approved.pk, tags) is Outcome.FAILED
    approved.refresh_from_db()
    assert (approved.status, approved.failure_reason) == ("failed", "no answer")
    assert left(tags) == ALL


def test_a_registry_that_refuses(approved: CleanupRun, tags: Any) -> None:
    tags.trouble = RegistryRefused(405, "UNSUPPORTED", "deletion is off")
    assert runs.run(approved.pk, tags) is Outcome.FAILED
    approved.refresh_from_db()
    assert approved.failure_reason == "UNSUPPORTED: deletion is off"


def test_a_worker_that_died_is_succeeded(approved: CleanupRun, tags: Any) -> None:
    assert runs.take(approved.pk) is not None
    assert runs.take(approved.pk) is None
    assert runs.due() == []
    before = timezone.now() - leases.STALE - dt.timedelta(seconds=1)
    CleanupRun.objects.update(lease_renewed_at=before)
    assert runs.due() == [approved.pk]
    assert runs.run(approved.pk, tags) is Outcome.DONE


def test_whose_lease_is_gone_lets_go(
    approved: CleanupRun, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tags.delete_unmoved

    def robbed(*arguments: Any, **options: Any) -> Any:
        CleanupRun.objects.update(lease=None)
        return real(*arguments, **options)

    monkeypatch.setattr(tags, "delete_unmoved", robbed)
    assert runs.run(approved.pk, tags) is Outcome.NOT_OURS
    approved.refresh_from_db()
    assert approved.status == "running"


def test_while_the_path_changes_it_waits(approved: CleanupRun, tags: Any, app: Any) -> None:
    change = PathChange.objects.create(project=app, old_path="acme/app", new_path="acme/new")
    assert runs.run(approved.pk, tags) is Outcome.LATER
    change.delete()
    CleanupRun.objects.update(next_attempt_at=None)
    assert runs.run(approved.pk, tags) is Outcome.DONE


@pytest.mark.parametrize("status", ["planning", "planned", "approved"])
def test_cancelled_before_it_begins(
    planned: CleanupRun, alice: Any, tags: Any, status: str
) -> None:
    CleanupRun.objects.update(status=status)
    row = requests.cancel(alice, planned)
    assert row.status == "cancelled"
    assert runs.run(row.pk, tags) is Outcome.NOT_OURS
    assert left(tags) == ALL
    with pytest.raises(Conflict):
        requests.cancel(alice, row)
    with pytest.raises(Conflict):
        requests.approve(alice, row)
    with pytest.raises(Conflict):
        requests.undo(alice, row)


def test_cancelled_while_it_runs(
    planned: CleanupRun, alice: Any, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "GOING_IN_BATCH", 2)
    row = requests.request(alice, planned.project)
    runs.run(row.pk, tags)
    requests.approve(alice, row)
    real = tags.delete_unmoved

    def cancelled(*arguments: Any, **options: Any) -> Any:
        row.refresh_from_db()
        assert requests.cancel(alice, row).status == "running"
        return real(*arguments, **options)

    monkeypatch.setattr(tags, "delete_unmoved", cancelled)
    assert runs.run(row.pk, tags) is Outcome.DONE
    row.refresh_from_db()
    assert (row.status, row.deleted_count) == ("cancelled", 2)
    assert left(tags) == ["latest", "v2", "v3", "v4"]
    requests.undo(alice, row)
    assert runs.run(row.pk, tags) is Outcome.DONE
    assert left(tags) == ALL


def test_undone_as_a_whole(finished: CleanupRun, tags: Any, alice: Any) -> None:
    until = requests.undo_until(finished)
    assert until is not None
    row = requests.undo(alice, finished)
    assert row.status == "undoing"
    assert runs.run(row.pk, tags) is Outcome.DONE
    row.refresh_from_db()
    assert (row.status, row.restored_count, row.deleted_count) == ("undone", 4, 4)
    assert row.undone_at is not None
    assert left(tags) == ALL
    assert {each.outcome for each in entries(row).values()} == {"restored"}
    assert AuditEvent.objects.get(action="tag.restore").details["cleanup"] == row.pk
    with pytest.raises(Conflict):
        requests.undo(alice, row)


def test_undo_leaves_what_others_have_pushed(finished: CleanupRun, tags: Any, alice: Any) -> None:
    tags.push(PATH, "v1", "f")
    lost = tags.past[PATH, "v2"]
    lost[0] = dataclasses.replace(lost[0], is_restorable=False)
    requests.undo(alice, finished)
    assert runs.run(finished.pk, tags) is Outcome.DONE
    finished.refresh_from_db()
    assert (finished.status, finished.restored_count) == ("undone", 2)
    found = entries(finished)
    assert {name: each.outcome for name, each in found.items()} == {
        "v0": "restored",
        "v1": "lost",
        "v2": "lost",
        "v3": "restored",
    }
    assert found["v1"].said == "there is a tag v1 again"
    assert tags.now[PATH]["v1"].digest == f"sha256:{'f' * 64}"


def test_too_late_for_undo(finished: CleanupRun, alice: Any, settings: Any) -> None:
    CleanupRun.objects.update(started_at=timezone.now() - settings.UNDO_WINDOW)
    finished.refresh_from_db()
    with pytest.raises(Conflict):
        requests.undo(alice, finished)
    settings.UNDO_WINDOW = dt.timedelta()
    assert requests.undo_until(finished) is None


def test_a_registry_of_others(approved: CleanupRun, tags: Any, alice: Any) -> None:
    tags.has_own_api = False
    tags.push(PATH, "v1", "f")
    del tags.now[PATH]["v2"]
    assert runs.run(approved.pk, tags) is Outcome.DONE
    assert left(tags) == ["latest", "v1", "v4"]
    requests.undo(alice, CleanupRun.objects.get(pk=approved.pk))
    assert runs.run(approved.pk, tags) is Outcome.FAILED
    assert "keeps nothing" in CleanupRun.objects.get(pk=approved.pk).failure_reason


def test_one_at_a_time(tags: Any, alice: Any, app: Any, finished: CleanupRun) -> None:
    tags.push(PATH, "v5", "e")
    row = requests.request(alice, app)
    with pytest.raises(Conflict):
        requests.request(alice, app)
    with pytest.raises(Conflict):
        requests.undo(alice, finished)
    requests.cancel(alice, row)
    requests.undo(alice, finished)


@pytest.mark.parametrize("how", ["blocked", "no member", "gone", "archived"])
def test_who_may_no_more(approved: CleanupRun, tags: Any, alice: Any, app: Any, how: str) -> None:
    if how == "blocked":
        alice.state = "blocked"
        alice.save()
    elif how == "no member":
        alice.memberships.all().delete()
    elif how == "gone":
        CleanupRun.objects.update(approved_by=None)
    else:
        app.archived = True
        app.save()
    assert runs.run(approved.pk, tags) is Outcome.FAILED
    assert left(tags) == ALL
    approved.refresh_from_db()
    assert "not allowed" in approved.failure_reason


def test_an_image_that_went_meanwhile(approved: CleanupRun, tags: Any, web: Any) -> None:
    web.delete()
    assert runs.run(approved.pk, tags) is Outcome.DONE
    assert left(tags) == ALL
    assert {each.said for each in entries(approved).values()} == {
        "the image is gone or being deleted"
    }


def test_receipts_are_kept_for_a_time(finished: CleanupRun) -> None:
    runs.due()
    assert CleanupRun.objects.exists()
    CleanupRun.objects.update(finished_at=timezone.now() - runs.KEPT - dt.timedelta(days=1))
    runs.due()
    assert not CleanupRun.objects.exists()
    assert not CleanupBatch.objects.exists()


def test_without_a_rule_nothing_is_planned(
    web: Any, alice: Any, app: Any, enqueued: list[Any]
) -> None:
    services.save_policy(alice, app, rules=[])
    with pytest.raises(Conflict):
        requests.request(alice, app)


def test_who_may(
    planned: CleanupRun, finished: CleanupRun, bob: Any, carol: Any, mallory: Any, app: Any
) -> None:
    for by, refusal in ((bob, Forbidden), (carol, Forbidden), (mallory, NotFound)):
        for call in (requests.approve, requests.cancel, requests.undo):
            with pytest.raises(refusal):
                call(by, finished)
        with pytest.raises(refusal):
            requests.request(by, app)
        with pytest.raises(refusal):
            requests.get_for(by, app, finished.pk)


def test_one_of_another_project_is_none_of_this(
    finished: CleanupRun, make_project: Any, alice: Any
) -> None:
    other = make_project("acme/other", owner=alice)
    with pytest.raises(NotFound):
        requests.get_for(alice, other, finished.pk)
