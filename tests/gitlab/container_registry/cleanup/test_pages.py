"""The pages of cleanups: the policy, the plan, the run, its undo."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gitlab.container_registry.cleanup import plan, requests, runs, services
from gitlab.container_registry.cleanup.models import CleanupPolicy, CleanupRun
from gitlab.container_registry.client.responses import TagAge
from tests.gitlab.container_registry.cleanup.played_cleanup import PATH, left

pytestmark = pytest.mark.django_db
INDEX = "/acme/app/-/cleanup"
POLICY = f"{INDEX}/policy"
LONG_AGO = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def sent(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a browser sends of the form."""
    found = {"cadence": "1d", "rules-TOTAL_FORMS": len(rules), "rules-INITIAL_FORMS": 0}
    for number, rule in enumerate(rules):
        found |= {f"rules-{number}-{name}": value for name, value in rule.items()}
    return found | more


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_from_the_first_look_to_the_undo(
    browser: Any, alice: Any, tags: Any, django_capture_on_commit_callbacks: Any
) -> None:
    client = browser(alice)
    page = text(client.get(INDEX))
    assert "Tags like v.* go, but not the newest 1." in page
    assert "No cleanup yet" in page
    answer = client.post(f"{INDEX}/plan")
    run = CleanupRun.objects.get()
    assert answer.url == f"{INDEX}/{run.pk}"
    assert "Being planned" in text(client.get(answer.url))
    assert f'hx-get="{INDEX}/{run.pk}/progress"' in text(client.get(f"{answer.url}/progress"))
    runs.run(run.pk, tags)
    page = text(client.get(answer.url))
    assert "deleted: older than the newest 1 of v.*" in page
    assert "kept: newest" not in page
    assert "218.0 MiB" in page
    assert "kept: newest 1 of v.*" in text(client.get(f"{answer.url}?part=kept"))
    assert f'action="{answer.url}/approve"' in page
    assert "Waits for approval." in text(client.get(f"{answer.url}/progress"))
    page = text(client.post(f"{answer.url}/approve", follow=True))
    assert "It runs, exactly as it is planned." in page
    tags.push(PATH, "v1", "f")
    runs.run(run.pk, tags)
    page = text(client.get(answer.url))
    assert "points elsewhere since it was planned" in page
    assert page.count(">Deleted<") == 3 + 1
    assert "Spared" in text(client.get(f"{answer.url}?part=spared"))
    assert f'action="{answer.url}/undo"' in page
    client.post(f"{answer.url}/undo")
    assert "Being undone" in text(client.get(answer.url))
    runs.run(run.pk, tags)
    assert left(tags) == ["latest", "v0", "v1", "v2", "v3", "v4"]
    assert "Back again" in text(client.get(answer.url))
    assert "Undone" in text(client.get(INDEX))


def test_cancelled(browser: Any, alice: Any, planned: CleanupRun) -> None:
    client, here = browser(alice), f"{INDEX}/{planned.pk}"
    assert "It is cancelled." in text(client.post(f"{here}/cancel", follow=True))
    for verb in ("cancel", "approve", "undo"):
        page = text(client.post(f"{here}/{verb}", follow=True))
        assert "toast--bad" in page
    page = text(client.get(here))
    assert "cancelled by alice" in page
    assert f"{here}/approve" not in page


def test_while_one_is_under_way(browser: Any, alice: Any, approved: CleanupRun) -> None:
    page = text(browser(alice).post(f"{INDEX}/plan", follow=True))
    assert "A cleanup of this project is under way." in page


@pytest.mark.parametrize(
    ("status", "columns", "says"),
    [
        ("running", {"going_count": 9, "done_count": 4}, "4 of 9"),
        ("running", {"cancel_asked": True}, "Being cancelled"),
        ("running", {"failures": 1}, "tried again by itself"),
        ("planning", {"failures": 1}, "Planning waits"),
        ("approved", {}, "About to run"),
        ("failed", {"failure_reason": "no <answer>"}, "no &lt;answer&gt;"),
        ("cancelled", {}, "Cancelled"),
    ],
)
def test_how_far_it_is(
    browser: Any, alice: Any, planned: CleanupRun, status: str, columns: Any, says: str
) -> None:
    CleanupRun.objects.update(status=status, **columns)
    client, here = browser(alice), f"{INDEX}/{planned.pk}"
    for page in (here, f"{here}/progress"):
        assert says in text(client.get(page))


def test_tags_by_pages(
    browser: Any, alice: Any, app: Any, tags: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        tags.push(PATH, f"v1{number:02}")
    monkeypatch.setattr(plan, "GOING_IN_BATCH", 7)
    run = requests.request(alice, app)
    runs.run(run.pk, tags)
    client, here = browser(alice), f"{INDEX}/{run.pk}"
    assert "after=8-1" in text(client.get(here))
    page = text(client.get(f"{here}?part=going&after=8-1"))
    assert page.count("table__first") == 64 - 50
    assert client.get(f"{here}?after=x").status_code == 404
    assert client.get(f"{INDEX}?after=x").status_code == 404


def test_the_policy(browser: Any, alice: Any, app: Any, played: Any) -> None:
    client = browser(alice)
    page = text(client.get(POLICY))
    assert 'value="90d"' in page
    assert "One more rule" in page
    rules = [
        {"name_regex_delete": "v.*", "keep_n": "5"},
        {"name_regex_delete": ".*", "older_than": "30d", "never_pulled": "on"},
        {"name_regex_delete": ""},
    ]
    answer = client.post(POLICY, sent(*rules, enabled="on", cadence="7d", requires_approval="on"))
    assert answer.url == INDEX
    policy = services.effective_policy(app)
    assert (policy.enabled, policy.cadence, policy.requires_approval) == (True, "7d", True)
    assert [rule["name_regex_delete"] for rule in policy.rules] == ["v.*", ".*"]
    assert policy.rules[1]["never_pulled"] is True
    page = text(client.get(INDEX))
    assert "Every week; each plan waits for approval" in page
    assert "All tags go, but not what is younger than 30 days and what was ever pulled." in page
    client.post(POLICY, sent(inherit="yes"))
    assert not CleanupPolicy.objects.exists()


def test_images_without_a_tag(browser: Any, alice: Any, app: Any, tags: Any) -> None:
    client, digest = browser(alice), f"sha256:{'c' * 64}"
    client.post(POLICY, sent({"untagged": "on", "older_than": "30d"}, enabled="on"))
    assert "Images without a tag for 30 days go." in text(client.get(INDEX))
    tags.untagged = lambda path, *, after=0: ([TagAge(digest, digest, 7, None, LONG_AGO)], 0)
    run = requests.request(alice, app)
    runs.run(run.pk, tags)
    page = text(client.get(f"{INDEX}/{run.pk}"))
    assert "deleted: without a tag for" in page
    assert "cccccccccccc" in page


@pytest.mark.parametrize(
    ("rule", "more", "says"),
    [
        ({"name_regex_delete": "(?=x)"}, {}, "at character 1"),
        ({"name_regex_delete": "x", "older_than": "soon"}, {}, "A number and a unit"),
        ({"name_regex_delete": "x", "keep_n": "-1"}, {}, "greater than or equal to 0"),
        ({"untagged": "on", "keep_n": "1"}, {}, "has an age and no more"),
        ({"name_regex_delete": ""}, {"enabled": "on"}, "needs a rule with a pattern"),
        ({"name_regex_delete": "x"}, {"cadence": "2d"}, "not one of the available choices"),
    ],
)
def test_no_such_policy(
    browser: Any, alice: Any, app: Any, played: Any, rule: Any, more: Any, says: str
) -> None:
    assert says in text(browser(alice).post(POLICY, sent(rule, **more)))
    assert not CleanupPolicy.objects.exists()


def test_of_a_group_and_of_the_installation(
    browser: Any, root: Any, alice: Any, app: Any, played: Any
) -> None:
    client = browser(root)
    rule = {"name_regex_delete": "dev-.*"}
    for address, name in (
        ("/admin/cleanup_policy/", "the installation"),
        ("/groups/acme/-/cleanup", "the group acme"),
    ):
        assert "One more rule" in text(client.get(address))
        assert client.post(address, sent(rule)).url == address
        assert f"Inherited from {name}." in text(browser(alice).get(INDEX))
        assert "It is that of" in text(browser(alice).get(POLICY))
    for address in ("/groups/acme/-/cleanup", "/admin/cleanup_policy/"):
        assert client.post(address, sent(inherit="yes")).url == address
    assert not CleanupPolicy.objects.exists()
    assert "a proposal" in text(browser(alice).get(INDEX))


def test_who_may(
    browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any, planned: CleanupRun
) -> None:
    here = f"{INDEX}/{planned.pk}"
    for user, expected in ((bob, 403), (carol, 403), (mallory, 404), (None, 302)):
        client = browser(user)
        for address in (INDEX, POLICY, here, f"{here}/progress"):
            assert client.get(address).status_code == expected
        for address in (
            POLICY,
            f"{INDEX}/plan",
            *(f"{here}/{verb}" for verb in ("approve", "cancel", "undo")),
        ):
            assert client.post(address).status_code == expected
    for user in (alice, bob):
        assert browser(user).get("/admin/cleanup_policy/").status_code in (302, 403)
    assert browser(bob).get("/groups/acme/-/cleanup").status_code == 403
    assert browser(alice).get(f"{here}/approve").status_code == 405
    assert browser(alice).get(f"{INDEX}/999").status_code == 404
    planned.refresh_from_db()
    assert planned.status == "planned"
    assert INDEX in browser(alice).get("/acme/app").content.decode()
    assert INDEX not in browser(bob).get("/acme/app").content.decode()
