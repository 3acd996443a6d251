"""The access tokens of a project or group: made, shown once, listed, rotated, revoked."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.access_tokens import services
from gitlab.access_tokens.models import PersonalAccessToken

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]
OF_PROJECT = "/acme/app/-/settings/access_tokens"
OF_GROUP = "/groups/acme/-/settings/access_tokens"


@pytest.fixture(params=["project", "group"])
def owner(request: Any, alice: Any, bob: Any, make_group: Any, make_project: Any) -> Any:
    """Alice owns the group and all below; Bob develops there."""
    acme = make_group("acme", owner=alice, developers=[bob])
    app = make_project("acme/app", owner=alice)
    return app if request.param == "project" else acme


@pytest.fixture
def here(owner: Any) -> str:
    return OF_GROUP if owner.full_path == "acme" else OF_PROJECT


def as_(user: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client


def make(client: Client, here: str, **fields: Any) -> Any:
    given = {"name": "Pipeline", "scopes": ["api"], "access_level": 30} | fields
    return client.post(f"{here}/new", given)


@pytest.mark.parametrize("page", ["", "/new", "/1/rotate", "/1/revoke"])
def test_who_may_not(page: str, here: str, bob: Any, mallory: Any) -> None:
    for method in ("get", "post"):
        if method == "post" and not page:
            continue
        assert getattr(Client(), method)(f"{here}{page}")["Location"].startswith("/users/sign_in")
        assert getattr(as_(bob), method)(f"{here}{page}").status_code == 403
        hidden = 404 if "acme/app" in here else 403  # The group is public.
        assert getattr(as_(mallory), method)(f"{here}{page}").status_code == hidden
    assert not PersonalAccessToken.objects.exists()


def test_it_is_made_and_shown_once(here: str, owner: Any, alice: Any) -> None:
    client = as_(alice)
    response = make(client, here)
    page = client.get(response["Location"])

    token = PersonalAccessToken.objects.get()
    text = page.context["new"]["text"]
    assert response["Location"] == here
    assert (token.owner, token.access_level, token.scopes) == (owner, 30, ["api"])
    assert services.find(text).id == token.pk
    assert text in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert text not in client.get(here).content.decode()


def test_nobody_elses_token_is_shown(
    here: str, alice: Any, make_token: Any, make_project: Any, make_access_token: Any
) -> None:
    for text in (make_token(alice), make_access_token(make_project("acme/other"))[1]):
        client = as_(alice)
        client.cookies["new_token"] = text
        assert client.get(here).context["new"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("scopes", []),
        ("scopes", ["sudo"]),
        ("access_level", 60),
        ("expires_at", "2020-01-01"),
    ],
)
def test_it_refuses_at_the_field(field: str, value: Any, here: str, alice: Any) -> None:
    page = make(as_(alice), here, **{field: value})

    assert page.status_code == 200
    assert page.context["form"].errors.keys() == {field}
    assert not PersonalAccessToken.objects.exists()


def test_a_maintainer_is_offered_no_more_than_they_have(
    bob: Any, alice: Any, make_project: Any
) -> None:
    make_project("acme/lib", owner=alice, maintainers=[bob])
    here = "/acme/lib/-/settings/access_tokens"

    page = make(as_(bob), here, access_level=50)
    assert page.context["form"].errors.keys() == {"access_level"}
    assert make(as_(bob), here, access_level=40)["Location"] == here


def test_active_and_inactive_ones_stand_apart(
    here: str, owner: Any, alice: Any, make_access_token: Any
) -> None:
    works, _ = make_access_token(owner)
    ended, _ = make_access_token(owner)
    client = as_(alice)
    client.post(f"{here}/{ended.pk}/revoke")

    rows = client.get(here).context["rows"]
    assert [(row["token"], row["role"]) for row in rows] == [(works, "Maintainer")]
    assert [r["token"] for r in client.get(f"{here}?state=inactive").context["rows"]] == [ended]


def test_it_is_revoked_after_a_question(
    here: str, owner: Any, alice: Any, make_access_token: Any
) -> None:
    token, text = make_access_token(owner)
    client = as_(alice)
    assert "Revoke test?" in client.get(f"{here}/{token.pk}/revoke").content.decode()
    assert services.find(text).is_usable

    assert client.post(f"{here}/{token.pk}/revoke")["Location"] == here
    assert not services.find(text).is_usable
    assert "test is revoked." in client.get(here).content.decode()


def test_it_is_rotated(here: str, owner: Any, alice: Any, make_access_token: Any) -> None:
    token, text = make_access_token(owner)
    client = as_(alice)
    assert client.get(f"{here}/{token.pk}/rotate").status_code == 200
    assert services.find(text).is_usable

    past = client.post(f"{here}/{token.pk}/rotate", {"expires_at": "2020-01-01"})
    assert past.context["form"].errors.keys() == {"expires_at"}
    client.post(f"{here}/{token.pk}/rotate", {"expires_at": "2099-01-01"})
    new = client.get(here).context["new"]["text"]
    assert not services.find(text).is_usable
    assert services.find(new).expires_at.isoformat() == "2099-01-01"

    again = client.post(f"{here}/{token.pk}/rotate", {"expires_at": "2099-01-01"})
    assert again.context["form"].non_field_errors()


def test_the_members_page_shows_the_bot_and_leaves_it_alone(
    owner: Any, alice: Any, make_access_token: Any
) -> None:
    token, _ = make_access_token(owner)
    name = "acme" if owner.full_path == "acme" else "acme/app"
    address = "/groups/acme/-/group_members" if name == "acme" else f"/{name}/-/project_members"

    page = as_(alice).get(address).content.decode()
    assert f"token test of {name}" in page
    assert f"{token.user.username}/edit" not in page
    assert f"{token.user.username}/remove" not in page


def test_the_sidebar_leads_there(here: str, alice: Any, bob: Any) -> None:
    overview = here.replace("/-/settings/access_tokens", "")
    assert f'href="{here}"' in as_(alice).get(overview, follow=True).content.decode()
    assert f'href="{here}"' not in as_(bob).get(overview, follow=True).content.decode()


def test_it_costs_the_same_for_many(
    here: str, owner: Any, alice: Any, make_access_token: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        make_access_token(owner)
    client = as_(alice)
    client.get(here)  # A session's first page is kept in it.

    with django_assert_max_num_queries(10):
        client.get(here)
