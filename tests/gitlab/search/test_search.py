"""What somebody finds, and what they never learn of."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.search import services
from tests.gitlab.played_registry import digest

pytestmark = pytest.mark.django_db
PATH = "acme/app/web"


def paths(rows: Any) -> list[str]:
    return [row.full_path for row in rows]


@pytest.fixture
def pushed(web: Any, played: Any) -> Any:
    for number, name in enumerate(("v1", "v1.5", "latest")):
        played.push(PATH, name, "abc"[number])
    return played


def test_names_are_found_anywhere_in_them(
    pushed: Any, alice: Any, make_project: Any, make_group: Any
) -> None:
    make_group("acme/application", owner=alice)
    make_project("acme/my-app", owner=alice)
    found = services.search(alice, " APP ")
    # What is called so comes first, then what begins so.
    assert paths(found.projects) == ["acme/app", "acme/my-app"]
    assert paths(found.groups) == ["acme/application"]
    assert [image.path for image in found.images] == [PATH]


def test_tags_and_digests(pushed: Any, carol: Any) -> None:
    found = services.search(carol, "v1")
    assert [(hit.image.path, hit.tag) for hit in found.tags] == [(PATH, "v1"), (PATH, "v1.5")]
    for text in (digest("b"), "b" * 12, "b" * 64):
        found = services.search(carol, text)
        assert [hit.digest for hit in found.digests] == [digest("b")]
    assert services.search(carol, "b" * 11).digests == []
    assert [hit.tag for hit in services.search(carol, "web:lat").tags] == ["latest"]
    assert services.search(carol, "other:lat").tags == []


def test_what_somebody_may_not_see_is_not_asked_about(
    pushed: Any, mallory: Any, carol: Any, make_image: Any, make_project: Any
) -> None:
    make_image("mallory/own", of=make_project("mallory/own", owner=mallory))
    for text in ("app", "v1", digest("a"), "web:v1"):
        assert services.search(mallory, text).is_empty
        assert PATH not in pushed.searched
    services.search(carol, "v1")
    assert pushed.searched == [PATH]


def test_a_guest_finds_the_project_and_not_its_images(
    pushed: Any, app: Any, make_person: Any
) -> None:
    from gitlab.namespaces.models import Member

    guest = make_person("gwen")
    Member.objects.create(user=guest, project=app, access_level=10)
    assert paths(services.search(guest, "app").projects) == ["acme/app"]
    assert not services.search(guest, "app").images
    assert not services.search(guest, "v1").tags


def test_people_by_their_names(
    pushed: Any, alice: Any, bob: Any, root: Any, make_person: Any
) -> None:
    external = make_person("eve")
    external.external = True
    external.save()
    assert [each.username for each in services.search(bob, "@ali").people] == ["alice"]
    assert services.search(bob, alice.email).people == []
    assert [each.username for each in services.search(root, alice.email).people] == ["alice"]
    assert services.search(external, "alice").people == []
    assert services.search(None, "alice").people == []


def test_a_text_that_is_too_short_asks_nobody(pushed: Any, alice: Any) -> None:
    assert services.search(alice, "v").is_empty
    assert services.search(alice, "\0 ").is_empty
    assert pushed.searched == []


def test_no_more_images_than_may_be_named(
    pushed: Any, alice: Any, app: Any, make_image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were pushed last."""
    monkeypatch.setattr(services, "IMAGES", 2)
    made = [make_image(f"acme/app/i{number}", of=app) for number in range(3)]
    services.search(alice, "v1")
    assert pushed.searched == [made[2].path, made[1].path]


class TestPage:
    def test_it_shows_what_was_found(self, pushed: Any, browser: Any, carol: Any, web: Any) -> None:
        page = browser(carol).get("/search?q=v1").content.decode()
        assert f'href="/acme/app/container_registry/{web.pk}/tags/v1.5"' in page
        page = browser(carol).get(f"/search?q={digest('b')}").content.decode()
        assert f"/container_registry/{web.pk}/manifests/{digest('b')}" in page
        assert "acme/<wbr>app" in browser(carol).get("/search?q=app").content.decode()

    @pytest.mark.parametrize("text", ["", "x", "nothing-here", "%00", "a:b:c", "<b>", ":v1", "v1:"])
    def test_it_answers_whatever_is_asked(
        self, pushed: Any, browser: Any, carol: Any, text: str
    ) -> None:
        answer = browser(carol).get("/search", {"q": text})
        assert answer.status_code == 200
        assert "data-results" in answer.content.decode()
        assert "<b>" not in answer.content.decode().partition("data-results")[2][:400]

    def test_a_visitor_finds_what_is_public(
        self, pushed: Any, client: Client, make_project: Any, alice: Any
    ) -> None:
        make_project("alice/public-app", owner=alice, visibility="public")
        page = client.get("/search?q=app").content.decode()
        assert "public-app" in page
        assert "acme" not in page

    def test_a_registry_that_does_not_answer_leaves_the_rest(
        self, pushed: Any, browser: Any, carol: Any
    ) -> None:
        pushed.trouble = RegistryUnavailable("away")
        page = browser(carol).get("/search?q=app").content.decode()
        assert "acme/<wbr>app" in page
        assert "tags and digests are missing" in page

    def test_the_bar_leads_there(self, browser: Any, carol: Any) -> None:
        assert 'action="/search"' in browser(carol).get("/").content.decode()
