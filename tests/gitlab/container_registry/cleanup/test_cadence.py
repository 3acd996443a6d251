"""What policies start by themselves."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.container_registry.cleanup import cadence, plan, requests, runs, services
from gitlab.container_registry.cleanup.models import CleanupPolicy, CleanupRun
from gitlab.jobs.leases import Outcome
from gitlab.namespaces.models import Namespace, Project
from tests.gitlab.container_registry.cleanup.played_cleanup import left

pytestmark = pytest.mark.django_db
RULES = [{"name_regex_delete": ".*", "keep_n": 2}]


def make_due(owner: Any, by: Any, **columns: Any) -> CleanupPolicy:
    row = services.save_policy(by, owner, enabled=True, rules=RULES, **columns)
    CleanupPolicy.objects.filter(pk=row.pk).update(next_run_at=timezone.now())
    row.refresh_from_db()
    return row


@pytest.fixture
def group(make_group: Any, make_project: Any, make_image: Any, alice: Any) -> Namespace:
    """With five projects that have an image each, one that has none, one archived."""
    acme = make_group("acme", owner=alice)
    for number in range(5):
        project = make_project(f"acme/p{number}", owner=alice)
        make_image(f"acme/p{number}/web", of=project)
    make_project("acme/empty", owner=alice)
    archived = make_project("acme/old", owner=alice)
    make_image("acme/old/web", of=archived)
    Project.objects.filter(pk=archived.pk).update(archived=True)
    return acme


def paths() -> list[str]:
    return sorted(CleanupRun.objects.values_list("project__full_path", flat=True))


def test_of_a_project(tags: Any, alice: Any, app: Any, enqueued: list[Any]) -> None:
    row = make_due(app, alice, cadence="7d")
    assert cadence.open_due() == 1
    assert cadence.open_due() == 0
    policy = CleanupPolicy.objects.get()
    assert row.next_run_at is not None
    assert policy.next_run_at == row.next_run_at + dt.timedelta(days=7)
    run = CleanupRun.objects.get()
    assert (run.by_policy, run.requires_approval, run.rules) == (True, False, policy.rules)
    assert runs.run(run.pk, tags) is Outcome.MORE
    assert enqueued[-1] == (requests.TASK, run.pk)
    assert runs.run(run.pk, tags) is Outcome.DONE
    assert left(tags) == ["latest", "v3", "v4"]
    assert ("delete unmoved", "acme/app/web", ["v0", "v1", "v2"], "") in tags.calls


def test_what_one_plan_can_not_hold_follows(
    tags: Any, alice: Any, app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MAX_GOING", 2)
    make_due(app, alice)
    cadence.open_due()
    for expected in (["latest", "v2", "v3", "v4"], ["latest", "v3", "v4"]):
        run = CleanupRun.objects.get(status="planning")
        runs.run(run.pk, tags)
        runs.run(run.pk, tags)
        assert left(tags) == expected
    assert not CleanupRun.objects.filter(status__in=["planning", "approved"]).exists()


def test_one_that_wants_approval_waits(tags: Any, alice: Any, app: Any) -> None:
    make_due(app, alice, requires_approval=True)
    cadence.open_due()
    run = CleanupRun.objects.get()
    assert runs.run(run.pk, tags) is Outcome.DONE
    run.refresh_from_db()
    assert run.status == "planned"
    requests.approve(alice, run)
    assert runs.run(run.pk, tags) is Outcome.DONE


@pytest.mark.parametrize(
    "columns",
    [{"archived": True}, {"registry_access": "disabled"}, {"pending_delete_at": timezone.now()}],
)
def test_a_project_that_takes_no_changes_by_then(
    tags: Any, alice: Any, app: Any, columns: dict[str, Any]
) -> None:
    make_due(app, alice)
    cadence.open_due()
    run = CleanupRun.objects.get()
    assert runs.run(run.pk, tags) is Outcome.MORE
    Project.objects.filter(pk=app.pk).update(**columns)
    assert runs.run(run.pk, tags) is Outcome.FAILED
    run.refresh_from_db()
    assert run.failure_reason == "not allowed: the project takes no changes"
    assert len(left(tags)) == 6


def test_of_a_group_in_steps(
    group: Namespace, alice: Any, enqueued: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cadence, "_PROJECTS", 2)
    own = Project.objects.get(full_path="acme/p1")
    services.save_policy(alice, own, enabled=False, rules=RULES)
    make_due(group, alice)
    assert [cadence.open_due() for _ in range(4)] == [2, 2, 0, 0]
    assert paths() == ["acme/p0", "acme/p2", "acme/p3", "acme/p4"]
    policy = CleanupPolicy.objects.get(namespace=group)
    assert policy.opened_up_to == 0
    assert policy.next_run_at is not None
    assert policy.next_run_at > timezone.now()


def test_the_nearer_group_has_its_own(
    group: Namespace, make_group: Any, make_project: Any, make_image: Any, root: Any
) -> None:
    make_group("acme/tools", owner=root)
    make_image("acme/tools/app/web", of=make_project("acme/tools/app"))
    services.save_policy(root, Namespace.objects.get(full_path="acme/tools"), rules=RULES)
    make_due(None, root)
    assert cadence.open_due() == 5
    assert "acme/tools/app" not in paths()


def test_one_under_way_is_left_alone(tags: Any, alice: Any, app: Any) -> None:
    make_due(app, alice)
    requests.request(alice, app)
    assert cadence.open_due() == 0
    policy = CleanupPolicy.objects.get()
    assert policy.next_run_at is not None
    assert policy.next_run_at > timezone.now()


def test_after_a_long_rest_it_runs_once(tags: Any, alice: Any, app: Any) -> None:
    row = make_due(app, alice)
    CleanupPolicy.objects.update(next_run_at=timezone.now() - dt.timedelta(days=30, hours=1))
    assert cadence.open_due() == 1
    row.refresh_from_db()
    assert row.next_run_at is not None
    assert dt.timedelta() < row.next_run_at - timezone.now() <= dt.timedelta(days=1)


def test_two_at_once_open_one(tags: Any, alice: Any, app: Any) -> None:
    policy = make_due(app, alice)
    assert cadence._open(policy) == 1
    assert cadence._open(policy) == 0
    assert CleanupRun.objects.count() == 1


def test_finding_what_is_due_costs_what_is_due(
    make_group: Any, make_project: Any, alice: Any
) -> None:
    """An index leads to it, however many policies there are."""
    acme = make_group("acme", owner=alice)
    Project.objects.bulk_create(
        Project(namespace=acme, path=f"p{n}", full_path=f"acme/p{n}", name="p") for n in range(300)
    )
    later = timezone.now() + dt.timedelta(days=1)
    CleanupPolicy.objects.bulk_create(
        CleanupPolicy(project=project, enabled=True, next_run_at=later, rules=RULES)
        for project in Project.objects.all()
    )
    with CaptureQueriesContext(connection) as captured:
        assert cadence.open_due() == 0
        assert runs.due() == []
    assert len(captured) == 4
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE cleanup_cleanuppolicy")
            cursor.execute("SET LOCAL enable_seqscan = off")
    due = CleanupPolicy.objects.filter(next_run_at__lte=timezone.now()).order_by("next_run_at")
    assert "cleanup_policy_due" in due.explain()
