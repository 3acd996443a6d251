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
from gitlab.container_registry.views import undo
from gitlab.jobs.leases import Outcome

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
    assert deletion.delete_repository(web.pk, played) is Outcome.DONE
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


def test_there_are_pages_and_a_filter(
    web: Any, played: Any, browser: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went first is found behind what went later."""
    monkeypatch.setattr(undo, "_SHOWN", 2)
    for number in range(5):
        played.push(PATH, f"v{number}")
        played.delete_tag(PATH, f"v{number}")
    url, seen = URL, []
    while url:
        page = browser(alice).get(url)
        seen += [line["tag"].name for line in page.context["tags"]]
        url = page.context["tags_next"] and URL + page.context["tags_next"]
    assert seen == [f"v{number}" for number in range(5)]
    assert page.context["tags_newest"] == "?"
    found = browser(alice).get(f"{URL}?q=v3").context
    assert [line["tag"].name for line in found["tags"]] == ["v3"]
    assert "Nothing matches" in browser(alice).get(f"{URL}?q=v9").content.decode()
    assert "Nothing older" in browser(alice).get(f"{URL}?last=99").content.decode()


def test_images_have_pages_of_their_own(
    gone: Any, played: Any, browser: Any, alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "_SHOWN", 2)
    DeletedImage.objects.bulk_create(
        DeletedImage(project=gone.project, row=100 + n, name=f"old{n}", registry_id=500 + n)
        for n in range(4)
    )
    url, seen = URL, []
    while url:
        page = browser(alice).get(url)
        seen += [line["name"] for line in page.context["images"]]
        url = page.context["images_next"] and URL + page.context["images_next"]
    assert seen == ["old3", "old2", "old1", "old0", "web"]
    assert page.context["images_text"] == "5 images"
    found = browser(alice).get(f"{URL}?q=ld2").context
    assert [line["name"] for line in found["images"]] == ["old2"]


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
