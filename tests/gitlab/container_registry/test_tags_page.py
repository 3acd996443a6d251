"""The page of an image's tags."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import RepositoryDetails
from tests.gitlab.played_registry import START

pytestmark = pytest.mark.django_db


@pytest.fixture
def url(web: Any) -> str:
    return f"/acme/app/container_registry/{web.pk}"


@pytest.fixture
def many(played: Any) -> None:
    for number in range(120):
        played.push("acme/app/web", f"v{number:03}")


def _names(response: Any) -> Any:
    return [line["tag"].name for line in response.context["lines"]]


def test_who_sees_what(
    web: Any,
    url: Any,
    played: Any,
    browser: Any,
    alice: Any,
    bob: Any,
    carol: Any,
    mallory: Any,
    make_project: Any,
) -> None:
    played.push("acme/app/web", "v1")
    pages = {user.username: browser(user).get(url) for user in (alice, bob, carol)}
    texts = {name: page.content.decode() for name, page in pages.items()}
    assert {name for name, text in texts.items() if "Delete tag…" in text} == {"alice", "bob"}
    assert {name for name, text in texts.items() if "table__pick" in text} == {"alice", "bob"}
    assert {name for name, text in texts.items() if "Delete image…" in text} == {"alice"}
    assert browser(mallory).get(url).status_code == 404
    assert browser(None).get(url).status_code == 302
    make_project("acme/other", owner=alice)
    assert browser(alice).get(url.replace("app", "other")).status_code == 404


def test_a_line(url: Any, played: Any, browser: Any, carol: Any) -> None:
    played.push("acme/app/web", "latest", "c", platforms=["linux/amd64", "linux/arm64/v8", "a/b"])
    page = browser(carol).get(url).content.decode()
    for words in ("cccccccccccc", f"sha256:{'c' * 64}", "5.0 MiB", "amd64", "arm64/v8", "+1"):
        assert words in page
    assert "by bob" in page
    assert "docker pull" in page
    assert "acme/app/web:latest" in page


def test_an_artifact_says_so(url: Any, played: Any, browser: Any, carol: Any) -> None:
    kind = "application/vnd.cncf.helm.config.v1+json"
    played.push("acme/app/web", "chart", platforms=[], artifact_type=kind)
    kind = "application/vnd.oci.image.config.v1+json"
    played.push("acme/app/web", "image", platforms=[], artifact_type=kind)
    lines = {line["tag"].name: line for line in browser(carol).get(url).context["lines"]}
    assert (lines["chart"]["kind"], lines["image"]["kind"]) == ("Helm chart", "")


def test_the_newest_come_first_and_pages_keep_their_place(
    url: Any, played: Any, many: Any, browser: Any, carol: Any
) -> None:
    client = browser(carol)
    first = client.get(url)
    assert _names(first)[::49] == ["v119", "v070"]
    second = client.get(url + first.context["next_url"])
    assert _names(second)[::49] == ["v069", "v020"]
    third = client.get(url + second.context["next_url"])
    assert _names(third)[::19] == ["v019", "v000"]
    assert third.context["next_url"] == ""
    assert _names(client.get(url + third.context["previous_url"])) == _names(second)


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("name", "v000"),
        ("-name", "v119"),
        ("published_at", "v000"),
        ("last_pulled_at", "v000"),
        ("size; --", "v119"),
    ],
)
def test_orders(
    url: Any, played: Any, many: Any, browser: Any, carol: Any, sort: str, first: str
) -> None:
    page = browser(carol).get(url, {"sort": sort})
    assert _names(page)[0] == first
    following = page.context["next_url"]
    assert ("sort=" in following) == (sort != "size; --")


def test_filter(url: Any, played: Any, many: Any, browser: Any, carol: Any) -> None:
    page = browser(carol).get(url, {"q": "v11", "sort": "name"})
    assert _names(page) == [f"v11{digit}" for digit in range(10)]
    none = browser(carol).get(url, {"q": "<b>"}).content.decode()
    assert "No tag matches “&lt;b&gt;”" in none


def test_a_registry_that_does_not_answer(url: Any, played: Any, browser: Any, alice: Any) -> None:
    played.trouble = RegistryUnavailable("away")
    response = browser(alice).get(url)
    assert response.status_code == 200
    assert "The registry does not answer" in response.content.decode()


def test_without_tags(url: Any, played: Any, browser: Any, bob: Any, carol: Any) -> None:
    assert "docker push" in browser(bob).get(url).content.decode()
    page = browser(carol).get(url).content.decode()
    assert "No tags" in page
    assert "docker push" not in page


def test_while_it_is_being_deleted_nothing_else_is_offered(
    web: Any, url: Any, played: Any, browser: Any, alice: Any
) -> None:
    played.push("acme/app/web", "v1")
    type(web).objects.update(status="delete_scheduled")
    page = browser(alice).get(url).content.decode()
    assert "Deletion scheduled" in page
    assert "Delete tag…" not in page


def test_when_it_was_pulled_last(url: Any, played: Any, browser: Any, carol: Any) -> None:
    counted = {"pulls_counted_since": START}
    played.push("acme/app/web", "v1", **counted, last_pulled_at=START, pulls=3)
    played.push("acme/app/web", "v2", "b", **counted)
    page = browser(carol).get(url, {"sort": "-last_pulled_at"}).content.decode()
    assert "Last pulled" in page
    assert page.count('datetime="2026-11-20T10:00:00Z"') >= 1
    assert "never" in page
    played.push("acme/app/web", "v2", "b")
    assert "never" not in browser(carol).get(url).content.decode()


def test_how_often_the_image_was_pulled(url: Any, played: Any, browser: Any, carol: Any) -> None:
    played.push("acme/app/web", "v1")
    assert "in 30 days" not in browser(carol).get(url).content.decode()
    played.repository = lambda path, size=True, below=False: RepositoryDetails(
        "web", path, 1, pulls_30_days=1234, pulls_counted_since=START
    )
    assert "1,234 pulls in 30 days" in browser(carol).get(url).content.decode()


class TestFilters:
    @pytest.fixture
    def built(self, played: Any) -> Any:
        for name, platform in [("v1", "amd64"), ("v2", "arm64"), ("v10", "arm64"), ("x1", "arm64")]:
            played.push("acme/app/web", name, platforms=[f"linux/{platform}"])
        return played

    @pytest.mark.parametrize(
        ("asked", "names"),
        [
            ("q=1", ["v1", "v10", "x1"]),
            ("q=v.&match=pattern", ["v1", "v2"]),
            ("platform=linux/arm64", ["v10", "v2", "x1"]),
            ("platform=linux/arm64&q=v.*&match=pattern", ["v10", "v2"]),
            ("platform=made/up", ["v1", "v10", "v2", "x1"]),
            ("q=v1%00&match=odd", ["v1", "v10"]),
        ],
    )
    def test_they_are_asked_of_the_registry(
        self, url: Any, built: Any, browser: Any, carol: Any, asked: str, names: list[str]
    ) -> None:
        assert _names(browser(carol).get(f"{url}?sort=version&{asked}")) == names

    @pytest.mark.parametrize(
        ("asked", "names"),
        [
            ("signed=yes", ["v1", "x1"]),
            ("signed=no", ["v10", "v2"]),
            # Where signatures have tags of their own, these are no unsigned ones.
            ("signed=no&signatures=1", ["v10", "v2"]),
            ("signed=yes&q=v.*&match=pattern", ["v1"]),
            ("signed=maybe", ["v1", "v10", "v2", "x1"]),
        ],
    )
    def test_signed_or_not(
        self, url: Any, played: Any, browser: Any, carol: Any, asked: str, names: list[str]
    ) -> None:
        for name, letter in [("v1", "a"), ("x1", "a"), ("v2", "b"), ("v10", "b")]:
            played.push("acme/app/web", name, letter)
        played.push("acme/app/web", f"sha256-{'a' * 64}.sig", "c")
        assert _names(browser(carol).get(f"{url}?sort=version&{asked}")) == names

    def test_a_pattern_that_is_none_is_said(
        self, url: Any, built: Any, browser: Any, carol: Any
    ) -> None:
        page = browser(carol).get(f"{url}?q=v(&match=pattern")
        assert _names(page) == []
        assert "missing )" in page.content.decode()

    def test_the_next_page_has_the_same_filter(
        self, url: Any, many: Any, browser: Any, carol: Any
    ) -> None:
        first = browser(carol).get(f"{url}?q=v.*&match=pattern&signed=no&sort=-size_bytes")
        assert len(_names(first)) == 50
        for part in ("q=v.%2A", "match=pattern", "signed=no", "sort=-size_bytes", "last="):
            assert part in first.context["next_url"]


class TestUntagged:
    def test_it_lists_what_no_tag_points_at(
        self, url: Any, played: Any, browser: Any, alice: Any, carol: Any, mallory: Any
    ) -> None:
        played.push("acme/app/web", "v1")
        assert "Nothing untagged" in browser(carol).get(f"{url}/untagged").content.decode()
        played.loose = [("sha256:" + "d" * 64, 7)]
        page = browser(carol).get(f"{url}/untagged").content.decode()
        assert "dddddddddddd" in page
        assert "Plan the deletion" not in page
        assert "Plan the deletion" in browser(alice).get(f"{url}/untagged").content.decode()
        assert browser(mallory).get(f"{url}/untagged").status_code == 404
        assert browser(carol).get(f"{url}/untagged?after=x").status_code == 200

    def test_a_registry_that_does_not_answer(
        self, url: Any, played: Any, browser: Any, carol: Any
    ) -> None:
        played.trouble = RegistryUnavailable("away")
        assert "can't be shown" in browser(carol).get(f"{url}/untagged").content.decode()

    def test_another_registry_has_no_such_page(
        self, url: Any, played: Any, browser: Any, carol: Any
    ) -> None:
        played.has_own_api = False
        assert browser(carol).get(f"{url}/untagged").status_code == 404


def test_the_command_names_a_tag_that_is_there_whatever_is_filtered(
    url: Any, played: Any, browser: Any, carol: Any
) -> None:
    for tag in ("latest", "ci-1029"):
        played.push("acme/app/web", tag)
    page = browser(carol).get(f"{url}?q=ci-10")
    assert page.context["pull"].endswith("acme/app/web:latest")
    assert [line["tag"].name for line in page.context["lines"]] == ["ci-1029"]


def test_badges_say_what_belongs_to_a_tag(url: Any, played: Any, browser: Any, carol: Any) -> None:
    types = ("cosign.sig", "application/spdx+json", "https://slsa.dev/provenance/v1", "x/y")
    played.push("acme/app/web", "v1", belongings=types)
    played.push("acme/app/web", f"sha256-{'a' * 64}.sig", "b")
    page = browser(carol).get(url)
    (line,) = page.context["lines"]
    assert [badge.label for badge in line["belongings"]] == ["signed", "SBOM", "provenance"]
    text = page.content.decode()
    assert "1 tag · " in text
    assert "Show 1 tag of signatures" in text
    assert len(browser(carol).get(f"{url}?signatures=1").context["lines"]) == 2
