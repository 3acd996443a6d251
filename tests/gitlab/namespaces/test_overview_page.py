"""The page at a path: a project, a group, a person."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(alice: Any, bob: Any, carol: Any, make_group: Any) -> Any:
    return make_group("acme", owner=alice, developers=[bob], reporters=[carol])


@pytest.fixture
def web(acme: Any, make_project: Any) -> Any:
    return make_project("acme/web", visibility="private")


def get(client: Client, person: Any, address: str = "/acme/web") -> Any:
    if person:
        client.force_login(person)
    return client.get(address)


class TestWhoSees:
    @pytest.mark.parametrize("who", ["alice", "bob", "carol", "root"])
    def test_members_and_administrators(
        self, client: Client, make_person: Any, root: Any, web: Any, who: str
    ) -> None:
        assert get(client, make_person(who)).status_code == 200

    @pytest.mark.parametrize("address", ["/acme/web", "/acme/web/edit", "/acme/web/-/delete"])
    def test_mallory_finds_nothing(
        self, client: Client, mallory: Any, web: Any, address: str
    ) -> None:
        assert get(client, mallory, address).status_code == 404

    @pytest.mark.parametrize(
        "address", ["/acme/web", "/acme/nothing", "/nothing", "/acme/web/-/project_members"]
    )
    def test_strangers_are_asked_to_sign_in_whether_it_exists_or_not(
        self, client: Client, web: Any, address: str
    ) -> None:
        response = client.get(address)

        assert response.status_code == 302
        assert response["Location"] == f"/users/sign_in?next={address}"

    def test_strangers_see_what_is_public(
        self, client: Client, acme: Any, make_project: Any
    ) -> None:
        make_project("acme/open", visibility="public")

        assert client.get("/acme/open").status_code == 200
        assert client.get("/acme").status_code == 200

    @pytest.mark.parametrize("address", ["/api/v4/nothing", "/v1/x", "/snippets", "/assets"])
    def test_addresses_of_our_own_are_no_paths(
        self, client: Client, db: None, address: str
    ) -> None:
        assert client.get(address).status_code == 404

    @pytest.mark.parametrize("address", ["/acme//web", "/-/x", "/acme/-/x", "/_x", "/acme/web/-"])
    def test_what_is_no_path_is_not_found(
        self, client: Client, alice: Any, web: Any, address: str
    ) -> None:
        assert get(client, alice, address).status_code == 404

    def test_one_that_is_being_deleted_is_gone(
        self, client: Client, alice: Any, web: Any, enqueued: Any
    ) -> None:
        from gitlab.namespaces import services

        services.delete_project(alice, web)

        assert get(client, alice).status_code == 404


class TestAddresses:
    def test_capitals_are_no_matter(self, client: Client, alice: Any, web: Any) -> None:
        assert get(client, alice, "/Acme/WEB").status_code == 200

    @pytest.mark.parametrize(
        ("address", "to"),
        [("/acme/web/", "/acme/web"), ("/groups/acme", "/acme"), ("/groups/acme/x", "/acme/x")],
    )
    @pytest.mark.parametrize("query", ["", "?q=a%20b&page=2"])
    def test_others_lead_there(self, client: Any, address: Any, to: Any, query: Any) -> None:
        assert client.get(address + query)["Location"] == to + query

    def test_a_post_is_refused(self, client: Client, alice: Any, web: Any) -> None:
        client.force_login(alice)

        assert client.post("/acme/web").status_code == 405


class TestProject:
    def test_who_may_push_gets_the_commands(
        self, client: Client, bob: Any, web: Any, settings: Any
    ) -> None:
        page = get(client, bob).content.decode()

        host = settings.CONTAINER_REGISTRY_HOST_PORT
        assert f"docker login {host} -u bob" in page
        assert f"docker build -t {host}/acme/web ." in page
        assert f"docker push {host}/acme/web" in page

    def test_who_may_pull_is_led_to_the_images(
        self, client: Client, carol: Any, web: Any, make_image: Any
    ) -> None:
        """Which tag there is only the page of an image knows: no command that may not work."""
        make_image("acme/web/sub", of=web)
        page = get(client, carol).content.decode()

        assert "The page of an image and of each tag has the command" in page
        assert "docker login" in page
        assert "docker push" not in page
        assert "docker pull" not in page

    def test_a_public_one_needs_no_login(
        self, client: Client, acme: Any, make_project: Any, make_image: Any
    ) -> None:
        project = make_project("acme/open", visibility="public")
        make_image("acme/open", of=project)

        page = client.get("/acme/open").content.decode()

        assert "there is no need to sign in" in page
        assert "docker login" not in page

    def test_images_of_a_private_registry_are_for_members(
        self, client: Client, mallory: Any, acme: Any, make_project: Any, make_image: Any
    ) -> None:
        project = make_project("acme/open", visibility="public", registry_access="private")
        make_image("acme/open/secret-image", of=project)

        page = get(client, mallory, "/acme/open").content.decode()

        assert "Images are for members" in page
        assert "secret-image" not in page
        assert "docker pull" not in page

    def test_a_registry_that_is_off_says_so(
        self, client: Client, alice: Any, acme: Any, make_project: Any
    ) -> None:
        make_project("acme/off", registry_access="disabled")

        page = get(client, alice, "/acme/off").content.decode()

        assert "The container registry is off" in page
        assert "docker push" not in page

    @pytest.mark.parametrize(
        ("who", "edits", "members"), [("alice", 1, 1), ("bob", 0, 1), ("carol", 0, 1)]
    )
    def test_links_are_those_that_one_may_follow(
        self, client: Client, make_person: Any, web: Any, who: str, edits: int, members: int
    ) -> None:
        page = get(client, make_person(who)).content.decode()

        assert ('href="/acme/web/edit"' in page) == bool(edits)
        assert ('href="/acme/web/-/project_members"' in page) == bool(members)

    def test_strangers_do_not_see_members(
        self, client: Client, acme: Any, make_project: Any
    ) -> None:
        make_project("acme/open", visibility="public")

        page = client.get("/acme/open").content.decode()

        assert "Bob" not in page
        assert "/-/project_members" not in page

    def test_breadcrumbs_name_the_path(self, client: Client, alice: Any, web: Any) -> None:
        assert get(client, alice).context["breadcrumbs"] == [
            ("acme", "/acme"),
            ("web", "/acme/web"),
        ]

    def test_names_are_escaped(
        self, client: Client, alice: Any, acme: Any, make_project: Any
    ) -> None:
        project = make_project("acme/x")
        project.name = project.description = "<script>alert(1)</script>"
        project.save()

        for address in ("/acme/x", "/acme", "/", "/acme/x/edit", "/acme/x/-/delete"):
            assert "<script>alert" not in get(client, alice, address).content.decode()


class TestGroup:
    def test_projects_further_below_are_said_to_be_there(
        self, client: Client, alice: Any, acme: Any, make_group: Any, make_project: Any
    ) -> None:
        make_group("acme/tools")
        assert "No project here yet" in get(client, alice, "/acme").content.decode()
        make_project("acme/tools/web")
        page = get(client, alice, "/acme").content.decode()
        assert "they are in its subgroups" in page
        assert "No project here yet" not in page

    def test_it_shows_what_somebody_may_see(
        self,
        client: Client,
        mallory: Any,
        alice: Any,
        acme: Any,
        make_group: Any,
        make_project: Any,
    ) -> None:
        make_group("acme/open")
        make_group("acme/closed", visibility="private")
        make_project("acme/public", visibility="public")
        make_project("acme/private")

        page = get(client, mallory, "/acme")

        assert [row.routable.path for row in page.context["rows"]] == ["public"]
        assert [row.routable.path for row in page.context["subgroups"]] == ["open"]
        for name in ("closed", "private"):
            assert f"acme/{name}" not in page.content.decode()

    @pytest.mark.parametrize(
        ("who", "project", "subgroup"),
        [("alice", True, True), ("bob", True, False), ("carol", False, False)],
    )
    def test_buttons_are_those_that_one_may_press(
        self, client: Client, make_person: Any, acme: Any, who: str, project: bool, subgroup: bool
    ) -> None:
        page = get(client, make_person(who), "/acme").content.decode()

        assert ("/projects/new?namespace=acme" in page) == project
        assert ("/groups/new?parent=acme" in page) == subgroup

    def test_the_way_to_ones_project_is_seen(
        self, client: Client, mallory: Any, alice: Any, make_group: Any, make_project: Any
    ) -> None:
        make_group("closed", owner=alice, visibility="private")
        make_project("closed/one", guests=[mallory])
        make_project("closed/two")

        page = get(client, mallory, "/closed")

        assert [row.routable.path for row in page.context["rows"]] == ["one"]

    def test_a_person_has_a_page(
        self, client: Client, alice: Any, bob: Any, make_project: Any
    ) -> None:
        make_project("alice/open", visibility="public")
        make_project("alice/own")

        page = get(client, bob, "/alice")

        assert [row.routable.path for row in page.context["rows"]] == ["open"]
        assert "alice@example.com" not in page.content.decode()
        assert "New project" not in page.content.decode().partition("<main")[2]
