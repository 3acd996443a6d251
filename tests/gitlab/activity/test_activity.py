"""The activity of projects and groups: in words, by role, by pages."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.activity import reading
from gitlab.activity.views import activity, lines
from gitlab.audit.models import AuditEvent
from gitlab.audit.services import record
from gitlab.namespaces.models import Member
from tests.gitlab.played_registry import digest

pytestmark = pytest.mark.django_db

PROJECT, GROUP = "/acme/app/-/activity", "/groups/acme/-/activity"


@pytest.fixture
def web(app: Any, make_image: Any) -> Any:
    return make_image("acme/app/web", of=app)


@pytest.fixture
def happened(app: Any, web: Any, alice: Any, bob: Any, carol: Any) -> None:
    """A push, a deletion, a restore, and what is for maintainers alone."""
    at = timezone.now() + dt.timedelta(minutes=1)
    step = dt.timedelta(seconds=1)
    more: dict[str, Any] = {"target": web, "address": "203.0.113.7"}
    record("tag.push", by=bob, at=at, tag="v1", digest=digest("a"), replaced=digest("b"), **more)
    record("tag.delete", by=alice, at=at + step, tags=[f"t{n}" for n in range(9)], **more)
    record("tag.restore", by=alice, at=at + step * 2, tags=["t1"], **more)
    record("public_key.create", by=alice, at=at + step * 3, target=app)
    record("member.add", by=alice, at=at + step * 4, target=app, member="dave", level="developer")


def shown(browser: Any, who: Any, path: str) -> list[tuple[str, str]]:
    answer = browser(who).get(path)
    assert answer.status_code == 200
    return [(line.who, line.verb) for line in answer.context["lines"]]


ALL = [
    ("alice", "added"),
    ("alice", "brought back"),
    ("alice", "deleted"),
    ("bob", "pushed"),
]


def test_the_latest_first(browser: Any, carol: Any, happened: None, web: Any) -> None:
    assert shown(browser, carol, PROJECT)[:4] == ALL
    page = browser(carol).get(PROJECT).content.decode()
    assert f'href="/acme/app/container_registry/{web.pk}/tags/v1"' in page
    assert "t0" in page
    assert "and 4 more" in page
    assert digest("b")[7:19] in page
    assert "203.0.113.7" not in page
    assert "public_key" not in page


@pytest.mark.parametrize(
    ("kind", "verbs"),
    [("pushes", {"pushed"}), ("deletions", {"deleted"}), ("restores", {"brought back"})],
)
def test_one_kind(browser: Any, bob: Any, happened: None, kind: str, verbs: set[str]) -> None:
    found = {verb for _, verb in shown(browser, bob, f"{PROJECT}?kind={kind}")}
    assert found == verbs
    assert len(shown(browser, bob, f"{PROJECT}?kind=nonsense")) >= 4


def test_a_role_tells_what_one_sees(
    browser: Any, mallory: Any, app: Any, acme: Any, happened: None
) -> None:
    assert browser(mallory).get(PROJECT).status_code == 404
    assert browser(None).get(PROJECT).status_code == 302
    Member.objects.create(user=mallory, namespace=acme, access_level=10)
    for page in (PROJECT, GROUP):
        verbs = {verb for _, verb in shown(browser, mallory, page)}
        assert verbs == {"added"}, "a guest may not read images"


def test_a_visitor_of_a_public_project_sees_images_alone(
    browser: Any, bob: Any, make_project: Any, make_image: Any
) -> None:
    image = make_image("acme/open", of=make_project("acme/open", visibility="public"))
    record("tag.push", by=bob, target=image, tag="v1", digest=digest("a"))
    assert shown(browser, None, "/acme/open/-/activity") == [("bob", "pushed")]


def test_a_group_has_what_happened_below(
    browser: Any, alice: Any, bob: Any, mallory: Any, happened: None
) -> None:
    assert shown(browser, alice, GROUP)[:4] == ALL
    assert browser(bob).get(GROUP).status_code == 403, "he belongs to the project alone"
    assert browser(mallory).get(GROUP).status_code == 403


def test_ones_own_namespace(browser: Any, bob: Any, make_project: Any, make_image: Any) -> None:
    image = make_image("bob/own", of=make_project("bob/own"))
    record("tag.push", by=bob, target=image, tag="v1", digest=digest("a"))
    assert ("bob", "pushed") in shown(browser, bob, "/groups/bob/-/activity")


def test_by_pages(browser: Any, bob: Any, web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "PAGE", 2)
    for number in range(5):
        at = timezone.now() + dt.timedelta(minutes=number)
        record("tag.push", by=bob, target=web, tag=f"v{number}", digest=digest("a"), at=at)
    client, url, seen = browser(bob), f"{PROJECT}?kind=pushes", []
    while url:
        answer = client.get(url)
        seen += [line.names[0] for line in answer.context["lines"] if line.verb == "pushed"]
        url = answer.context["next_url"] and PROJECT + answer.context["next_url"]
    assert seen == ["v4", "v3", "v2", "v1", "v0"]
    assert client.get(f"{PROJECT}?after=nonsense").status_code == 400


def test_what_is_gone_has_no_link(browser: Any, alice: Any, web: Any, app: Any) -> None:
    record("container_repository.delete", by=alice, target=web)
    web.delete()
    page = browser(alice).get(PROJECT).content.decode()
    assert "deleted the image" in page
    assert "container_registry/" not in page.partition('class="happened"')[2].partition("</ol>")[0]


def test_every_action_has_a_word() -> None:
    for actions in (reading.PUSHES, reading.DELETIONS, reading.RESTORES, reading.MEMBERS):
        for action in actions:
            (line,) = lines.lines_of([AuditEvent(action=action, details={}, at=timezone.now())])
            assert "." not in line.verb


@pytest.mark.parametrize("details", [[], {"tags": "x"}, {"tags": {}}, {"tag": None}, {"tags": [1]}])
def test_odd_details_are_shown_all_the_same(details: Any) -> None:
    events = [
        AuditEvent(action=action, details=details, at=timezone.now())
        for action in (*reading.PUSHES, *reading.DELETIONS, *reading.MEMBERS)
    ]
    assert len(lines.lines_of(events)) == len(events)
