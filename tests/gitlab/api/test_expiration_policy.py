"""GitLab's fields of a project's cleanup policy."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry.cleanup import services
from gitlab.container_registry.cleanup.models import CleanupPolicy
from gitlab.namespaces.models import Project
from tests.gitlab.api.conftest import Api, assert_refused

pytestmark = pytest.mark.django_db
FIELD = "container_expiration_policy"
GIVEN = {
    "cadence": "1month",
    "enabled": True,
    "keep_n": 1,
    "older_than": "14d",
    "name_regex": ".*",
    "name_regex_delete": ".*",
    "name_regex_keep": ".*-main",
}


def put(api: Api, by: Any, project: Any, **given: Any) -> Any:
    return api(by).put(f"projects/{project.pk}", {f"{FIELD}_attributes": given})


def test_it_works(api: Api, alice: Any, app: Any) -> None:
    answer = put(api, alice, app, **GIVEN)
    assert answer.status_code == 200, answer.content
    shown = answer.json()[FIELD]
    assert shown.pop("next_run_at").endswith("Z")
    assert shown == GIVEN
    assert api(alice).get(f"projects/{app.pk}").json()[FIELD]["keep_n"] == 1
    answer = put(api, alice, app, keep_n="", older_than=None, enabled=False)
    shown = answer.json()[FIELD]
    assert (shown["keep_n"], shown["older_than"], shown["next_run_at"]) == (None, None, None)
    assert shown["name_regex_keep"] == ".*-main"


def test_where_nobody_has_said_anything(api: Api, alice: Any, app: Any) -> None:
    assert api(alice).get(f"projects/{app.pk}").json()[FIELD] == {
        "cadence": "1d",
        "enabled": False,
        "keep_n": 10,
        "older_than": "90d",
        "name_regex": ".*",
        "name_regex_delete": ".*",
        "name_regex_keep": None,
        "next_run_at": None,
    }
    assert not CleanupPolicy.objects.exists()


def test_as_a_form(api: Api, alice: Any, app: Any) -> None:
    body = f"{FIELD}_attributes[keep_n]=5&{FIELD}_attributes[enabled]=true"
    form = "application/x-www-form-urlencoded"
    answer = api(alice).put(f"projects/{app.pk}", body, content_type=form)
    assert answer.status_code == 200, answer.content
    assert answer.json()[FIELD]["keep_n"] == 5


def test_when_it_is_made(api: Api, alice: Any) -> None:
    attributes = {"enabled": True, "name_regex_delete": "dev-.*", "cadence": "7d"}
    body = {"path": "tools", f"{FIELD}_attributes": attributes}
    answer = api(alice).post("projects", body)
    assert answer.status_code == 201, answer.content
    assert answer.json()[FIELD]["name_regex"] == "dev-.*"
    refused = {"path": "other", f"{FIELD}_attributes": {"name_regex_delete": "(?=x)"}}
    assert_refused(api(alice).post("projects", refused), 400, "at character 1")
    assert not Project.objects.filter(path="other").exists()


def test_the_other_rules_stay(api: Api, alice: Any, app: Any) -> None:
    rules = [{"name_regex_delete": "a"}, {"name_regex_delete": "b", "not_pulled_for": "90d"}]
    services.save_policy(alice, app, rules=rules, requires_approval=True)
    put(api, alice, app, keep_n=10)
    policy = services.effective_policy(app)
    assert [rule["keep_n"] for rule in policy.rules] == [10, None]
    assert policy.rules[1]["not_pulled_for"] == "90d"
    assert policy.requires_approval


def test_a_rule_for_images_without_a_tag_is_none_of_gitlabs(api: Api, alice: Any, app: Any) -> None:
    services.save_policy(alice, app, rules=[{"untagged": True, "older_than": "30d"}])
    shown = api(alice).get(f"projects/{app.pk}").json()[FIELD]
    assert (shown["name_regex"], shown["older_than"]) == (None, None)
    put(api, alice, app, name_regex_delete="v.*", older_than="7d")
    found = services.effective_policy(app).rules
    assert [(rule["untagged"], rule["older_than"]) for rule in found] == [
        (False, "7d"),
        (True, "30d"),
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cadence": "2d"}, "[cadence] does not have a valid value"),
        ({"keep_n": 3}, "One of 1, 5, 10, 25, 50, 100."),
        ({"keep_n": "many"}, "[keep_n] is invalid"),
        ({"older_than": "8d"}, "One of 7d, 14d, 30d, 60d, 90d."),
        ({"older_than": "soon"}, "A number and a unit"),
        ({"name_regex": "(?!x)"}, "invalid perl operator: (?!, at character 1"),
        ({"name_regex_keep": "x" * 256}, "At most 255"),
        ({"enabled": True, "name_regex_delete": ""}, "needs a rule with a pattern"),
    ],
)
def test_it_refuses(api: Api, alice: Any, app: Any, given: dict[str, Any], says: str) -> None:
    whole = {f"{FIELD}_attributes": given, "name": "changed"}
    assert_refused(api(alice).put(f"projects/{app.pk}", whole), 400, says)
    app.refresh_from_db()
    assert app.name != "changed"
    assert not CleanupPolicy.objects.exists()


def test_who_may(api: Api, alice: Any, bob: Any, carol: Any, mallory: Any, app: Any) -> None:
    for by, status in ((bob, 403), (carol, 403), (mallory, 404)):
        assert put(api, by, app, enabled=True).status_code == status
    assert not CleanupPolicy.objects.exists()
    assert put(api, alice, app, enabled=True).status_code == 200
