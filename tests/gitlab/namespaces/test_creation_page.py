"""New projects and new groups."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.namespaces.models import Member, Namespace, Project

PROJECT = "/projects/new"
GROUP = "/groups/new"
pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(alice: Any, bob: Any, carol: Any, make_group: Any) -> Any:
    return make_group("acme", owner=alice, developers=[bob], reporters=[carol])


@pytest.mark.parametrize("address", [PROJECT, GROUP])
def test_strangers_sign_in_first(client: Client, address: Any) -> None:
    assert client.get(address)["Location"] == f"/users/sign_in?next={address}"
    assert client.post(address, {}).status_code == 302


@pytest.mark.parametrize("address", [PROJECT, GROUP])
def test_who_is_external_opens_nothing(client: Client, make_person: Any, address: Any) -> None:
    client.force_login(make_person("eve", external=True))

    assert client.get(address).status_code == 403
    assert client.post(address, {"name": "x"}).status_code == 403


class TestProject:
    def make(self, client: Client, **fields: Any) -> Any:
        given = {"name": "Web shop", "namespace": "acme", "visibility": "private"}
        return client.post(PROJECT, given | fields)

    def test_it_works(self, client: Client, bob: Any, acme: Any) -> None:
        client.force_login(bob)

        response = self.make(client, path="shop", description="Sells.", visibility="public")

        project = Project.objects.get(full_path="acme/shop")
        assert response["Location"] == "/acme/shop"
        assert (project.name, project.description) == ("Web shop", "Sells.")
        assert (project.visibility, project.creator) == ("public", bob)
        assert "acme/shop is created." in client.get("/acme/shop").content.decode()

    @pytest.mark.parametrize(
        ("name", "path"),
        [("Web shop", "web-shop"), ("Über – Größe!", "uber-groe"), ("  v2.1 ", "v2-1")],
    )
    def test_the_path_is_made_of_the_name(
        self, client: Client, alice: Any, acme: Any, name: str, path: str
    ) -> None:
        client.force_login(alice)

        self.make(client, name=name)

        assert Project.objects.get().full_path == f"acme/{path}"

    def test_the_namespace_is_chosen_already(self, client: Client, alice: Any, acme: Any) -> None:
        client.force_login(alice)

        page = client.get(f"{PROJECT}?namespace=acme").content.decode()

        assert '<option value="acme" selected>' in page

    def test_one_chooses_among_those_allowed(
        self, client: Client, bob: Any, acme: Any, make_group: Any
    ) -> None:
        make_group("other")
        client.force_login(bob)

        choices = client.get(PROJECT).context["form"].fields["namespace"].choices

        assert [value for value, _ in choices] == ["bob", "acme"]

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("name", {"name": ""}),
            ("name", {"name": "x" * 256}),
            ("path", {"path": "Not a path"}),
            ("path", {"path": "a/b"}),
            ("path", {"path": "../up"}),
            ("path", {"path": "edit"}),
            ("path", {"path": "taken"}),
            ("path", {"name": "日本"}),
            ("path", {"path": "x" * 255}),
            ("namespace", {"namespace": "other"}),
            ("namespace", {"namespace": "nowhere"}),
            ("namespace", {"namespace": ""}),
            ("visibility", {"visibility": "secret"}),
            ("visibility", {"namespace": "acme/inner", "visibility": "public"}),
            ("description", {"description": "x" * 501}),
        ],
    )
    def test_it_refuses_at_the_field(
        self,
        client: Client,
        alice: Any,
        bob: Any,
        acme: Any,
        make_group: Any,
        make_project: Any,
        field: str,
        fields: Any,
    ) -> None:
        make_project("acme/taken")
        make_group("acme/inner", visibility="internal")
        make_group("other", owner=bob)
        client.force_login(alice)

        page = self.make(client, **fields)

        assert page.status_code == 200
        assert page.context["form"].errors.keys() == {field}
        assert Project.objects.count() == 1

    @pytest.mark.parametrize("who", ["carol", "mallory"])
    def test_others_do_not_make_any_there(
        self, client: Client, make_person: Any, acme: Any, who: str
    ) -> None:
        client.force_login(make_person(who))

        page = self.make(client)

        assert page.context["form"].errors.keys() == {"namespace"}
        assert not Project.objects.exists()


class TestGroup:
    def make(self, client: Client, **fields: Any) -> Any:
        given = {"name": "Tools", "parent": "", "visibility": "private"}
        return client.post(GROUP, given | fields)

    def test_it_works(self, client: Client, mallory: Any) -> None:
        client.force_login(mallory)

        response = self.make(client)

        group = Namespace.objects.get(full_path="tools")
        assert response["Location"] == "/tools"
        assert group.visibility == "private"
        assert Member.objects.get(namespace=group).access_level == 50

    def test_below_another(self, client: Client, alice: Any, acme: Any) -> None:
        client.force_login(alice)

        page = client.get(f"{GROUP}?parent=acme").content.decode()
        response = self.make(client, parent="acme")

        assert '<option value="acme" selected>' in page
        assert "New subgroup" in page
        assert response["Location"] == "/acme/tools"

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("name", {"name": ""}),
            ("path", {"path": "admin"}),
            ("path", {"path": "acme"}),
            ("path", {"path": "alice"}),
            ("path", {"path": "-x"}),
            ("visibility", {"visibility": ""}),
            ("parent", {"parent": "nowhere"}),
        ],
    )
    def test_it_refuses_at_the_field(
        self, client: Client, alice: Any, acme: Any, field: str, fields: Any
    ) -> None:
        client.force_login(alice)
        before = Namespace.objects.count()

        page = self.make(client, **fields)

        assert page.context["form"].errors.keys() == {field}
        assert Namespace.objects.count() == before

    @pytest.mark.parametrize("who", ["bob", "carol", "mallory"])
    def test_others_do_not_make_any_there(
        self, client: Client, make_person: Any, acme: Any, who: str
    ) -> None:
        client.force_login(make_person(who))

        page = self.make(client, parent="acme")

        assert page.context["form"].errors.keys() == {"parent"}
