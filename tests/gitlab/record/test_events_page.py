"""The pages of the record: each shows what belongs there, to who may see it; filters, exports."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from django.utils import timezone

from gitlab.audit import chain, queries
from gitlab.audit.models import AuditEvent
from gitlab.audit.origin import acting_from
from gitlab.audit.services import record
from gitlab.namespaces import members, services
from gitlab.record.summaries import shown
from gitlab.record.views import events

pytestmark = pytest.mark.django_db

INSTANCE, OWN = "/admin/audit_log", "/-/user_settings/audit_log"
GROUP, PROJECT = "/groups/acme/-/audit_events", "/acme/team/app/-/audit_events"


@pytest.fixture
def app(alice: Any, bob: Any, make_group: Any, make_project: Any) -> Any:
    make_group("acme/team", owner=alice, maintainers=[bob])
    with acting_from("192.0.2.9", "access_token:7"):
        found = make_project("acme/team/app", owner=alice)
        services.update_project(alice, found, visibility="public")
    return found


def body(client: Any, url: str, **query: str) -> str:
    answer = client.get(url, query)
    assert answer.status_code == 200, url
    text: str = (
        b"".join(answer.streaming_content) if answer.streaming else answer.content
    ).decode()
    return text


def test_who_sees_which(client: Any, app: Any, alice: Any, bob: Any, carol: Any, root: Any) -> None:
    seen = {
        "alice": {GROUP, PROJECT, OWN},
        "bob": {PROJECT, OWN},
        "carol": {OWN},
        "root": {INSTANCE, GROUP, PROJECT, OWN},
    }
    for user in (alice, bob, carol, root):
        client.force_login(user)
        ok = {url for url in (INSTANCE, GROUP, PROJECT, OWN) if client.get(url).status_code == 200}
        assert ok == seen[user.username]
    client.logout()
    for url in (INSTANCE, GROUP, PROJECT, OWN):
        assert client.get(url).status_code == 302


def test_what_stands_where(client: Any, app: Any, alice: Any, bob: Any, make_project: Any) -> None:
    make_project("bob/other")
    members.add_member(alice, app, bob, 30)
    client.force_login(alice)
    project, group, own = (body(client, url) for url in (PROJECT, GROUP, OWN))
    assert "visibility: private → public" in project
    assert "access_token:7" in project
    assert "group.create" not in project
    assert "member.add" in project
    assert "group.create" in group
    assert "bob/<wbr>other" not in group + own
    client.force_login(bob)
    own = body(client, OWN)
    assert "member.add" in own
    assert "192.0.2.9" not in own


def test_what_is_not_shown_is_not_found_either(
    client: Any, app: Any, alice: Any, bob: Any, carol: Any
) -> None:
    """Nobody learns by guesses where somebody acted from who has done something to them."""
    with acting_from("192.0.2.7", "access_token:8"):
        members.add_member(alice, app, carol, 30)
    with acting_from("192.0.2.8"):
        record("user.update", by=carol, target=carol)
    client.force_login(carol)
    assert "member.add" in body(client, OWN, action="member.add")
    for query in ({"address": "192.0.2.7"}, {"credential": "access_token:8"}):
        assert "member.add" not in body(client, OWN, **query)
        assert "member.add" not in body(client, OWN, format="csv", **query)
    assert "user.update" in body(client, OWN, address="192.0.2.8")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"actor": "alice", "action": "project."}, {"project.create", "project.update"}),
        ({"action": "project.update"}, {"project.update"}),
        ({"target": "acme/team/"}, {"group.create", "project.create", "project.update"}),
        ({"address": "192.0.2.9"}, {"project.create", "project.update"}),
        ({"credential": "access_token:7"}, {"project.create", "project.update"}),
        ({"actor": "mallory"}, set()),
        ({"until": "2020-01-01"}, set()),
        ({"request_id": "none-of-these"}, set()),
    ],
)
def test_filters(client: Any, app: Any, root: Any, query: dict[str, str], found: set[str]) -> None:
    client.force_login(root)
    text = body(client, INSTANCE, format="jsonl", **query)
    assert {json.loads(line)["action"] for line in text.splitlines()} == found
    assert ("Nothing fits" in body(client, INSTANCE, **query)) is (not found)


def test_a_day_that_is_none_is_said(client: Any, app: Any, root: Any) -> None:
    client.force_login(root)
    assert "Enter a valid date" in body(client, INSTANCE, since="yesterday")


def test_today_is_in_the_last_day(app: Any) -> None:
    from gitlab.record.forms import FilterForm

    today = timezone.now().date().isoformat()
    rows = FilterForm({"since": "2020-01-01", "until": today}).filter.of(AuditEvent.objects.all())
    assert rows.count() == AuditEvent.objects.filter(at__date__lte=today).count()


def test_pages_by_key(client: Any, app: Any, root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PAGE", 2)
    for number in range(5):
        record("thing.do", by=root, number=number)
    client.force_login(root)
    seen: list[str] = []
    query = {"action": "thing.do"}
    for _ in range(3):
        answer = client.get(INSTANCE, query)
        seen += [row.event.details["number"] for row in answer.context["events"]]
        following = answer.context["next_url"]
        if following:
            from django.http import QueryDict

            query = QueryDict(following[1:]).dict()
    assert seen == [4, 3, 2, 1, 0]
    assert not following
    assert client.get(INSTANCE, {"after": "no key"}).status_code == 400


def test_exports(client: Any, app: Any, root: Any) -> None:
    record("thing.do", by=root, path="=cmd()", tags=["v1", "v2"])
    chain.seal()
    client.force_login(root)
    rows = list(csv.DictReader(body(client, INSTANCE, format="csv").splitlines()))
    lines = [json.loads(line) for line in body(client, INSTANCE, format="jsonl").splitlines()]
    assert [row["id"] for row in rows] == [str(line["id"]) for line in lines]
    thing = next(row for row in rows if row["action"] == "thing.do")
    assert thing["target_path"] == "'=cmd()"
    assert json.loads(thing["details"]) == {"tags": ["v1", "v2"]}
    assert len(thing["digest"]) == 64
    answer = client.get(INSTANCE, {"format": "csv"})
    assert answer["Content-Disposition"].startswith('attachment; filename="audit-')


def test_an_export_ends(client: Any, root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST", 3)
    for _ in range(5):
        record("thing.do", by=root)
    client.force_login(root)
    assert len(body(client, INSTANCE, format="jsonl").splitlines()) == 3


def test_a_page_costs_the_same_for_many(
    client: Any, app: Any, alice: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(30):
        record("thing.do", by=alice, target=app)
    client.force_login(alice)
    with django_assert_max_num_queries(12):
        body(client, PROJECT)


def test_a_value_has_an_end() -> None:
    event = AuditEvent(action="tag.delete", details={"tags": ["x" * 128] * 100, "n": None})
    ((name, text),) = shown(event).details
    assert name == "tags"
    assert len(text) == 120
    assert queries.ORDER == ("-at", "-id")
