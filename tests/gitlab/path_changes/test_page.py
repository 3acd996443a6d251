"""The pages that change paths and transfer projects."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.namespaces.models import Namespace, PathChange, Project
from gitlab.path_changes import services as path_changes
from tests.gitlab.path_changes.renaming import NamesOnly

pytestmark = pytest.mark.django_db
PATH, TRANSFER, GROUP = "/acme/web/-/path", "/acme/web/-/transfer", "/groups/acme/-/path"
GROUP_TRANSFER = "/groups/acme/-/transfer"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Any:
    names = NamesOnly("acme/web", "acme/web/worker")
    monkeypatch.setattr(path_changes.clients, "for_pages", lambda: names)
    return names


@pytest.fixture
def acme(alice: Any, bob: Any, carol: Any, make_group: Any, make_person: Any) -> Any:
    return make_group(
        "acme", owner=alice, maintainers=[make_person("mona")], developers=[bob], reporters=[carol]
    )


@pytest.fixture
def web(acme: Any, make_project: Any, make_image: Any, registry: Any) -> Any:
    project = make_project("acme/web")
    make_image("acme/web", of=project)
    make_image("acme/web/worker", of=project)
    return project


@pytest.fixture
def client_of_alice(client: Client, alice: Any) -> Any:
    client.force_login(alice)
    return client


@pytest.mark.parametrize("address", [PATH, TRANSFER, GROUP, GROUP_TRANSFER])
@pytest.mark.parametrize("method", ["get", "post"])
class TestAccess:
    def test_strangers_sign_in_first(
        self, client: Client, web: Any, address: Any, method: Any
    ) -> None:
        response = getattr(client, method)(address)
        assert response["Location"].startswith("/users/sign_in")

    @pytest.mark.parametrize("who", ["bob", "carol"])
    def test_members_are_told_no(
        self, client: Client, make_person: Any, web: Any, address: Any, method: Any, who: str
    ) -> None:
        client.force_login(make_person(who))
        assert getattr(client, method)(address).status_code == 403

    def test_mallory_finds_nothing(
        self, client: Client, mallory: Any, web: Any, address: Any, method: Any
    ) -> None:
        Namespace.objects.filter(full_path="acme").update(visibility="private")
        client.force_login(mallory)
        assert getattr(client, method)(address).status_code == 404

    def test_a_maintainer_changes_paths_and_does_not_transfer(
        self, client: Client, make_person: Any, web: Any, address: Any, method: Any
    ) -> None:
        client.force_login(make_person("mona"))
        expected = 200 if address == PATH else 403
        assert getattr(client, method)(address).status_code == expected


def test_settings_lead_there(
    client: Client, client_of_alice: Any, make_person: Any, web: Any
) -> None:
    text = client_of_alice.get("/acme/web/edit").content.decode()
    assert f'href="{PATH}"' in text
    assert f'href="{TRANSFER}"' in text
    assert "2 images come along" in text
    assert f'href="{GROUP}"' in client_of_alice.get("/groups/acme/-/edit").content.decode()
    client.force_login(make_person("mona"))
    text = client.get("/acme/web/edit").content.decode()
    assert f'href="{PATH}"' in text
    assert f'href="{TRANSFER}"' not in text


def test_another_path(client_of_alice: Any, web: Any, registry: Any) -> None:
    page = client_of_alice.get(PATH).content.decode()
    assert "Change the path of acme/web?" in page
    assert 'value="web"' in page

    response = client_of_alice.post(PATH, {"path": "shop"})

    assert response["Location"] == "/acme/shop/edit"
    assert registry.names == {"acme/shop", "acme/shop/worker"}
    text = client_of_alice.get("/acme/shop/edit").content.decode()
    assert "It is called acme/shop now." in text
    assert client_of_alice.get("/acme/web").status_code == 404


def test_what_can_not_be_is_said_at_the_field(client_of_alice: Any, web: Any) -> None:
    response = client_of_alice.post(PATH, {"path": "No way!"})
    assert response.status_code == 200
    assert "Use lower-case letters" in response.content.decode()
    assert client_of_alice.post(PATH, {"path": ""}).status_code == 200
    assert Project.objects.get(pk=web.pk).full_path == "acme/web"


def test_a_registry_that_does_not_answer(client_of_alice: Any, web: Any, registry: Any) -> None:
    registry.trouble = RegistryUnavailable("down")
    text = client_of_alice.post(PATH, {"path": "shop"}).content.decode()
    assert "The registry does not answer." in text
    assert PathChange.objects.exists()
    text = client_of_alice.get("/acme/web/edit").content.decode()
    assert "The path is being changed" in text
    # The form offers to finish what was begun.
    assert 'value="shop"' in client_of_alice.get(PATH).content.decode()

    registry.trouble = None
    assert client_of_alice.post(PATH, {"path": "shop"})["Location"] == "/acme/shop/edit"


def test_transfer(client_of_alice: Any, web: Any, registry: Any) -> None:
    page = client_of_alice.get(TRANSFER).content.decode()
    assert "Transfer acme/web?" in page
    assert '<option value="alice">' in page
    assert '<option value="acme">' not in page

    response = client_of_alice.post(TRANSFER, {"namespace": "alice"})

    assert response["Location"] == "/alice/web"
    assert registry.names == {"alice/web", "alice/web/worker"}


@pytest.mark.parametrize("namespace", ["", "acme", "bob", "none"])
def test_transfer_to_where_nobody_may(
    client_of_alice: Any, web: Any, registry: Any, namespace: str
) -> None:
    response = client_of_alice.post(TRANSFER, {"namespace": namespace})
    assert response.status_code == 200
    assert not registry.asked


def test_a_group(client_of_alice: Any, web: Any, registry: Any) -> None:
    page = client_of_alice.get(GROUP).content.decode()
    assert "Change the path of acme?" in page

    response = client_of_alice.post(GROUP, {"path": "harbour"})

    assert response["Location"] == "/groups/harbour/-/edit"
    assert registry.names == {"harbour/web", "harbour/web/worker"}
    assert client_of_alice.get("/harbour/web").status_code == 200


class TestTransferOfAGroup:
    def test_into_another(
        self, client_of_alice: Any, web: Any, alice: Any, make_group: Any
    ) -> None:
        make_group("harbour/deep", owner=alice)
        page = client_of_alice.get(GROUP_TRANSFER)
        assert b"harbour/deep" in page.content
        assert b"At the top" not in page.content
        response = client_of_alice.post(GROUP_TRANSFER, {"parent": "harbour/deep"})
        assert response["Location"] == "/harbour/deep/acme"
        assert Project.objects.get(pk=web.pk).full_path == "harbour/deep/acme/web"
        there = "/groups/harbour/deep/acme/-/transfer"
        assert b"At the top" in client_of_alice.get(there).content
        page = client_of_alice.post(there, {"parent": ""})
        assert page.context["form"].errors.keys() == {"parent"}
        client_of_alice.post(there, {"parent": "/"})
        assert Project.objects.get(pk=web.pk).full_path == "acme/web"

    def test_a_refusal_stands_in_the_form(
        self, client_of_alice: Any, web: Any, alice: Any, make_group: Any
    ) -> None:
        make_group("harbour", owner=alice, visibility="private")
        response = client_of_alice.post(GROUP_TRANSFER, {"parent": "harbour"})
        assert response.status_code == 200
        assert b"more visible" in response.content
        for wrong in ("nothing", "", "/"):
            page = client_of_alice.post(GROUP_TRANSFER, {"parent": wrong})
            assert page.context["form"].errors.keys() == {"parent"}
        assert Namespace.objects.get(full_path="acme").parent is None
