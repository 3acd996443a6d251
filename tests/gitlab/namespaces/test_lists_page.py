"""My projects, my groups, what is public; and the search for a page by its path."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.namespaces import members
from gitlab.namespaces.models import Project

pytestmark = pytest.mark.django_db


def paths(page: Any) -> Any:
    return [row.routable.full_path for row in page.context["rows"]]


class TestHome:
    def test_strangers_sign_in_first(self, client: Client) -> None:
        assert client.get("/")["Location"] == "/users/sign_in?next=/"

    @pytest.mark.parametrize("address", ["/dashboard/projects"])
    def test_it_shows_what_one_belongs_to(
        self, client: Client, alice: Any, bob: Any, make_group: Any, make_project: Any, address: str
    ) -> None:
        make_group("acme", owner=alice, developers=[bob])
        make_project("acme/web")
        make_project("bob/own", owner=bob)
        make_project("alice/shared", owner=alice, reporters=[bob])
        make_project("alice/private", owner=alice)
        make_project("alice/public", owner=alice, visibility="public")
        client.force_login(bob)

        page = client.get(address)

        assert paths(page) == ["acme/web", "alice/shared", "bob/own"]
        assert [r.role for r in page.context["rows"]] == ["Developer", "Reporter", "Owner"]

    def test_a_newcomer_learns_how_to_begin(
        self, client: Client, mallory: Any, settings: Any
    ) -> None:
        client.force_login(mallory)

        page = client.get("/").content.decode()

        host = settings.CONTAINER_REGISTRY_HOST_PORT
        assert f"docker login {host} -u mallory" in page
        assert f"docker push {host}/mallory/hello" in page

    def test_it_counts_images_where_one_may_see_them(
        self, client: Client, bob: Any, make_project: Any, make_image: Any
    ) -> None:
        for name, roles, access in [
            ("seen", {"reporters": [bob]}, "enabled"),
            ("guest", {"guests": [bob]}, "enabled"),
            ("off", {"developers": [bob]}, "disabled"),
        ]:
            make_image(
                f"alice/{name}", of=make_project(f"alice/{name}", registry_access=access, **roles)
            )
        client.force_login(bob)

        page = client.get("/dashboard/projects")

        assert {row.routable.path: row.images for row in page.context["rows"]} == {
            "seen": 1,
            "guest": None,
            "off": None,
        }

    def test_it_filters(self, client: Client, alice: Any, make_project: Any) -> None:
        for name in ("web", "worker", "api"):
            make_project(f"alice/{name}", owner=alice)
        client.force_login(alice)

        assert paths(client.get("/dashboard/projects?q=W")) == ["alice/web", "alice/worker"]
        nothing = client.get("/dashboard/projects?q=<b>nothing")
        assert "No project matches." in nothing.content.decode()
        assert "<b>nothing" not in nothing.content.decode()

    def test_it_pages_both_ways(self, client: Client, alice: Any, make_project: Any) -> None:
        for number in range(45):
            make_project(f"alice/p{number:02d}", owner=alice)
        client.force_login(alice)

        first = client.get("/dashboard/projects?q=p")
        second = client.get(f"/dashboard/projects{first.context['next_url']}")
        third = client.get(f"/dashboard/projects{second.context['next_url']}")

        assert [len(paths(page)) for page in (first, second, third)] == [20, 20, 5]
        assert not first.context["previous_url"]
        assert not third.context["next_url"]
        assert paths(client.get(f"/dashboard/projects{third.context['previous_url']}")) == paths(
            second
        )
        assert paths(client.get(f"/dashboard/projects{second.context['previous_url']}")) == paths(
            first
        )
        assert "q=p" in first.context["next_url"]

    @pytest.mark.parametrize("sort", ["path", "-path", "updated_at", "-updated_at"])
    def test_it_sorts_and_pages_in_that_order(
        self, client: Client, alice: Any, make_project: Any, sort: str
    ) -> None:
        made = [make_project(f"alice/p{number:02}", owner=alice) for number in range(45)]
        for number, project in enumerate(made):
            # Every second has the moment of its neighbour, so that the id decides.
            moment = timezone.now() - dt.timedelta(days=(number * 7) % 45 // 2)
            Project.objects.filter(pk=project.pk).update(updated_at=moment)
        client.force_login(alice)
        columns = ("full_path",) if "path" in sort else ("updated_at", "id")
        sign = "-" if sort.startswith("-") else ""
        wanted = list(
            Project.objects.order_by(*(sign + column for column in columns)).values_list(
                "full_path", flat=True
            )
        )

        seen, pages, url = [], [], f"/dashboard/projects?sort={sort}"
        while url:
            page = client.get(url)
            pages.append(paths(page))
            seen += pages[-1]
            url = page.context["next_url"] and "/dashboard/projects" + page.context["next_url"]
        assert seen == wanted
        assert paths(client.get("/dashboard/projects" + page.context["previous_url"])) == pages[-2]
        assert page.context["sort"] == sort

    @pytest.mark.parametrize("key", ["after=zzz", "after=[1,2]", "before=%5B%22\\u0000%22,1%5D"])
    def test_a_key_of_another_order_begins_anew(
        self, client: Client, alice: Any, make_project: Any, key: str
    ) -> None:
        make_project("alice/web", owner=alice)
        client.force_login(alice)

        assert paths(client.get(f"/dashboard/projects?sort=updated_at&{key}")) == ["alice/web"]

    def test_an_unknown_order_is_the_usual(
        self, client: Client, alice: Any, make_project: Any
    ) -> None:
        make_project("alice/web", owner=alice)
        client.force_login(alice)

        page = client.get("/dashboard/projects?sort=password")
        assert (paths(page), page.context["sort"]) == (["alice/web"], "path")

    @pytest.mark.parametrize(
        "cursor", ["?after=zzz", "?before=a", "?after=\x00", "?q=%00", "?after=%00%ff"]
    )
    def test_a_made_up_cursor_does_no_harm(
        self, client: Client, alice: Any, make_project: Any, cursor: str
    ) -> None:
        make_project("alice/web", owner=alice)
        client.force_login(alice)

        assert client.get(f"/dashboard/projects{cursor}").status_code == 200

    def test_many_projects_cost_as_few_queries(
        self,
        client: Client,
        alice: Any,
        make_group: Any,
        make_project: Any,
        django_assert_max_num_queries: Any,
    ) -> None:
        make_group("acme", owner=alice)
        for number in range(20):
            make_project(f"acme/p{number}")
        client.force_login(alice)

        with django_assert_max_num_queries(9):
            client.get("/dashboard/projects")


class TestGroups:
    ADDRESS = "/dashboard/groups"

    def test_strangers_sign_in_first(self, client: Client) -> None:
        assert client.get(self.ADDRESS).status_code == 302

    def test_it_shows_what_one_belongs_to(
        self, client: Client, alice: Any, bob: Any, make_group: Any
    ) -> None:
        make_group("acme/tools", owner=alice, reporters=[bob])
        make_group("acme/secret", owner=alice, visibility="private")
        client.force_login(bob)

        assert paths(client.get(self.ADDRESS)) == ["acme/tools"]


class TestExplore:
    ADDRESS = "/explore/projects"

    @pytest.fixture(autouse=True)
    def projects(self, make_project: Any) -> None:
        for visibility in ("private", "internal", "public"):
            make_project(f"alice/{visibility}", visibility=visibility)

    @pytest.mark.parametrize(
        ("who", "seen"),
        [
            (None, ["public"]),
            ("mallory", ["internal", "public"]),
            ("alice", ["internal", "public"]),
        ],
    )
    def test_it_shows_what_somebody_may_see(
        self, client: Client, make_person: Any, who: str | None, seen: Any
    ) -> None:
        if who:
            client.force_login(make_person(who))

        assert paths(client.get(self.ADDRESS)) == [f"alice/{name}" for name in seen]

    def test_who_is_external_sees_the_public_ones(self, client: Client, make_person: Any) -> None:
        client.force_login(make_person("eve", external=True))

        assert paths(client.get(self.ADDRESS)) == ["alice/public"]

    def test_images_of_a_private_registry_are_not_counted(
        self, client: Client, make_image: Any
    ) -> None:
        project = Project.objects.get(full_path="alice/public")
        make_image("alice/public", of=project)
        project.registry_access = "private"
        project.save()

        assert client.get(self.ADDRESS).context["rows"][0].images is None


def test_a_lapsed_membership_is_none(
    client: Client, alice: Any, bob: Any, make_group: Any, make_project: Any
) -> None:
    group = make_group("acme", owner=alice, visibility="private", developers=[bob])
    make_project("acme/web")
    members.remove_member(alice, group, bob)
    client.force_login(bob)

    assert paths(client.get("/dashboard/projects")) == []
