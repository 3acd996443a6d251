"""The page of a project's images."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

import pytest
from django.utils import timezone

from gitlab.container_registry import repositories
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.views import images
from gitlab.namespaces.models import Project

pytestmark = pytest.mark.django_db
URL = "/acme/app/container_registry"


def test_who_sees_it(
    web: Any, played: Any, browser: Any, alice: Any, bob: Any, carol: Any, mallory: Any
) -> None:
    for user in (alice, bob, carol):
        assert browser(user).get(URL).status_code == 200
    assert browser(mallory).get(URL).status_code == 404
    visitor = browser(None).get(URL)
    assert (visitor.status_code, visitor.url) == (302, f"/users/sign_in?next={URL}")


def test_everybody_sees_a_public_one(web: Any, played: Any, browser: Any, mallory: Any) -> None:
    Project.objects.update(visibility="public")
    assert browser(None).get(URL).status_code == 200
    assert browser(mallory).get(URL).status_code == 200
    Project.objects.update(registry_access="disabled")
    assert browser(mallory).get(URL).status_code == 403


def test_the_images_with_what_the_registry_knows(
    web: Any, played: Any, browser: Any, carol: Any, make_image: Any, app: Any
) -> None:
    played.push("acme/app/web", "1")
    played.push("acme/app/web", "2")
    make_image("acme/app/later", of=app)
    page = browser(carol).get(URL).content.decode()
    assert "2 images" in page
    assert '<td class="num">2</td>' in page
    assert "7.0 MiB" in page
    assert "nothing pushed yet" in page
    assert f'href="{URL}/{web.pk}"' in page
    assert "Delete image" not in page


def test_the_stored_total_is_a_sum_where_the_registry_tells_no_other(
    web: Any, played: Any, browser: Any, carol: Any
) -> None:
    played.push("acme/app/web", "1")
    page = browser(carol).get(URL)
    assert (page.context["stored"], page.context["stored_is_sum"]) == (7 * 1024 * 1024, False)
    played.push("acme/app", "1")
    assert browser(carol).get(URL).context["stored"] == 7 * 1024 * 1024


def test_filter_and_pages(app: Any, played: Any, browser: Any, alice: Any, make_image: Any) -> None:
    for number in range(45):
        make_image(f"acme/app/image-{number:02}", of=app)
    client = browser(alice)
    first = client.get(URL)
    assert first.context["previous_url"] == ""
    second = client.get(URL + first.context["next_url"])
    assert [line["row"].name for line in second.context["lines"]][::19] == ["image-20", "image-39"]
    back = client.get(URL + second.context["previous_url"])
    assert [line["row"].name for line in back.context["lines"]][::19] == ["image-00", "image-19"]
    assert back.context["previous_url"] == ""
    found = client.get(URL, {"q": "IMAGE-4"})
    assert len(found.context["lines"]) == 5
    assert "No image matches" in client.get(URL, {"q": "%"}).content.decode()


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("path", ["a", "b", "c"]),
        ("-path", ["c", "b", "a"]),
        ("pushed", ["b", "c", "a"]),
        ("-pushed", ["a", "c", "b"]),
        ("created_at", ["a", "b", "c"]),
    ],
)
def test_orders(
    app: Any,
    played: Any,
    browser: Any,
    alice: Any,
    make_image: Any,
    monkeypatch: pytest.MonkeyPatch,
    sort: str,
    names: list[str],
) -> None:
    """An image whose last push is not known stands where it came here."""
    now = timezone.now()
    for place, (name, pushed) in enumerate({"a": 0, "b": 9, "c": None}.items()):
        ContainerRepository.objects.filter(pk=make_image(f"acme/app/{name}", of=app).pk).update(
            created_at=now - dt.timedelta(days=7 - place),
            last_published_at=None if pushed is None else now - dt.timedelta(days=pushed),
        )
    small = functools.partial(repositories.list_for, limit=2)
    monkeypatch.setattr(images.repositories, "list_for", small)
    first = browser(alice).get(f"{URL}?sort={sort}")
    second = browser(alice).get(URL + first.context["next_url"])
    shown = [line["row"].name for page in (first, second) for line in page.context["lines"]]
    assert shown == names
    assert first.context["count_text"] == "3 images"
    odd = browser(alice).get(f"{URL}?sort={sort}&after=%5B1%5D")
    assert odd.status_code == 200


def test_a_registry_that_does_not_answer(web: Any, played: Any, browser: Any, alice: Any) -> None:
    played.trouble = RegistryUnavailable("away")
    response = browser(alice).get(URL)
    page = response.content.decode()
    assert response.status_code == 200
    assert "The registry does not answer" in page
    assert response.headers["X-Request-Id"] in page
    assert ">web</a>" in page


def test_an_empty_one_teaches(
    app: Any, played: Any, browser: Any, bob: Any, carol: Any, settings: Any
) -> None:
    settings.CONTAINER_REGISTRY_HOST_PORT = "registry.example:5050"
    page = browser(bob).get(URL).content.decode()
    for command in (
        "docker login registry.example:5050 -u bob",
        "docker build -t registry.example:5050/acme/app .",
        "docker push registry.example:5050/acme/app",
    ):
        assert command in page
    assert "docker push" not in browser(carol).get(URL).content.decode()


def test_commands_for_plain_http(
    web: Any, played: Any, browser: Any, bob: Any, settings: Any
) -> None:
    settings.CONTAINER_REGISTRY_PLAIN_HTTP = True
    assert "podman push --tls-verify=false" in browser(bob).get(URL).content.decode()
    settings.CONTAINER_REGISTRY_PLAIN_HTTP = False
    assert "--tls-verify" not in browser(bob).get(URL).content.decode()


class TestDeletionUnderWay:
    @pytest.mark.parametrize(
        ("status", "words"),
        [("delete_scheduled", "Deletion scheduled"), ("delete_failed", "because it is so")],
    )
    def test_is_shown(
        self, web: Any, played: Any, browser: Any, alice: Any, status: str, words: str
    ) -> None:
        type(web).objects.update(status=status, failure_reason="because it is so")
        page = browser(alice).get(URL).content.decode()
        assert words in page
        assert (f'hx-get="{URL}/{web.pk}/progress"' in page) == (status == "delete_scheduled")
        assert ("Retry" in page) == (status == "delete_failed")

    def test_is_looked_at_again(
        self, web: Any, played: Any, browser: Any, carol: Any, mallory: Any
    ) -> None:
        url = f"{URL}/{web.pk}/progress"
        type(web).objects.update(status="delete_scheduled", failed_deletion_count=2)
        part = browser(carol).get(url).content.decode()
        assert "Deletion waits" in part
        assert "<html" not in part
        assert browser(mallory).get(url).status_code == 404
        web.delete()
        assert "Deleted" in browser(carol).get(url).content.decode()

    def test_only_who_may_tries_again(
        self, web: Any, played: Any, browser: Any, carol: Any
    ) -> None:
        type(web).objects.update(status="delete_failed")
        assert "Retry" not in browser(carol).get(URL).content.decode()
