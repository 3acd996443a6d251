"""My projects, my groups, what is public; and the search for a page by its path."""

import pytest

from gitlab.namespaces import members
from gitlab.namespaces.models import Project

pytestmark = pytest.mark.django_db


def paths(page):
    return [row.routable.full_path for row in page.context["rows"]]


class TestHome:
    def test_strangers_sign_in_first(self, client):
        assert client.get("/")["Location"] == "/users/sign_in?next=/"

    @pytest.mark.parametrize("address", ["/", "/dashboard/projects"])
    def test_it_shows_what_one_belongs_to(
        self, client, alice, bob, make_group, make_project, address
    ):
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

    def test_a_newcomer_learns_how_to_begin(self, client, mallory, settings):
        client.force_login(mallory)

        page = client.get("/").content.decode()

        host = settings.CONTAINER_REGISTRY_HOST_PORT
        assert f"docker login {host} -u mallory" in page
        assert f"docker push {host}/mallory/hello" in page

    def test_it_counts_images_where_one_may_see_them(self, client, bob, make_project, make_image):
        for name, roles, access in [
            ("seen", {"reporters": [bob]}, "enabled"),
            ("guest", {"guests": [bob]}, "enabled"),
            ("off", {"developers": [bob]}, "disabled"),
        ]:
            make_image(
                f"alice/{name}", of=make_project(f"alice/{name}", registry_access=access, **roles)
            )
        client.force_login(bob)

        page = client.get("/")

        assert {row.routable.path: row.images for row in page.context["rows"]} == {
            "seen": 1,
            "guest": None,
            "off": None,
        }

    def test_it_filters(self, client, alice, make_project):
        for name in ("web", "worker", "api"):
            make_project(f"alice/{name}", owner=alice)
        client.force_login(alice)

        assert paths(client.get("/?q=W")) == ["alice/web", "alice/worker"]
        nothing = client.get("/?q=<b>nothing")
        assert "No project matches." in nothing.content.decode()
        assert "<b>nothing" not in nothing.content.decode()

    def test_it_pages_both_ways(self, client, alice, make_project):
        for number in range(45):
            make_project(f"alice/p{number:02d}", owner=alice)
        client.force_login(alice)

        first = client.get("/?q=p")
        second = client.get(f"/{first.context['next_url']}")
        third = client.get(f"/{second.context['next_url']}")

        assert [len(paths(page)) for page in (first, second, third)] == [20, 20, 5]
        assert not first.context["previous_url"]
        assert not third.context["next_url"]
        assert paths(client.get(f"/{third.context['previous_url']}")) == paths(second)
        assert paths(client.get(f"/{second.context['previous_url']}")) == paths(first)
        assert "q=p" in first.context["next_url"]

    @pytest.mark.parametrize(
        "cursor", ["?after=zzz", "?before=a", "?after=\x00", "?q=%00", "?after=%00%ff"]
    )
    def test_a_made_up_cursor_does_no_harm(self, client, alice, make_project, cursor):
        make_project("alice/web", owner=alice)
        client.force_login(alice)

        assert client.get(f"/{cursor}").status_code == 200

    def test_many_projects_cost_as_few_queries(
        self, client, alice, make_group, make_project, django_assert_max_num_queries
    ):
        make_group("acme", owner=alice)
        for number in range(20):
            make_project(f"acme/p{number}")
        client.force_login(alice)

        with django_assert_max_num_queries(9):
            client.get("/")


class TestGroups:
    ADDRESS = "/dashboard/groups"

    def test_strangers_sign_in_first(self, client):
        assert client.get(self.ADDRESS).status_code == 302

    def test_it_shows_what_one_belongs_to(self, client, alice, bob, make_group):
        make_group("acme/tools", owner=alice, reporters=[bob])
        make_group("acme/secret", owner=alice, visibility="private")
        client.force_login(bob)

        assert paths(client.get(self.ADDRESS)) == ["acme/tools"]


class TestExplore:
    ADDRESS = "/explore/projects"

    @pytest.fixture(autouse=True)
    def projects(self, make_project):
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
    def test_it_shows_what_somebody_may_see(self, client, make_person, who, seen):
        if who:
            client.force_login(make_person(who))

        assert paths(client.get(self.ADDRESS)) == [f"alice/{name}" for name in seen]

    def test_who_is_external_sees_the_public_ones(self, client, make_person):
        client.force_login(make_person("eve", external=True))

        assert paths(client.get(self.ADDRESS)) == ["alice/public"]

    def test_images_of_a_private_registry_are_not_counted(self, client, make_image):
        project = Project.objects.get(full_path="alice/public")
        make_image("alice/public", of=project)
        project.registry_access = "private"
        project.save()

        assert client.get(self.ADDRESS).context["rows"][0].images is None


def test_a_lapsed_membership_is_none(client, alice, bob, make_group, make_project):
    group = make_group("acme", owner=alice, visibility="private", developers=[bob])
    make_project("acme/web")
    members.remove_member(alice, group, bob)
    client.force_login(bob)

    assert paths(client.get("/")) == []
