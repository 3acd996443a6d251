"""The pages that ask before tags or an image go, and what they do."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import Freed
from gitlab.namespaces import user_access
from gitlab.namespaces.models import AccessLevel, Namespace
from gitlab.ui.toasts import toast_of

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]
PATH = "acme/app/web"


@pytest.fixture
def url(web: Any) -> str:
    return f"/acme/app/container_registry/{web.pk}"


@pytest.fixture
def pushed(played: Any) -> Any:
    for tag in ("v1", "v2", "v3"):
        played.push(PATH, tag)
    return played


def toasts(response: Any) -> Any:
    return [toast_of(message) for message in get_messages(response.wsgi_request)]


class TestTags:
    def test_who_may(
        self, url: Any, pushed: Any, browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any
    ) -> None:
        def status(user: Any, *tags: Any) -> Any:
            return browser(user).get(f"{url}/tags/delete", {"selected": tags}).status_code

        assert [status(user, "v1") for user in (alice, bob, carol, mallory)] == [200, 200, 403, 404]
        assert [status(user, "v1", "v2") for user in (alice, bob, carol)] == [200, 200, 403]
        data = {"selected": ["v1", "v2"], "confirmed": "yes"}
        for user, expected in [(carol, 403), (mallory, 404), (None, 302)]:
            assert browser(user).post(f"{url}/tags/delete", data).status_code == expected
        assert pushed.calls == []

    def test_the_question_has_names_and_numbers(
        self, url: Any, pushed: Any, browser: Any, alice: Any
    ) -> None:
        answer = browser(alice).get(f"{url}/tags/delete", {"selected": ["v1", "v2", "v1"]})
        page = answer.content.decode()
        for words in ("Delete 2 tags of web?", "<code>v1</code> and <code>v2</code>", "218.0 MiB"):
            assert words in page
        assert "40.0 MiB" in page
        assert "Undo until" in page
        assert pushed.calls == []

    def test_what_has_gone_meanwhile_is_not_asked_about(
        self, url: Any, pushed: Any, browser: Any, alice: Any
    ) -> None:
        answer = browser(alice).get(f"{url}/tags/delete", {"selected": ["v1", "v8", "v9"]})
        page = answer.content.decode()
        assert "Delete v1 of web?" in page
        assert "v8, v9: gone already." in page
        assert 'name="selected" value="v9"' not in page
        all_gone = browser(alice).get(f"{url}/tags/delete", {"selected": ["v8", "v9"]})
        assert all_gone.url == url
        assert [toast.text for toast in toasts(all_gone)] == ["v8, v9 were gone already."]

    def test_nothing_is_freed_while_other_tags_hold_it(
        self, url: Any, pushed: Any, browser: Any, bob: Any
    ) -> None:
        pushed.freed_bytes = Freed()
        page = browser(bob).get(f"{url}/tags/delete", {"selected": "v1"}).content.decode()
        assert "nothing is freed" in page

    def test_more_than_can_be_counted_is_said(
        self, url: Any, pushed: Any, browser: Any, bob: Any
    ) -> None:
        pushed.freed_bytes = Freed(is_exact=False)
        page = browser(bob).get(f"{url}/tags/delete", {"selected": "v1"}).content.decode()
        assert "too much hangs on it to be counted" in page
        assert "nothing is freed" not in page

    def test_what_is_shared_counts_as_far_as_the_reader_may_pull(
        self, url: Any, pushed: Any, browser: Any, alice: Any, bob: Any
    ) -> None:
        project, top = ["acme/app", "acme/app/*"], "acme/*"
        browser(alice).get(f"{url}/tags/delete", {"selected": "v1"})
        assert pushed.seen == [*project, top]
        browser(bob).get(f"{url}/tags/delete", {"selected": "v1"})
        level = user_access.in_namespace(bob, Namespace.objects.get(full_path="acme")).level
        assert pushed.seen == ([*project, top] if level >= AccessLevel.REPORTER else project)

    def test_a_table_posts_its_choice_and_is_asked_first(
        self, url: Any, pushed: Any, browser: Any, alice: Any
    ) -> None:
        chosen = {"selected": ["v1", "v3"], "back": "sort=name&last=v0&next=//elsewhere"}
        page = browser(alice).post(f"{url}/tags/delete", chosen).content.decode()
        assert 'value="sort=name&amp;last=v0"' in page
        assert pushed.calls == []

    def test_it_deletes_and_offers_undo(
        self, url: Any, pushed: Any, browser: Any, alice: Any
    ) -> None:
        data = {"selected": ["v1", "v3"], "confirmed": "yes", "back": "sort=name"}
        response = browser(alice).post(f"{url}/tags/delete", data)
        assert response.url == f"{url}?sort=name"
        assert pushed.calls == [("delete", PATH, "v1", "alice"), ("delete", PATH, "v3", "alice")]
        (toast,) = toasts(response)
        assert (toast.text, toast.undo_url) == ("2 tags of web deleted.", f"{url}/restore")
        assert toast.undo_fields == {"tags": "v1,v3", "back": "sort=name"}

    def test_without_a_window_there_is_no_undo(
        self, url: Any, pushed: Any, browser: Any, bob: Any, settings: Any
    ) -> None:
        settings.UNDO_WINDOW = settings.UNDO_WINDOW * 0
        page = browser(bob).get(f"{url}/tags/delete", {"selected": "v1"}).content.decode()
        assert "It can't be undone" in page.replace("&#x27;", "'")
        response = browser(bob).post(f"{url}/tags/delete", {"selected": "v1", "confirmed": "yes"})
        assert [toast.undo_url for toast in toasts(response)] == [""]

    def test_what_is_gone_and_what_is_refused_is_said(
        self, url: Any, pushed: Any, browser: Any, bob: Any
    ) -> None:
        data = {"selected": "v9", "confirmed": "yes"}
        assert [t.text for t in toasts(browser(bob).post(f"{url}/tags/delete", data))] == [
            "v9 was gone already."
        ]
        pushed.trouble = RegistryRefused(405, "UNSUPPORTED", "deletion is off")
        (toast,) = toasts(browser(bob).post(f"{url}/tags/delete", data))
        assert (toast.text, toast.tone) == ("The registry keeps v9: deletion is off.", "bad")

    def test_a_registry_that_does_not_answer(
        self, url: Any, pushed: Any, browser: Any, bob: Any
    ) -> None:
        pushed.trouble = RegistryUnavailable("away")
        asked = browser(bob).get(f"{url}/tags/delete", {"selected": "v1"})
        assert "is not known" in asked.content.decode()
        data = {"selected": "v1", "confirmed": "yes"}
        (toast,) = toasts(browser(bob).post(f"{url}/tags/delete", data))
        assert "does not answer" in toast.text

    def test_while_the_image_goes(
        self, web: Any, url: Any, pushed: Any, browser: Any, bob: Any
    ) -> None:
        type(web).objects.update(status="delete_scheduled")
        data = {"selected": "v1", "confirmed": "yes"}
        (toast,) = toasts(browser(bob).post(f"{url}/tags/delete", data))
        assert "being deleted" in toast.text
        assert pushed.calls == []

    @pytest.mark.parametrize("tags", [[], ["-x"], ["a b"], ["a\n"], [f"t{n}" for n in range(101)]])
    def test_what_is_no_choice(
        self, url: Any, pushed: Any, browser: Any, alice: Any, tags: Any
    ) -> None:
        response = browser(alice).post(f"{url}/tags/delete", {"selected": tags, "confirmed": "yes"})
        assert response.url == url
        assert [toast.tone for toast in toasts(response)] == ["warn"]
        assert pushed.calls == []

    def test_a_tag_may_be_called_delete(
        self, url: Any, pushed: Any, browser: Any, carol: Any
    ) -> None:
        pushed.push(PATH, "delete")
        page = browser(carol).get(f"{url}/tags/delete").content.decode()
        assert f"{PATH}:delete" in page


class TestImage:
    def test_who_may(
        self, url: Any, pushed: Any, browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any
    ) -> None:
        found = [
            browser(user).get(f"{url}/delete").status_code for user in (alice, bob, carol, mallory)
        ]
        assert found == [200, 403, 403, 404]
        for user, expected in [(bob, 403), (carol, 403), (mallory, 404), (None, 302)]:
            assert browser(user).post(f"{url}/delete").status_code == expected

    def test_the_question(self, url: Any, pushed: Any, browser: Any, alice: Any) -> None:
        page = browser(alice).get(f"{url}/delete").content.decode()
        for words in ("Delete web?", "all 3 tags", "218.0 MiB", "Undo until"):
            assert words in page

    def test_it_is_queued(
        self,
        web: Any,
        url: Any,
        pushed: Any,
        browser: Any,
        alice: Any,
        enqueued: Any,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            response = browser(alice).post(f"{url}/delete")
        assert response.url == "/acme/app/container_registry"
        web.refresh_from_db()
        assert (web.status, web.deleted_by) == ("delete_scheduled", alice)
        assert enqueued == [("workers.tasks.delete_container_repository", web.pk)]
        (toast,) = toasts(response)
        assert toast.text == f"{PATH} is being deleted."
        assert (toast.undo_url, list(toast.undo_fields)) == (f"{url}/restore", ["ticket"])

    def test_a_failed_one_is_tried_again_in_the_same_way(
        self, web: Any, url: Any, pushed: Any, browser: Any, alice: Any
    ) -> None:
        type(web).objects.update(status="delete_failed", failed_deletion_count=5)
        browser(alice).post(f"{url}/delete")
        web.refresh_from_db()
        assert (web.status, web.failed_deletion_count) == ("delete_scheduled", 0)

    def test_one_that_goes_already(
        self, web: Any, url: Any, pushed: Any, browser: Any, alice: Any
    ) -> None:
        type(web).objects.update(status="delete_scheduled")
        page = browser(alice).get(f"{url}/delete").content.decode()
        assert "being deleted already" in page
        browser(alice).post(f"{url}/delete")
        assert not AuditEvent.objects.filter(action__contains="schedule").exists()

    def test_a_registry_that_does_not_answer(
        self, web: Any, url: Any, played: Any, browser: Any, alice: Any
    ) -> None:
        played.trouble = RegistryUnavailable("away")
        assert (
            "deletion waits until it does" in browser(alice).get(f"{url}/delete").content.decode()
        )
        response = browser(alice).post(f"{url}/delete")
        web.refresh_from_db()
        assert web.status == "delete_scheduled"
        assert [toast.undo_url for toast in toasts(response)] == [f"{url}/restore"]
