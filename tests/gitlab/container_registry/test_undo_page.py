"""Undo: tags by their history, an image by its ticket; who may, and when it is too late."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core import signing
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry import deletion, undo
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.models import ContainerRepository
from gitlab.ui.toasts import toast_of

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]
PATH = "acme/app/web"


@pytest.fixture
def url(web: Any) -> str:
    return f"/acme/app/container_registry/{web.pk}"


def toasts(response: Any) -> Any:
    return [toast_of(message) for message in get_messages(response.wsgi_request)]


class TestTags:
    @pytest.fixture(autouse=True)
    def _deleted(self, played: Any) -> None:
        for tag, letter in [("v1", "a"), ("v2", "b")]:
            played.push(PATH, tag, letter)
            played.delete_tag(PATH, tag)
        played.calls.clear()

    def test_who_may(self, url: Any, played: Any, browser: Any, carol: Any, mallory: Any) -> None:
        for user, expected in [(carol, 403), (mallory, 404), (None, 302)]:
            assert browser(user).post(f"{url}/restore", {"tags": "v1"}).status_code == expected
        assert browser(carol).get(f"{url}/restore").status_code == 405
        assert played.calls == []

    def test_they_come_back(self, url: Any, played: Any, browser: Any, bob: Any) -> None:
        data = {"tags": "v1,v2", "back": "sort=name&evil=1"}
        response = browser(bob).post(f"{url}/restore", data)
        assert response.url == f"{url}?sort=name"
        assert played.calls == [("restore", PATH, [1, 2], "bob")]
        assert sorted(played.now[PATH]) == ["v1", "v2"]
        assert [toast.text for toast in toasts(response)] == ["2 tags of web are back."]
        assert AuditEvent.objects.get(action="tag.restore").details == {"tags": ["v1", "v2"]}

    def test_one_that_is_there_again_stays_as_it_is(
        self, url: Any, played: Any, browser: Any, bob: Any
    ) -> None:
        played.push(PATH, "v1", "c")
        response = browser(bob).post(f"{url}/restore", {"tags": "v1,v2"})
        assert played.now[PATH]["v1"].digest[7] == "c"
        texts = [toast.text for toast in toasts(response)]
        assert texts == ["Tag v2 of web is back.", "v1: there again already, left as it is."]

    def test_one_that_is_collected(self, url: Any, played: Any, browser: Any, bob: Any) -> None:
        past = played.past[PATH, "v1"]
        past[0] = dataclasses.replace(past[0], is_restorable=False)
        response = browser(bob).post(f"{url}/restore", {"tags": "v1,v9"})
        (toast,) = toasts(response)
        assert toast.text.startswith("v1, v9: too late")
        assert played.calls == []

    def test_a_registry_that_does_not_answer_leaves_the_undo_open(
        self, url: Any, played: Any, browser: Any, bob: Any
    ) -> None:
        played.trouble = RegistryUnavailable("away")
        (toast,) = toasts(browser(bob).post(f"{url}/restore", {"tags": "v1"}))
        assert (toast.undo_url, toast.undo_fields["tags"]) == (f"{url}/restore", "v1")
        played.trouble = RegistryRefused(409, "DENIED", "no")
        (toast,) = toasts(browser(bob).post(f"{url}/restore", {"tags": "v1"}))
        assert (toast.text, toast.undo_url) == ("It can't be brought back: no.", "")

    @pytest.mark.parametrize("tags", ["", ",", "a b", "v1,-"])
    def test_what_is_no_tag(self, url: Any, played: Any, browser: Any, bob: Any, tags: str) -> None:
        assert browser(bob).post(f"{url}/restore", {"tags": tags}).status_code == 404

    def test_while_the_image_goes(
        self, web: Any, url: Any, played: Any, browser: Any, bob: Any
    ) -> None:
        type(web).objects.update(status="delete_scheduled")
        (toast,) = toasts(browser(bob).post(f"{url}/restore", {"tags": "v1"}))
        assert "being deleted" in toast.text
        assert played.calls == []


class TestHistory:
    @pytest.fixture
    def tag_url(self, url: Any, played: Any) -> str:
        for letter in "ab":
            played.push(PATH, "v1", letter)
        return f"{url}/tags/v1"

    def test_who_may(self, tag_url: Any, browser: Any, carol: Any, mallory: Any) -> None:
        for user, expected in [(carol, 403), (mallory, 404)]:
            response = browser(user).post(f"{tag_url}/restore", {"interval": 1})
            assert response.status_code == expected

    def test_a_tag_points_back_and_forth(
        self, tag_url: Any, played: Any, browser: Any, bob: Any
    ) -> None:
        response = browser(bob).post(f"{tag_url}/restore", {"interval": 1})
        assert response.url == tag_url
        assert played.now[PATH]["v1"].digest[7] == "a"
        (toast,) = toasts(response)
        assert (toast.undo_url, toast.undo_fields) == (f"{tag_url}/restore", {"interval": "2"})
        browser(bob).post(toast.undo_url, toast.undo_fields)
        assert played.now[PATH]["v1"].digest[7] == "b"
        assert played.calls == [("restore", PATH, [1], "bob"), ("restore", PATH, [2], "bob")]

    def test_it_keeps_the_time_of_the_push(
        self, tag_url: Any, played: Any, browser: Any, bob: Any
    ) -> None:
        pushed = played.past[PATH, "v1"][1]
        browser(bob).post(f"{tag_url}/restore", {"interval": 1})
        now = played.now[PATH]["v1"]
        assert (now.published_at, now.restored_by) == (pushed.since, "bob")
        page = browser(bob).get(tag_url).content.decode()
        assert "restored" in page

    def test_an_old_part_of_a_long_history(
        self, tag_url: Any, played: Any, browser: Any, bob: Any
    ) -> None:
        for number in range(150):
            played.push(PATH, "v1", "cd"[number % 2])
        browser(bob).post(f"{tag_url}/restore", {"interval": 1})
        assert played.now[PATH]["v1"].digest[7] == "a"

    def test_a_deleted_one_is_restored(
        self, tag_url: Any, played: Any, browser: Any, bob: Any
    ) -> None:
        played.delete_tag(PATH, "v1")
        response = browser(bob).post(f"{tag_url}/restore", {"interval": 2})
        assert played.calls[-1] == ("restore", PATH, [2], "bob")
        assert [toast.undo_url for toast in toasts(response)] == [""]

    def test_what_it_pointed_at_is_gone(
        self, tag_url: Any, played: Any, browser: Any, bob: Any
    ) -> None:
        gone = dataclasses.replace(played.past[PATH, "v1"][1], is_restorable=False)
        played.past[PATH, "v1"][1] = gone
        (toast,) = toasts(browser(bob).post(f"{tag_url}/restore", {"interval": 1}))
        assert "can't be brought back" in toast.text

    @pytest.mark.parametrize("interval", ["", "x", "-1", "77", "1e3", str(2**70)])
    def test_what_is_no_part_of_it(
        self, tag_url: Any, played: Any, browser: Any, bob: Any, interval: Any
    ) -> None:
        response = browser(bob).post(f"{tag_url}/restore", {"interval": interval})
        assert response.status_code == 404


class TestImage:
    @pytest.fixture
    def ticket(self, web: Any, played: Any, alice: Any) -> Any:
        """Of an image whose deletion is queued."""
        played.push(PATH, "v1")
        text = undo.ticket_for(web, played)
        deletion.schedule(alice, web)
        return text

    def _goes(self, web: Any, played: Any) -> None:
        """As the worker does it."""
        web.delete()
        del played.now[PATH]
        played.closed[41] = PATH

    def test_who_may(
        self, url: Any, ticket: Any, browser: Any, bob: Any, carol: Any, mallory: Any
    ) -> None:
        for user, expected in [(bob, 403), (carol, 403), (mallory, 404), (None, 302)]:
            response = browser(user).post(f"{url}/restore", {"ticket": ticket})
            assert response.status_code == expected

    @pytest.mark.parametrize("given", [True, False])
    def test_from_the_queue(
        self, web: Any, url: Any, ticket: Any, played: Any, browser: Any, alice: Any, given: bool
    ) -> None:
        response = browser(alice).post(f"{url}/restore", {"ticket": ticket} if given else {})
        web.refresh_from_db()
        assert (web.status, web.deleted_by) == (None, None)
        assert [toast.text for toast in toasts(response)] == [f"{PATH} stays."]
        assert played.calls == []

    def test_from_the_registry(
        self, web: Any, url: Any, ticket: Any, played: Any, browser: Any, alice: Any
    ) -> None:
        self._goes(web, played)
        browser(alice).post(f"{url}/restore", {"ticket": ticket})
        assert played.calls == [("restore image", PATH, 41, "alice")]
        row = ContainerRepository.objects.get()
        assert (row.path, row.name, row.status) == (PATH, "web", None)
        assert AuditEvent.objects.filter(action="container_repository.restore").exists()

    def test_from_the_queue_after_the_registry_has_closed_it(
        self, web: Any, url: Any, ticket: Any, played: Any, alice: Any
    ) -> None:
        """The registry deleted it, but its answer was lost: the row waits for another attempt."""
        del played.now[PATH]
        played.closed[41] = PATH
        undo.restore_image(alice, web.project, web.pk, ticket, registry=played)
        assert played.calls == [("restore image", PATH, 41, "alice")]

    def test_in_the_moment_of_deletion(
        self, web: Any, url: Any, ticket: Any, played: Any, browser: Any, alice: Any
    ) -> None:
        now = timezone.now()
        type(web).objects.update(
            status="delete_ongoing",
            lease="00000000-0000-0000-0000-000000000001",
            lease_renewed_at=now,
            started_at=now,
        )
        (toast,) = toasts(browser(alice).post(f"{url}/restore", {"ticket": ticket}))
        assert "this moment" in toast.text
        assert (toast.undo_url, toast.undo_fields) == (f"{url}/restore", {"ticket": ticket})

    def test_too_late(
        self, web: Any, url: Any, ticket: Any, played: Any, browser: Any, alice: Any
    ) -> None:
        self._goes(web, played)
        played.closed.clear()
        (toast,) = toasts(browser(alice).post(f"{url}/restore", {"ticket": ticket}))
        assert "undo window is over" in toast.text
        assert not ContainerRepository.objects.exists()

    def test_tickets_that_are_none(
        self,
        web: Any,
        url: Any,
        ticket: Any,
        played: Any,
        browser: Any,
        alice: Any,
        make_project: Any,
    ) -> None:
        self._goes(web, played)
        other = signing.dumps({"row": web.pk, "project": 0, "path": PATH, "registry": 41})
        for text in ("", "x", ticket[:-2] + "zz", other):
            response = browser(alice).post(f"{url}/restore", {"ticket": text})
            assert response.status_code == 404
        make_project("acme/other", owner=alice)
        elsewhere = url.replace("/app/", "/other/")
        assert browser(alice).post(f"{elsewhere}/restore", {"ticket": ticket}).status_code == 404
        assert played.calls == []

    def test_tickets_end(
        self, web: Any, url: Any, ticket: Any, played: Any, browser: Any, alice: Any, settings: Any
    ) -> None:
        self._goes(web, played)
        settings.UNDO_WINDOW = dt.timedelta(seconds=-1)
        assert browser(alice).post(f"{url}/restore", {"ticket": ticket}).status_code == 404
