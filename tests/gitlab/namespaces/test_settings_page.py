"""Settings of projects and groups, and their deletion."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.namespaces.models import Project

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(alice: Any, bob: Any, carol: Any, make_group: Any, make_person: Any) -> Any:
    maintainer = make_person("mona")
    return make_group(
        "acme", owner=alice, maintainers=[maintainer], developers=[bob], reporters=[carol]
    )


@pytest.fixture
def web(acme: Any, make_project: Any) -> Any:
    return make_project("acme/web")


@pytest.fixture
def client_of_alice(client: Client, alice: Any) -> Any:
    client.force_login(alice)
    return client


@pytest.mark.parametrize(
    "address",
    ["/acme/web/edit", "/acme/web/-/delete", "/groups/acme/-/edit", "/groups/acme/-/delete"],
)
class TestAccess:
    def test_strangers_sign_in_first(self, client: Client, web: Any, address: Any) -> None:
        assert client.get(address)["Location"] == f"/users/sign_in?next={address}"

    @pytest.mark.parametrize(("who", "status"), [("bob", 403), ("carol", 403)])
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_members_are_told_no(
        self,
        client: Client,
        make_person: Any,
        web: Any,
        address: Any,
        who: str,
        status: int,
        method: str,
    ) -> None:
        client.force_login(make_person(who))

        assert getattr(client, method)(address).status_code == status

    def test_mallory_finds_no_private_one(
        self, client: Client, mallory: Any, web: Any, address: Any
    ) -> None:
        from gitlab.namespaces.models import Namespace

        Namespace.objects.filter(full_path="acme").update(visibility="private")
        client.force_login(mallory)

        assert client.get(address).status_code == 404
        assert client.post(address).status_code == 404


class TestProject:
    ADDRESS = "/acme/web/edit"

    def save(self, client: Client, **fields: Any) -> Any:
        given = {
            "name": "Web",
            "description": "",
            "visibility": "private",
            "registry_access": "enabled",
        }
        return client.post(self.ADDRESS, given | fields)

    @pytest.mark.parametrize("who", ["alice", "mona"])
    def test_it_works(self, client: Client, make_person: Any, web: Any, who: str) -> None:
        client.force_login(make_person(who))

        response = self.save(
            client, name="Shop", description="d", visibility="internal", registry_access="private"
        )

        web.refresh_from_db()
        assert response["Location"] == self.ADDRESS
        assert (web.name, web.description) == ("Shop", "d")
        assert (web.visibility, web.registry_access) == ("internal", "private")
        assert web.full_path == "acme/web"
        assert "The settings are saved." in client.get(self.ADDRESS).content.decode()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("description", "x" * 501),
            ("visibility", "secret"),
            ("visibility", "public"),
            ("registry_access", "maybe"),
        ],
    )
    def test_it_refuses_at_the_field(
        self, client_of_alice: Any, acme: Any, web: Any, field: str, value: Any
    ) -> None:
        acme.visibility = "internal"
        acme.save()

        page = self.save(client_of_alice, **{field: value})

        web.refresh_from_db()
        assert page.status_code == 200
        assert page.context["form"].errors.keys() == {field}
        assert (web.name, web.visibility) == ("web", "private")

    def test_it_says_what_the_group_does_not_allow(
        self, client_of_alice: Any, acme: Any, web: Any
    ) -> None:
        acme.visibility = "internal"
        acme.save()

        page = client_of_alice.get(self.ADDRESS).content.decode()

        assert "Not possible: the group acme is internal." in page

    def test_archived_and_back(self, client_of_alice: Any, web: Any) -> None:
        archive = "/acme/web/-/archive"
        page = client_of_alice.get(self.ADDRESS).content.decode()
        assert f'action="{archive}"' in page
        assert "Archive project" in page
        assert client_of_alice.get(archive).status_code == 405
        response = client_of_alice.post(archive, {"archived": "1"})
        assert response["Location"] == self.ADDRESS
        web.refresh_from_db()
        assert web.archived
        page = client_of_alice.get(self.ADDRESS).content.decode()
        assert "is archived: its images are only pulled" in page
        assert "Unarchive project" in page
        client_of_alice.post(archive)
        web.refresh_from_db()
        assert not web.archived

    def test_only_owners_archive(
        self, client: Client, make_person: Any, mallory: Any, web: Any
    ) -> None:
        archive = "/acme/web/-/archive"
        assert "sign_in" in client.post(archive, {"archived": "1"})["Location"]
        for user, status in ((make_person("mona"), 403), (make_person("bob"), 403), (mallory, 404)):
            client.force_login(user)
            assert client.post(archive, {"archived": "1"}).status_code == status
        client.force_login(make_person("mona"))
        assert "Archive project" not in client.get(self.ADDRESS).content.decode()
        web.refresh_from_db()
        assert not web.archived

    @pytest.mark.parametrize(("who", "may"), [("alice", True), ("mona", False)])
    def test_only_owners_are_offered_the_deletion(
        self, client: Client, make_person: Any, web: Any, who: str, may: bool
    ) -> None:
        client.force_login(make_person(who))

        assert ("/acme/web/-/delete" in client.get(self.ADDRESS).content.decode()) == may


class TestProjectDeletion:
    ADDRESS = "/acme/web/-/delete"

    def test_it_asks_with_the_numbers(
        self, client_of_alice: Any, web: Any, make_image: Any
    ) -> None:
        for name in ("acme/web", "acme/web/worker"):
            make_image(name, of=web)

        page = client_of_alice.get(self.ADDRESS)

        assert ("Images", "2") in page.context["numbers"]
        assert "data-panel" in page.content.decode()
        assert Project.objects.get(pk=web.pk).pending_delete_at is None

    def test_it_works(self, client_of_alice: Any, web: Any, make_image: Any, enqueued: Any) -> None:
        make_image("acme/web", of=web)

        response = client_of_alice.post(self.ADDRESS, {"path": " Acme/web "})

        web.refresh_from_db()
        assert response["Location"] == "/acme"
        assert web.is_pending_delete
        toast = "acme/web is being deleted with 1 image."
        assert toast in client_of_alice.get("/acme").content.decode()

    @pytest.mark.parametrize("typed", ["", "web", "acme/web2", "acme"])
    def test_the_path_has_to_be_typed(
        self, client_of_alice: Any, web: Any, typed: str, enqueued: Any
    ) -> None:
        page = client_of_alice.post(self.ADDRESS, {"path": typed})

        web.refresh_from_db()
        assert page.context["form"].errors.keys() == {"path"}
        assert not web.is_pending_delete

    def test_a_maintainer_does_not(self, client: Client, make_person: Any, web: Any) -> None:
        client.force_login(make_person("mona"))

        assert client.get(self.ADDRESS).status_code == 403
        assert client.post(self.ADDRESS, {"path": "acme/web"}).status_code == 403
        web.refresh_from_db()
        assert not web.is_pending_delete


class TestGroup:
    ADDRESS = "/groups/acme/-/edit"

    def test_it_works(self, client_of_alice: Any, acme: Any) -> None:
        response = client_of_alice.post(
            self.ADDRESS, {"name": "Acme Ltd", "description": "d", "visibility": "internal"}
        )

        acme.refresh_from_db()
        assert response["Location"] == self.ADDRESS
        assert (acme.name, acme.description, acme.visibility) == ("Acme Ltd", "d", "internal")

    def test_it_is_never_less_visible_than_what_is_in_it(
        self, client_of_alice: Any, acme: Any, make_project: Any
    ) -> None:
        make_project("acme/open", visibility="public")

        page = client_of_alice.post(self.ADDRESS, {"name": "Acme", "visibility": "private"})

        assert page.context["form"].errors.keys() == {"visibility"}
        assert "acme/open in it is public" in page.content.decode()

    def test_a_person_has_no_such_page(self, client_of_alice: Any) -> None:
        assert client_of_alice.get("/groups/alice/-/edit").status_code == 404


class TestGroupDeletion:
    ADDRESS = "/groups/acme/-/delete"

    def test_it_works(self, client_of_alice: Any, acme: Any, enqueued: Any) -> None:
        assert "Type acme to confirm" in client_of_alice.get(self.ADDRESS).content.decode()

        response = client_of_alice.post(self.ADDRESS, {"path": "acme"})

        acme.refresh_from_db()
        assert response["Location"] == "/dashboard/groups"
        assert acme.pending_delete_at is not None

    def test_a_subgroup_leads_back_up(
        self, client_of_alice: Any, acme: Any, make_group: Any, enqueued: Any
    ) -> None:
        make_group("acme/tools")

        response = client_of_alice.post("/groups/acme/tools/-/delete", {"path": "acme/tools"})

        assert response["Location"] == "/acme"

    def test_while_there_are_projects_it_says_so(
        self, client_of_alice: Any, acme: Any, web: Any
    ) -> None:
        page = client_of_alice.get(self.ADDRESS).content.decode()
        posted = client_of_alice.post(self.ADDRESS, {"path": "acme"})

        acme.refresh_from_db()
        assert "can&#x27;t be deleted yet" in page or "can't be deleted yet" in page
        assert 'href="/acme/web/edit"' in page
        assert "still has 1 project" in posted.content.decode()
        assert acme.pending_delete_at is None
