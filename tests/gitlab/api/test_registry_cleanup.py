"""Cleanup policies with all their rules; plans, runs and their undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gitlab.container_registry.cleanup import plan, requests, runs, services
from gitlab.container_registry.cleanup.models import CleanupPolicy, CleanupRun
from tests.gitlab.api.conftest import Api, assert_refused
from tests.gitlab.container_registry.cleanup.played_cleanup import *  # noqa: F403
from tests.gitlab.container_registry.cleanup.played_cleanup import PATH, left

pytestmark = pytest.mark.django_db
RULE = {
    "name_regex_delete": "v.*",
    "name_regex_keep": "v1.*",
    "keep_n": 5,
    "older_than": "30d",
    "not_pulled_for": "90d",
    "never_pulled": False,
    "untagged": False,
}


def policy_of(where: Any) -> str:
    kind = "projects" if hasattr(where, "namespace_id") else "groups"
    return f"{kind}/{where.pk}/registry/cleanup/policy"


def runs_of(project: Any, *more: Any) -> str:
    return "/".join(map(str, (f"projects/{project.pk}/registry/cleanup/runs", *more)))


def test_a_policy_of_a_project(api: Api, alice: Any, app: Any) -> None:
    shown = api(alice).get(policy_of(app)).json()
    assert shown["enabled"] is False
    assert shown["inherited_from"] is None
    assert shown["rules"][0]["older_than"] == "90d"
    given = {
        "enabled": True,
        "cadence": "7d",
        "requires_approval": True,
        "rules": [RULE, {"name_regex_delete": ".*", "older_than": "1y"}],
    }
    answer = api(alice).put(policy_of(app), given)
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert found == api(alice).get(policy_of(app)).json()
    assert found["rules"][0] == RULE
    assert found["rules"][1]["older_than"] == "365d"
    assert found["next_run_at"].endswith("Z")
    assert api(alice).get(f"projects/{app.pk}").json()["container_expiration_policy"]["keep_n"] == 5
    assert api(alice).delete(policy_of(app)).status_code == 204
    assert not CleanupPolicy.objects.exists()


def test_what_is_inherited(api: Api, root: Any, alice: Any, app: Any) -> None:
    assert api(root).put("registry/cleanup/policy", {"rules": [RULE]}).status_code == 200
    assert api(root).get("registry/cleanup/policy").json()["inherited_from"] is None
    assert api(alice).get(policy_of(app)).json()["inherited_from"] == ""
    group = app.namespace
    assert api(root).get(policy_of(group)).json()["inherited_from"] == ""
    assert api(root).put(policy_of(group), {"enabled": True}).status_code == 200
    shown = api(alice).get(policy_of(app)).json()
    assert (shown["inherited_from"], shown["enabled"]) == ("acme", True)
    assert api(root).delete(policy_of(group)).status_code == 204
    assert api(root).delete("registry/cleanup/policy").status_code == 204
    assert not CleanupPolicy.objects.exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cadence": "2d"}, "cadence does not have a valid value"),
        ({"rules": "x"}, "rules"),
        ({"rules": [1]}, "rules"),
        ({"rules": [{}] * 11}, "rules"),
        ({"rules": [{"name_regex_delete": "(?=x)"}]}, "at character 1"),
        ({"rules": [{"keep_n": -1}]}, "keep_n"),
        ({"rules": [{"older_than": "soon"}]}, "A number and a unit"),
        ({"enabled": True, "rules": []}, "needs a rule"),
    ],
)
def test_no_such_policy(api: Api, alice: Any, app: Any, given: Any, says: str) -> None:
    assert_refused(api(alice).put(policy_of(app), given), 400, says)
    assert not CleanupPolicy.objects.exists()


def test_who_may_change_policies(
    api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any
) -> None:
    for by, status in ((bob, 403), (carol, 403), (mallory, 404)):
        for method in ("GET", "PUT", "DELETE"):
            assert api(by)(method, policy_of(app), {}).status_code == status
    for method in ("GET", "PUT", "DELETE"):
        assert api(alice)(method, "registry/cleanup/policy", {}).status_code == 403
        assert api(bob)(method, policy_of(app.namespace), {}).status_code in (403, 404)
        assert api()(method, policy_of(app), {}).status_code == 401
    assert_refused(api(alice, "read_api").put(policy_of(app), {}), 403, "insufficient_scope")


def test_from_the_plan_to_the_undo(api: Api, alice: Any, app: Any, tags: Any) -> None:
    answer = api(alice).post(runs_of(app))
    assert answer.status_code == 202, answer.content
    run = answer.json()
    assert (run["status"], run["requested_by"]["username"]) == ("planning", "alice")
    runs.run(run["id"], tags)
    run = api(alice).get(runs_of(app, run["id"])).json()
    assert (run["status"], run["seen_count"], run["going_count"]) == ("planned", 6, 4)
    assert (run["freed_bytes"], run["exact"], run["complete"]) == (228589568, True, True)
    going = api(alice).get(runs_of(app, run["id"], "tags?part=going")).json()
    assert going[0] == {
        "repository_id": app.container_repositories.get().pk,
        "path": PATH,
        "name": "v0",
        "digest": tags.now[PATH]["v0"].digest,
        "total_size": 5242880,
        "goes": True,
        "rule": 1,
        "reason": "deleted: older than the newest 1 of v.*",
        "outcome": "",
        "said": "",
    }
    assert api(alice).post(runs_of(app, run["id"], "approve")).json()["status"] == "approved"
    tags.push(PATH, "v1", "f")
    runs.run(run["id"], tags)
    run = api(alice).get(runs_of(app, run["id"])).json()
    assert (run["status"], run["deleted_count"], run["spared_count"]) == ("finished", 3, 1)
    assert run["undo_until"].endswith("Z")
    (spared,) = api(alice).get(runs_of(app, run["id"], "tags?part=spared")).json()
    assert (spared["name"], spared["said"]) == ("v1", "points elsewhere since it was planned")
    assert api(alice).post(runs_of(app, run["id"], "undo")).json()["status"] == "undoing"
    runs.run(run["id"], tags)
    (run,) = api(alice).get(runs_of(app)).json()
    assert (run["status"], run["restored_count"], run["undo_until"]) == ("undone", 3, None)
    assert left(tags) == ["latest", "v0", "v1", "v2", "v3", "v4"]


def test_cancelled(api: Api, alice: Any, app: Any, planned: Any) -> None:
    answer = api(alice).post(runs_of(app, planned.pk, "cancel"))
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["ended_by"]["username"] == "alice"
    for verb in ("cancel", "approve", "undo"):
        assert_refused(api(alice).post(runs_of(app, planned.pk, verb)), 409)


def test_one_at_a_time(api: Api, alice: Any, app: Any, approved: Any) -> None:
    assert_refused(api(alice).post(runs_of(app)), 409, "under way")


def test_tags_by_pages(
    api: Api, alice: Any, app: Any, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "GOING_IN_BATCH", 3)
    run = requests.request(alice, app)
    runs.run(run.pk, tags)
    seen: list[str] = []
    address: str | None = runs_of(app, run.pk, "tags?per_page=2")
    while address:
        answer = api(alice).get(address)
        seen += [tag["name"] for tag in answer.json()]
        link = answer.headers.get("Link", "")
        address = link[1 : link.index(">")].partition("/api/v4/")[2] if link else None
    assert seen == ["v0", "v1", "v2", "v3", "latest", "v4"]
    kept = api(alice).get(runs_of(app, run.pk, "tags?part=kept")).json()
    assert [tag["name"] for tag in kept] == ["latest", "v4"]
    assert_refused(api(alice).get(runs_of(app, run.pk, "tags?cursor=x")), 400, "cursor")
    assert_refused(api(alice).get(runs_of(app, run.pk, "tags?part=x")), 400, "part")


def test_runs_by_pages_cost_the_same(api: Api, alice: Any, app: Any, bob: Any, web: Any) -> None:
    CleanupRun.objects.bulk_create(
        CleanupRun(project=app, status="finished", requested_by=bob, approved_by=alice)
        for _ in range(30)
    )
    client = api(alice)
    client.get(runs_of(app))
    with CaptureQueriesContext(connection) as few:
        client.get(runs_of(app) + "?per_page=1")
    with CaptureQueriesContext(connection) as many:
        answer = client.get(runs_of(app) + "?per_page=25")
    assert len(answer.json()) == 25
    assert len(many) <= len(few)
    assert answer.headers["X-Total"] == "30"


@pytest.fixture
def every_call(app: Any, planned: Any) -> Callable[[Any], dict[str, int]]:
    """What each operation about runs answers to somebody."""
    asked = [
        ("GET", runs_of(app)),
        ("POST", runs_of(app)),
        ("GET", runs_of(app, planned.pk)),
        ("GET", runs_of(app, planned.pk, "tags")),
        *(("POST", runs_of(app, planned.pk, verb)) for verb in ("approve", "cancel", "undo")),
    ]
    return lambda client: {
        f"{method} {path}": client(method, path).status_code for method, path in asked
    }


def test_who_may_run(
    api: Api, bob: Any, carol: Any, mallory: Any, every_call: Any, make_job: Any, app: Any
) -> None:
    for client, status in (
        (api(bob), 403),
        (api(carol), 403),
        (api(mallory), 404),
        (api(), 401),
        (api(None, HTTP_JOB_TOKEN=make_job(app, bob)[1]), 403),
    ):
        assert set(every_call(client).values()) == {status}
    assert CleanupRun.objects.get().status == "planned"


def test_of_another_project(api: Api, alice: Any, planned: Any, make_project: Any) -> None:
    other = make_project("acme/other", owner=alice)
    assert_refused(api(alice).get(runs_of(other, planned.pk)), 404, "404 Cleanup Not Found")
    services.save_policy(alice, other, rules=[])
    assert_refused(api(alice).post(runs_of(other)), 409, "no rule")
