"""A registry without /gitlab/v1/: what it can tell, and how a tag of it goes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gitlab.container_registry.client import connection
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.distribution import SIZED_TAGS, DistributionRegistry
from gitlab.container_registry.client.registry import own_api
from tests.gitlab.container_registry.client.distribution_played import PlayedDistribution
from tests.gitlab.container_registry.client.played_network import PlayedNetwork

APP = "acme/app"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.time, "sleep", lambda seconds: None)


@pytest.fixture
def theirs() -> Any:
    return PlayedDistribution()


def client_of(played: Any) -> Any:
    return DistributionRegistry("http://registry", transport=PlayedNetwork(played))


@pytest.fixture
def registry(theirs: Any) -> Any:
    return client_of(theirs)


class TestWhatIsThere:
    def test_details_with_the_size_of_each_blob_once(self, theirs: Any, registry: Any) -> None:
        theirs.push(APP, "v1", 1000, 500)
        theirs.push(APP, "v2", 1000, 70)
        found = registry.repository(APP)
        config = len(b'{"os": "linux", "architecture": "amd64"}')
        assert (found.path, found.name, found.tags_count) == (APP, "app", 2)
        assert found.size_bytes == 1570 + config
        assert found.last_published_at is None

    def test_what_it_does_not_have(self, registry: Any) -> None:
        assert registry.repository("acme/none") is None
        assert registry.tags("acme/none").tags == []
        assert registry.tag("acme/none", "v1") is None
        assert registry.delete_tag("acme/none", "v1") is False
        assert registry.delete_batch("acme/none") == 0

    def test_many_tags_have_no_size(self, theirs: Any, registry: Any) -> None:
        for number in range(SIZED_TAGS + 1):
            theirs.push(APP, f"v{number}", 1)
        theirs.asked.clear()
        assert registry.repository(APP).size_bytes is None
        assert theirs.asked == [f"GET /v2/{APP}/tags/list"]
        assert registry.repository(APP, below=True).size_bytes is None

    def test_a_tag(self, theirs: Any, registry: Any) -> None:
        digest = theirs.push(APP, "v1", 1000, created="2026-11-20T10:00:00Z")
        tag = registry.tag(APP, "v1")
        assert (tag.name, tag.digest, tag.published_at) == ("v1", digest, None)
        assert tag.created_at.year == 2026
        assert [str(platform) for platform in tag.platforms] == ["linux/amd64"]
        assert tag.config_digest in theirs.blobs
        assert registry.tag(APP, "v9") is None

    def test_an_index(self, theirs: Any, registry: Any) -> None:
        one = theirs.push(APP, "one", 1000, created="2026-11-20T10:00:00Z")
        two = theirs.push(APP, "two", 500, created="2026-11-21T10:00:00Z", platform="linux/arm64")
        theirs.push_index(APP, "all", one, two)
        tag = registry.tag(APP, "all")
        assert [str(platform) for platform in tag.platforms] == ["linux/amd64", "linux/arm64"]
        assert tag.created_at.day == 21
        assert tag.size_bytes > 1500
        assert tag.media_type.endswith("index.v1+json")

    def test_what_is_read_once_is_not_asked_again(self, theirs: Any, registry: Any) -> None:
        theirs.push(APP, "v1", 1000)
        registry.tags(APP)
        theirs.asked.clear()
        registry.tags(APP)
        assert theirs.asked == [f"GET /v2/{APP}/tags/list", f"HEAD /v2/{APP}/manifests/v1"]
        theirs.push(APP, "v1", 2000)
        assert registry.tags(APP).tags[0].size_bytes > 2000

    @pytest.mark.parametrize("page", [0, 3])
    @pytest.mark.parametrize("sort", ["name", "-name", "-published_at"])
    def test_pages_lead_through_everything_and_back(
        self, theirs: Any, registry: Any, sort: str, page: int
    ) -> None:
        theirs.page = page
        names = sorted(f"v{number}" for number in range(8))
        for name in names:
            theirs.push(APP, name, 1)
        theirs.push(APP, "other", 1)
        if sort == "-name":
            names.reverse()
        found, last, pages = [], "", []
        while True:
            shown = registry.tags(APP, n=3, last=last, name="v", sort=sort)
            pages.append([tag.name for tag in shown.tags])
            found += pages[-1]
            assert bool(shown.previous_before) == (len(pages) > 1)
            if not shown.next_last:
                break
            last = shown.next_last
        assert found == names
        before = registry.tags(APP, n=3, before=pages[1][0], name="v", sort=sort)
        assert [tag.name for tag in before.tags] == pages[0]
        assert (before.next_last, before.previous_before) == (pages[0][-1], "")

    def test_a_configuration_that_lies_elsewhere_is_not_fetched(
        self, theirs: Any, registry: Any
    ) -> None:
        theirs.push(APP, "v1", 1000)

        def play(request: pytest.FixtureRequest) -> Any:
            if "/blobs/" in request.url.path:
                return httpx.Response(307, headers={"Location": "http://store/"})
            return theirs(request)

        tag = client_of(play).tag(APP, "v1")
        assert (tag.platforms, tag.created_at) == ((), None)
        assert tag.size_bytes > 1000


class TestDeletingATag:
    def test_its_siblings_stay(self, theirs: Any, registry: Any) -> None:
        digest = theirs.push(APP, "v1", 1000)
        theirs.push(APP, "latest", 1000)
        theirs.push(APP, "v2", 500)
        assert registry.delete_tag(APP, "v1", by="bob") is True
        assert theirs.tags[APP].keys() == {"latest", "v2"}
        assert theirs.tags[APP]["latest"] == digest
        assert (APP, digest) in theirs.manifests
        assert len(theirs.manifests) == 2
        assert registry.delete_tag(APP, "v1") is False

    def test_the_person_is_named(self, theirs: Any, registry: Any) -> None:
        theirs.push(APP, "v1", 1000)
        registry.delete_tag(APP, "v1", by="bob")
        changes = [
            subject
            for asked, subject in zip(theirs.asked, theirs.subjects, strict=True)
            if asked.startswith("PUT")
        ]
        assert changes == ["bob", "bob"]

    def test_a_registry_that_deletes_nothing_is_left_as_it_is(self) -> None:
        theirs = PlayedDistribution(deletes=False)
        digest = theirs.push(APP, "v1", 1000)
        with pytest.raises(RegistryRefused) as refused:
            client_of(theirs).delete_tag(APP, "v1")
        assert (refused.value.status, refused.value.code) == (405, "UNSUPPORTED")
        assert theirs.tags[APP] == {"v1": digest}
        assert not [asked for asked in theirs.asked if asked.startswith(("PUT", "POST"))]

    def test_a_push_in_between_wins(self, theirs: Any, registry: Any) -> None:
        theirs.push(APP, "v1", 1000)
        pushed = []

        def push(path: Any, digest: Any) -> None:
            if theirs.tags[APP]["v1"] == digest:
                pushed.append(theirs.push(APP, "v1", 77))

        theirs.before_delete = push
        assert registry.delete_tag(APP, "v1") is True
        assert theirs.tags[APP] == {"v1": pushed[0]}

    def test_two_at_the_same_time_have_manifests_of_their_own(
        self, theirs: Any, registry: Any
    ) -> None:
        theirs.push(APP, "v1", 1000)
        theirs.push(APP, "v2", 1000)
        deleted = []

        def other(path: Any, digest: Any) -> None:
            if theirs.tags[APP].get("v1") == digest and not deleted:
                deleted.append(client_of(theirs).delete_tag(APP, "v2"))

        theirs.before_delete = other
        assert registry.delete_tag(APP, "v1") is True
        assert deleted == [True]
        assert theirs.tags[APP] == {}

    def test_one_that_deletes_tags_is_let(self) -> None:
        theirs = PlayedDistribution(deletes_tags=True)
        theirs.push(APP, "v1", 1000)
        theirs.push(APP, "v2", 1000)
        registry = client_of(theirs)
        assert registry.delete_tag(APP, "v1") is True
        assert theirs.asked == [f"DELETE /v2/{APP}/manifests/v1"]
        assert registry.delete_tag(APP, "v1") is False
        assert theirs.tags[APP].keys() == {"v2"}

    def test_whether_it_does_is_asked_once(self, theirs: Any, registry: Any) -> None:
        for tag in ("v1", "v2"):
            theirs.push(APP, tag, 1000)
            registry.delete_tag(APP, tag)
        assert (
            sum(
                asked.endswith(("manifests/v1", "manifests/v2")) and asked.startswith("DELETE")
                for asked in theirs.asked
            )
            == 1
        )

    def test_several_in_a_row_cost_three_calls_each(self, theirs: Any, registry: Any) -> None:
        for number in range(4):
            theirs.push(APP, f"v{number}", 1000)
        registry.delete_tag(APP, "v0")
        for number in (1, 2):
            theirs.asked.clear()
            assert registry.delete_tag(APP, f"v{number}") is True
            assert [asked.partition(" ")[0] for asked in theirs.asked] == ["HEAD", "PUT", "DELETE"]
        assert theirs.tags[APP].keys() == {"v3"}

    def test_trouble_on_the_way_is_cured_by_another_try(self, theirs: Any, registry: Any) -> None:
        digest = theirs.push(APP, "v1", 1000)
        theirs.push(APP, "latest", 1000)
        state = {"broken": True}

        def play(request: pytest.FixtureRequest) -> Any:
            is_last = request.method == "DELETE" and theirs.tags[APP].get("v1") != digest
            if is_last and state["broken"]:
                raise httpx.ReadTimeout("slow")
            return theirs(request)

        registry = client_of(play)
        with pytest.raises(RegistryUnavailable):
            registry.delete_tag(APP, "v1")
        state["broken"] = False
        assert registry.delete_tag(APP, "v1") is True
        assert theirs.tags[APP] == {"latest": digest}


class TestDeletingAnImage:
    def test_in_batches_with_the_parts_of_indexes(self, theirs: Any, registry: Any) -> None:
        one, two = theirs.push(APP, "one", 1000), theirs.push(APP, "two", 500)
        theirs.push_index(APP, "all", one, two)
        theirs.push(APP, "z", 5)
        for tag in ("one", "two"):
            del theirs.tags[APP][tag]
        theirs.push("acme/other", "v1", 1000)
        assert registry.delete_batch(APP, 1) == 1
        assert registry.delete_batch(APP, 1) == 0
        assert {path for path, _ in theirs.manifests} == {"acme/other"}
        assert registry.delete_batch(APP, 1) == 0

    def test_tags_of_one_digest_go_at_once(self, theirs: Any, registry: Any) -> None:
        for tag in ("v1", "v2", "v3"):
            theirs.push(APP, tag, 1000)
        assert registry.delete_batch(APP, 2) == 0

    def test_a_tag_that_leads_nowhere_goes_too(self, theirs: Any, registry: Any) -> None:
        theirs.push(APP, "v1", 1000)
        theirs.manifests.clear()
        assert registry.delete_batch(APP) == 0
        assert theirs.tags[APP] == {}

    def test_no_progress_is_a_refusal(self) -> None:
        theirs = PlayedDistribution(deletes=False)
        theirs.push(APP, "v1", 1000)
        with pytest.raises(RegistryRefused):
            client_of(theirs).delete_batch(APP)

        def play(request: pytest.FixtureRequest) -> Any:
            return httpx.Response(202) if request.method == "DELETE" else theirs(request)

        with pytest.raises(RegistryRefused, match="keeps all 1 tags"):
            client_of(play).delete_batch(APP)


def test_what_it_can_not(theirs: Any, registry: Any) -> None:
    theirs.push(APP, "v1", 1000)
    assert registry.own is None
    with pytest.raises(RegistryRefused, match="this registry can't rename images") as error:
        own_api(registry, "can't rename images")
    assert error.value.status == 404
