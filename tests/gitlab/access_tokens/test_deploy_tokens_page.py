"""The deploy tokens of a project or group: made, shown once, listed, revoked."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.access_tokens import deploy_tokens
from gitlab.access_tokens.models import DeployToken

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]
OF_PROJECT = "/acme/app/-/settings/deploy_tokens"
OF_GROUP = "/groups/acme/-/settings/deploy_tokens"
BOTH = ["read_registry", "write_registry"]


@pytest.fixture(params=["project", "group"])
def owner(
    request: Any, alice: Any, bob: Any, carol: Any, make_group: Any, make_project: Any
) -> Any:
    """Alice owns the group and all below."""
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
    return client.post(f"{here}/new", {"name": "Server", "scopes": BOTH} | fields)


@pytest.mark.parametrize("page", ["", "/new", "/1/revoke"])
def test_who_may_not(page: str, here: str, bob: Any, mallory: Any) -> None:
    for method in ("get", "post"):
        if method == "post" and not page:
            continue
        assert getattr(Client(), method)(f"{here}{page}")["Location"].startswith("/users/sign_in")
        assert getattr(as_(bob), method)(f"{here}{page}").status_code == 403
        hidden = 404 if "acme/app" in here else 403  # The group is public.
        assert getattr(as_(mallory), method)(f"{here}{page}").status_code == hidden
    assert not DeployToken.objects.exists()


def test_it_is_made_and_shown_once(here: str, owner: Any, alice: Any, settings: Any) -> None:
    client = as_(alice)
    response = make(client, here, username="harbour", expires_at="2099-01-01")
    page = client.get(response["Location"])

    token = DeployToken.objects.get()
    text = page.context["new"]["text"]
    assert response["Location"] == here
    assert (token.owner, token.username, token.scopes) == (owner, "harbour", BOTH)
    assert token.expires_at.isoformat() == "2099-01-01"
    assert deploy_tokens.find(text).id == token.pk
    assert text in page.content.decode()
    host = settings.CONTAINER_REGISTRY_HOST_PORT
    assert f"docker login {host} -u harbour" in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert text not in client.get(here).content.decode()


def test_the_server_keeps_the_digest_only(here: str, alice: Any) -> None:
    client = as_(alice)
    cookie = make(client, here).cookies["new_token"]

    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["path"] == here
    assert cookie.value not in str(list(DeployToken.objects.values()))
    assert cookie.value not in str(dict(client.session))


def test_nobody_elses_token_is_shown(
    here: str, alice: Any, make_project: Any, make_deploy_token: Any
) -> None:
    _, text = make_deploy_token(make_project("acme/other"))
    client = as_(alice)
    client.cookies["new_token"] = text

    assert client.get(here).context["new"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("scopes", []),
        ("scopes", ["api"]),
        ("username", "alice"),
        ("username", "no:colon"),
        ("expires_at", "2020-01-01"),
    ],
)
def test_it_refuses_at_the_field(field: str, value: Any, here: str, alice: Any) -> None:
    page = make(as_(alice), here, **{field: value})

    assert page.status_code == 200
    assert page.context["form"].errors.keys() == {field}
    assert not DeployToken.objects.exists()


def test_active_and_inactive_ones_stand_apart(
    here: str, owner: Any, alice: Any, make_deploy_token: Any
) -> None:
    works, _ = make_deploy_token(owner)
    make_deploy_token(owner, expired=True)
    make_deploy_token(owner, revoked=True)

    active = as_(alice).get(here).context["rows"]
    inactive = as_(alice).get(f"{here}?state=inactive").context["rows"]
    assert [row["token"] for row in active] == [works]
    assert len(inactive) == 2


def test_a_maintainer_of_a_group_sees_and_does_not_manage(
    alice: Any, bob: Any, make_group: Any, make_deploy_token: Any
) -> None:
    token, _ = make_deploy_token(make_group("acme", owner=alice, maintainers=[bob]))

    page = as_(bob).get(OF_GROUP)
    assert [row["token"] for row in page.context["rows"]] == [token]
    assert "New token" not in page.content.decode()
    assert f"{token.pk}/revoke" not in page.content.decode()
    assert as_(bob).post(f"{OF_GROUP}/{token.pk}/revoke").status_code == 403


def test_it_is_revoked_after_a_question(
    here: str, owner: Any, alice: Any, make_deploy_token: Any
) -> None:
    token, text = make_deploy_token(owner)
    client = as_(alice)
    page = client.get(f"{here}/{token.pk}/revoke").content.decode()
    assert "Revoke test?" in page
    assert deploy_tokens.find(text).is_usable

    assert client.post(f"{here}/{token.pk}/revoke")["Location"] == here
    assert not deploy_tokens.find(text).is_usable
    assert "test is revoked." in client.get(here).content.decode()


def test_the_sidebar_leads_there(here: str, alice: Any, bob: Any) -> None:
    settings_page = here.replace("/-/settings/deploy_tokens", "")
    assert f'href="{here}"' in as_(alice).get(settings_page, follow=True).content.decode()
    assert f'href="{here}"' not in as_(bob).get(settings_page, follow=True).content.decode()


def test_it_costs_the_same_for_many(
    here: str, owner: Any, alice: Any, make_deploy_token: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        make_deploy_token(owner)
    client = as_(alice)
    client.get(here)  # A session's first page is kept in it.

    with django_assert_max_num_queries(8):
        client.get(here)
