"""Home: the latest pushes, favourites, and what needs somebody."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.access_tokens import services as tokens
from gitlab.activity import needs, reading, stars
from gitlab.activity.models import Star
from gitlab.audit.models import Denial
from gitlab.audit.services import record
from gitlab.container_registry.cleanup.models import CleanupRun
from gitlab.container_registry.models import BulkTagDeletion, ContainerRepository
from gitlab.namespaces.models import Project
from gitlab.quotas.models import Quota
from gitlab.refusals import Conflict, NotFound
from tests.gitlab.played_registry import digest

pytestmark = pytest.mark.django_db


@pytest.fixture
def web(app: Any, make_image: Any) -> Any:
    return make_image("acme/app/web", of=app)


def pushed(image: Any, tag: str, by: Any, minutes: int) -> None:
    at = timezone.now() - dt.timedelta(minutes=minutes)
    record("tag.push", by=by, target=image, at=at, tag=tag, digest=digest("a"))
    ContainerRepository.objects.filter(pk=image.pk).update(last_published_at=at)


# Pushes


def test_the_latest_pushes_of_ones_projects(
    browser: Any, bob: Any, carol: Any, mallory: Any, web: Any, make_project: Any, make_image: Any
) -> None:
    make_project("mallory/evil", owner=mallory)
    other = make_image("mallory/evil")
    pushed(other, "secret", mallory, 1)
    pushed(web, "v1", bob, 9)
    pushed(web, "v2", bob, 5)
    for somebody in (bob, carol):
        lines = browser(somebody).get("/").context["pushes"]
        assert [(line.who, line.names) for line in lines] == [("bob", ["v2"]), ("bob", ["v1"])]
    page = browser(bob).get("/").content.decode()
    assert f'href="/acme/app/container_registry/{web.pk}/tags/v2"' in page
    assert digest("a") in page


def test_not_for_guests_nor_of_long_ago(bob: Any, app: Any, web: Any, make_person: Any) -> None:
    from gitlab.namespaces.models import Member

    dave = make_person("dave")
    Member.objects.create(user=dave, project=app, access_level=10)
    pushed(web, "v1", bob, 9)
    assert not reading.recent_pushes(dave)
    assert reading.recent_pushes(bob)
    pushed(web, "v0", bob, 60 * 24 * 31)
    assert not reading.recent_pushes(bob)


def test_the_first_page_of_somebody_new(browser: Any, mallory: Any) -> None:
    page = browser(mallory).get("/").content.decode()
    assert "Put your first image here" in page
    assert "docker login" in page


# Favourites


def test_a_star_puts_a_project_there(browser: Any, carol: Any, app: Any) -> None:
    client = browser(carol)
    assert "Star a project" in client.get("/").content.decode()
    assert client.post("/acme/app/-/star").status_code == 302
    client.post("/acme/app/-/star")
    assert Star.objects.count() == 1
    assert 'href="/acme/app"' in client.get("/").content.decode()
    assert 'aria-pressed="true"' in client.get("/acme/app").content.decode()
    client.post("/acme/app/-/star", {"take": "1"})
    assert not Star.objects.exists()
    assert 'aria-pressed="false"' in client.get("/acme/app").content.decode()


def test_nobody_likes_what_they_may_not_see(browser: Any, mallory: Any, app: Any) -> None:
    assert browser(mallory).post("/acme/app/-/star").status_code == 404
    with pytest.raises(NotFound):
        stars.star(mallory, app)
    Star.objects.create(user=mallory, project=app)
    assert stars.of(mallory, 5) == [], "nor after they have left"


def test_there_may_be_too_many(
    carol: Any, app: Any, make_project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stars, "MOST", 1)
    stars.star(carol, app)
    other = make_project("carol/other")
    with pytest.raises(Conflict):
        stars.star(carol, other)
    stars.star(carol, app)
    assert Star.objects.count() == 1


def test_a_visitor_has_no_star(browser: Any, make_project: Any) -> None:
    make_project("acme/open", visibility="public")
    page = browser(None).get("/acme/open").content.decode()
    assert "/-/star" not in page
    assert browser(None).post("/acme/open/-/star").status_code == 302


# What needs somebody


def titles(who: Any) -> list[str]:
    return [need.title for need in needs.of(who)]


def test_nothing_needs_one_at_first(alice: Any, app: Any) -> None:
    assert titles(alice) == []


def test_what_has_failed_needs_who_maintains(alice: Any, bob: Any, app: Any, web: Any) -> None:
    now = timezone.now()
    ContainerRepository.objects.filter(pk=web.pk).update(
        status="delete_failed", failure_reason="the registry said no"
    )
    BulkTagDeletion.objects.create(
        repository=web, name_regex_delete="x", status="failed", finished_at=now
    )
    CleanupRun.objects.create(project=app, status="failed", finished_at=now)
    CleanupRun.objects.create(
        project=app, status="failed", finished_at=now - needs.FAILED - dt.timedelta(days=1)
    )
    assert titles(alice) == [
        "acme/app/web could not be deleted",
        "Tags of acme/app/web could not be deleted",
        "The cleanup of acme/app has failed",
    ]
    assert titles(bob) == []


def test_tokens_that_end(alice: Any, bob: Any, app: Any, make_deploy_token: Any) -> None:
    soon = timezone.now().date() + dt.timedelta(days=2)
    later = timezone.now().date() + dt.timedelta(days=90)
    tokens.create(bob, name="laptop", scopes=["api"], expires_at=soon)
    tokens.create(bob, name="desk", scopes=["api"], expires_at=later)
    make_deploy_token(app, expires_at=soon)
    assert titles(bob) == ["The access token laptop ends"]
    assert titles(alice) == ["The deploy token test of acme/app ends"]


@pytest.mark.parametrize(("percent", "tone"), [(79, ""), (80, "warn"), (95, "warn"), (100, "bad")])
def test_a_quota_that_is_nearly_used_up(
    alice: Any, bob: Any, app: Any, percent: int, tone: str
) -> None:
    Quota.objects.create(project=app, max_bytes=100, used_percent=percent)
    found = needs.of(alice)
    assert [need.tone for need in found] == ([tone] if tone else [])
    assert all(need.url == "/acme/app/-/storage" for need in found)
    assert needs.of(bob) == []


def denied(path: str, **more: Any) -> None:
    now = timezone.now()
    columns = {"kind": "scope", "actions": "pull,push", "reason": "no", "last_at": now} | more
    Denial.objects.create(
        reference=f"R{Denial.objects.count()}", path=path, first_at=now, **columns
    )


def test_pushes_that_were_denied(alice: Any, bob: Any, carol: Any, app: Any) -> None:
    denied("acme/app", name="carol", person_pk=carol.pk, project_pk=app.pk)
    denied("acme/app", name="bob", person_pk=bob.pk, project_pk=app.pk, actions="pull")
    denied("elsewhere", name="bob", person_pk=bob.pk, last_at=timezone.now() - needs.DENIED * 2)
    assert titles(carol) == ["You were denied to push to acme/app"]
    assert titles(alice) == ["carol was denied to push to acme/app"]
    assert titles(bob) == []


def test_a_few_of_each_kind(alice: Any, app: Any) -> None:
    for _ in range(needs.OF_A_KIND + 2):
        denied("acme/app", project_pk=app.pk)
    assert titles(alice) == ["A visitor was denied to push to acme/app"] * needs.OF_A_KIND


def test_they_stand_on_the_page(browser: Any, alice: Any, app: Any) -> None:
    denied("acme/app", project_pk=app.pk)
    Project.objects.filter(pk=app.pk).update(description="<b>")
    page = browser(alice).get("/").content.decode()
    assert "Needs you" in page
    assert 'href="/-/denials/R0"' in page
