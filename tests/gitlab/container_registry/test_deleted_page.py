"""Recently deleted: what is listed for whom, and that it comes back."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.utils import timezone

from gitlab.container_registry import deletion, repositories
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.models import ContainerRepository, DeletedImage

pytestmark = pytest.mark.django_db
PATH = "acme/app/web"
URL = "/acme/app/container_registry/deleted"


def ticket_in(page: str) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found
    return found[1]


@pytest.fixture
def gone(web: Any, played: Any, alice: Any) -> Any:
    """The image `web`, deleted by alice in the way that a job does it."""
    played.push(PATH, "v1")
    deletion.schedule(alice, web)
    assert deletion.delete_repository(web.pk, played) is deletion.Outcome.DONE
    assert not ContainerRepository.objects.filter(pk=web.pk).exists()
    return web


def test_who_may(
    web: Any, played: Any, browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any
) -> None:
    for user, expected in [(alice, 200), (bob, 200), (carol, 403), (mallory, 404), (None, 302)]:
        assert browser(user).get(URL).status_code == expected
    assert browser(alice).post(URL).status_code == 405


def test_nothing_yet(web: Any, played: Any, browser: Any, alice: Any) -> None:
    assert "Nothing to bring back" in browser(alice).get(URL).content.decode()


def test_an_image_comes_back(gone: Any, played: Any, browser: Any, alice: Any) -> None:
    page = browser(alice).get(URL).content.decode()
    assert "by alice" in page
    address = f"/acme/app/container_registry/{gone.pk}/restore"
    assert f'action="{address}"' in page
    browser(alice).post(address, {"ticket": ticket_in(page)})
    assert "v1" in played.now[PATH]
    assert ContainerRepository.objects.filter(path=PATH).exists()
    assert not DeletedImage.objects.exists()
    assert "Nothing to bring back" in browser(alice).get(URL).content.decode()


def test_images_are_for_maintainers(gone: Any, played: Any, browser: Any, bob: Any) -> None:
    page = browser(bob).get(URL).content.decode()
    assert "ticket" not in page
    assert "Nothing to bring back" in page


def test_one_that_is_over_or_there_again_is_not_listed(
    gone: Any, played: Any, browser: Any, alice: Any, settings: Any
) -> None:
    settings.UNDO_WINDOW = dt.timedelta(days=7)
    known = DeletedImage.objects.get()
    repositories.note(gone.project, PATH, by=alice)
    assert "ticket" not in browser(alice).get(URL).content.decode()
    ContainerRepository.objects.all().delete()
    assert "ticket" in browser(alice).get(URL).content.decode()
    known.deleted_at = timezone.now() - dt.timedelta(days=8)
    known.save()
    assert "ticket" not in browser(alice).get(URL).content.decode()
    assert not DeletedImage.objects.exists()


def test_another_project_of_the_path_sees_none(
    gone: Any, played: Any, browser: Any, alice: Any, bob: Any, make_project: Any
) -> None:
    other = make_project("alice/other", owner=alice)
    DeletedImage.objects.update(project=other)
    assert "ticket" not in browser(alice).get(URL).content.decode()


def test_tags_come_back(web: Any, played: Any, browser: Any, bob: Any) -> None:
    played.push(PATH, "v1")
    played.push(PATH, "v2")
    played.delete_tag(PATH, "v1")
    page = browser(bob).get(URL).content.decode()
    assert 'name="tags" value="v1"' in page
    assert 'value="v2"' not in page
    browser(bob).post(f"/acme/app/container_registry/{web.pk}/restore", {"tags": "v1"})
    assert "v1" in played.now[PATH]
    assert 'name="tags"' not in browser(bob).get(URL).content.decode()


def test_tags_of_what_is_no_image_of_the_project_are_left_out(
    web: Any, played: Any, browser: Any, bob: Any
) -> None:
    played.push("acme/app/secret", "v1")
    played.delete_tag("acme/app/secret", "v1")
    assert "secret" not in browser(bob).get(URL).content.decode()


def test_a_registry_that_does_not_answer(gone: Any, played: Any, browser: Any, alice: Any) -> None:
    played.trouble = RegistryUnavailable("away")
    page = browser(alice).get(URL)
    assert page.status_code == 200
    assert "Deleted tags can&#x27;t be shown" in page.content.decode() or "can't be shown" in (
        page.content.decode()
    )


def test_the_page_of_images_leads_there(
    web: Any, played: Any, browser: Any, bob: Any, carol: Any, settings: Any
) -> None:
    index = "/acme/app/container_registry"
    assert URL in browser(bob).get(index).content.decode()
    assert URL not in browser(carol).get(index).content.decode()
    settings.UNDO_WINDOW = dt.timedelta(0)
    assert URL not in browser(bob).get(index).content.decode()
