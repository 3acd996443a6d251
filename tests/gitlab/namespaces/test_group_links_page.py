"""The pages on which a group is invited, and an invitation is taken back."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.namespaces.models import GroupLink, Member

pytestmark = pytest.mark.django_db

NEW = ("/groups/acme/-/group_links/new", "/acme/app/-/group_links/new")


@pytest.fixture
def app(alice: Any, bob: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice, developers=[bob])


@pytest.fixture
def guild(root: Any, carol: Any, make_group: Any) -> Any:
    return make_group("guild", owner=root, maintainers=[carol])


@pytest.fixture
def owner(app: Any, alice: Any) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.mark.parametrize("address", NEW)
def test_a_group_is_invited(owner: Client, guild: Any, address: str) -> None:
    assert owner.get(address).status_code == 200
    form = {"group": " Guild/ ", "access_level": "20", "expires_at": ""}
    answer = owner.post(address, form, follow=True)
    page = answer.content.decode()
    assert "guild is invited to acme" in page
    link = GroupLink.objects.get()
    assert (link.group, link.group_access) == (guild, 20)
    assert 'href="/guild"' in page
    assert "Carol" in page
    assert "Invited" in page


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"group": "nothing"}, "There is no group"),
        ({"group": "secret"}, "There is no group"),
        ({"group": "acme"}, "belongs here already"),
        ({"group": "x\0y"}, "Null characters"),
        ({"access_level": "60"}, "Select a valid choice"),
        ({"expires_at": "2020-01-01"}, "A day in the future"),
    ],
)
def test_what_is_refused(
    owner: Client, guild: Any, root: Any, make_group: Any, given: Any, says: str
) -> None:
    make_group("secret", owner=root, visibility="private")
    form = {"group": "guild", "access_level": "20", "expires_at": ""} | given
    answer = owner.post(NEW[1], form)
    assert answer.status_code == 200
    assert says in answer.content.decode()
    assert not GroupLink.objects.exists()


def test_it_is_taken_back(owner: Client, app: Any, guild: Any, carol: Any) -> None:
    link = GroupLink.objects.create(project=app, group=guild, group_access=30)
    of_carol = Client()
    of_carol.force_login(carol)
    assert of_carol.get("/acme/app").status_code == 200
    address = f"/acme/app/-/group_links/{link.pk}/remove"
    assert "Take back the invitation of guild?" in owner.get(address).content.decode()
    assert GroupLink.objects.exists()
    assert "no longer invited" in owner.post(address, follow=True).content.decode()
    assert not GroupLink.objects.exists()
    assert of_carol.get("/acme/app").status_code == 404
    assert owner.post(address).status_code == 404


def test_that_of_another_place(owner: Client, app: Any, guild: Any) -> None:
    link = GroupLink.objects.create(namespace=app.namespace, group=guild, group_access=30)
    assert owner.post(f"/acme/app/-/group_links/{link.pk}/remove").status_code == 404
    assert owner.post(f"/acme/app/-/group_links/{2**70}/remove").status_code == 404
    assert GroupLink.objects.exists()


def test_who_may(app: Any, guild: Any, bob: Any, mallory: Any) -> None:
    link = GroupLink.objects.create(project=app, group=guild, group_access=30)
    remove = f"/acme/app/-/group_links/{link.pk}/remove"
    client = Client()
    for address in (*NEW, remove):
        assert client.get(address)["Location"].startswith("/users/sign_in")
    for user, status in ((bob, 403), (mallory, 404)):
        client.force_login(user)
        assert client.get(NEW[1]).status_code == status
        assert client.post(remove).status_code == status
    Member.objects.filter(user=bob, project=app).update(access_level=40)
    client.force_login(bob)
    page = client.get(NEW[1]).content.decode()
    assert "Maintainer" in page
    assert "Owner" not in page.partition("<form class")[2]
    assert client.post(remove).status_code == 302
