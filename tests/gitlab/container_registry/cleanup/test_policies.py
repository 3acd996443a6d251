"""Whose policy holds, who changes it, and when it runs."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.cleanup import services
from gitlab.container_registry.cleanup.models import CleanupPolicy, CleanupRun
from gitlab.refusals import Forbidden, Invalid, NotFound

pytestmark = pytest.mark.django_db
RULES = [{"name_regex_delete": "dev-.*", "older_than": "7d"}]


@pytest.fixture
def places(make_group: Any, make_project: Any, alice: Any, root: Any) -> dict[str, Any]:
    acme = make_group("acme", owner=alice)
    tools = make_group("acme/tools", owner=alice)
    app = make_project("acme/tools/app", owner=alice)
    return {"instance": None, "acme": acme, "tools": tools, "app": app}


def test_the_nearest_holds(places: dict[str, Any], root: Any) -> None:
    app = places["app"]
    assert services.effective_policy(app).pk is None
    for name, owner in places.items():
        services.save_policy(root, owner, rules=[{"name_regex_delete": name}])
        policy = services.effective_policy(app)
        assert policy.rules[0]["name_regex_delete"] == name
        assert services.is_own(policy, owner)
        assert services.is_own(policy, app) == (owner is app)
    for gone, name in (("app", "tools"), ("tools", "acme"), ("acme", "instance")):
        services.remove_policy(root, places[gone])
        assert services.effective_policy(app).rules[0]["name_regex_delete"] == name
    services.remove_policy(root, None)
    assert services.effective_policy(app).pk is None
    services.remove_policy(root, None)


def test_a_group_inherits_too(places: dict[str, Any], root: Any) -> None:
    assert services.effective_policy(places["tools"]).pk is None
    services.save_policy(root, None, rules=RULES)
    assert services.effective_policy(places["tools"]).is_instance
    services.save_policy(root, places["acme"], rules=RULES)
    found = services.effective_policy(places["tools"])
    assert found.namespace == places["acme"]
    assert not services.is_own(found, places["tools"])


def test_one_query_for_many(make_project: Any, alice: Any, places: dict[str, Any]) -> None:
    services.save_policy(alice, places["acme"], rules=RULES)
    projects = [make_project(f"acme/tools/p{number}", owner=alice) for number in range(5)]
    with CaptureQueriesContext(connection) as captured:
        found = services.effective_policies(projects)
    assert len(captured) == 1
    assert len(found) == 5


def test_what_is_inherited_becomes_ones_own(places: dict[str, Any], root: Any, alice: Any) -> None:
    services.save_policy(root, None, enabled=True, cadence="7d", rules=RULES)
    row = services.save_policy(alice, places["app"], requires_approval=True)
    assert (row.enabled, row.cadence, row.requires_approval) == (True, "7d", True)
    assert row.rules[0]["older_than"] == "7d"
    event = AuditEvent.objects.filter(action="cleanup_policy.update").latest("pk")
    assert event.target_path == "acme/tools/app"


def test_when_it_runs(places: dict[str, Any], alice: Any) -> None:
    app = places["app"]
    row = services.save_policy(alice, app, enabled=True, cadence="7d", rules=RULES)
    assert row.next_run_at is not None
    assert abs(row.next_run_at - timezone.now() - dt.timedelta(days=7)) < dt.timedelta(minutes=1)
    same = services.save_policy(alice, app, rules=[{"name_regex_delete": "x"}])
    assert same.next_run_at == row.next_run_at
    sooner = services.save_policy(alice, app, cadence="1d")
    assert sooner.next_run_at is not None
    assert sooner.next_run_at < row.next_run_at
    assert services.save_policy(alice, app, enabled=False).next_run_at is None


def test_a_change_ends_what_was_planned_by_itself(places: dict[str, Any], alice: Any) -> None:
    app = places["app"]
    by_itself = CleanupRun.objects.create(project=app, status="planned", by_policy=True)
    asked = CleanupRun.objects.create(project=app, status="planned", requested_by=alice)
    services.save_policy(alice, app, rules=RULES)
    by_itself.refresh_from_db()
    asked.refresh_from_db()
    assert (by_itself.status, asked.status) == ("cancelled", "planned")


def test_what_is_refused_changes_nothing(places: dict[str, Any], alice: Any) -> None:
    app = places["app"]
    for given in (
        {"cadence": "2d"},
        {"enabled": True, "rules": []},
        {"enabled": True, "rules": [{"keep_n": 1}]},
        {"rules": [{"name_regex_delete": "("}]},
    ):
        with pytest.raises(Invalid):
            services.save_policy(alice, app, **given)
    assert not CleanupPolicy.objects.exists()


def test_who_may(places: dict[str, Any], alice: Any, bob: Any, mallory: Any, root: Any) -> None:
    app = places["app"]
    app.members.create(user=bob, access_level=30)
    for by, owner, refusal in (
        (bob, app, Forbidden),
        (mallory, app, NotFound),
        (mallory, places["acme"], Forbidden),
        (alice, None, Forbidden),
        (None, None, Forbidden),
    ):
        with pytest.raises(refusal):
            services.save_policy(by, owner, rules=RULES)
        with pytest.raises(refusal):
            services.remove_policy(by, owner)
    app.members.filter(user=bob).update(access_level=40)
    services.save_policy(bob, app, rules=RULES)
    with pytest.raises(Forbidden):
        services.save_policy(bob, places["acme"], rules=RULES)
