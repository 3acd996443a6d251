"""npm's oidc-provider says who somebody is: the whole way by HTTP, the browser played by httpx.

Berth's own pages answer in this process; the provider is another, and Berth asks it by HTTP.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from django.test import Client

from tests.e2e import components
from tests.e2e.oidc_provider import CLIENT, MODULES, SECRET, OIDCProvider, sign_in
from tests.gitlab import factories

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.engineless,
    pytest.mark.xdist_group("oidc-provider"),
    pytest.mark.django_db,
]

DORA = {
    "email": "dora@example.com",
    "email_verified": True,
    "name": "Dora",
    "preferred_username": "dora",
    "groups": ["engineering"],
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OIDCProvider]:
    """The provider, for all tests of this file."""
    from gitlab.identity_providers import openid_connect

    modules = MODULES / "node_modules" / "oidc-provider"
    if components.find("node") is None or not modules.is_dir():
        # npm's registry is not everywhere where pip's is: this is missed only where it is wanted.
        reason = "there is no .venv-oidc-provider: make oidc-provider makes it"
        if os.environ.get("REQUIRE_OIDC_PROVIDER") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    callback = openid_connect.callback_url("sso")
    with OIDCProvider(tmp_path_factory.mktemp("oidc-provider"), callback).serving() as provider:
        yield provider


@pytest.fixture
def provider(running: OIDCProvider, settings: Any) -> OIDCProvider:
    """The same, with Dora, and Berth that asks it."""
    from gitlab.config.identity_tables import OpenIDConnect

    running.people = {"dora": dict(DORA)}
    running.save()
    settings.IDENTITY_PROVIDERS = {
        "sso": OpenIDConnect.model_validate(
            {
                "issuer": running.url,
                "client_id": CLIENT,
                "client_secret": SECRET,
                "create_users": True,
                "scopes": ["openid", "profile", "email", "groups"],
                "allowed_groups": ["engineering", "leads"],
                "memberships": ["leads -> acme maintainer"],
            }
        )
    }
    return running


def come(client: Client, subject: str = "dora") -> Any:
    """To the provider and back; Berth's answer to what the browser brings."""
    where = client.get("/users/auth/sso")["Location"]
    with httpx.Client(trust_env=False) as browser:
        back = urlsplit(sign_in(browser, where, subject))
    assert back.path == "/users/auth/sso/callback"
    return client.get(back.path, dict(parse_qsl(back.query)))


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_somebody_comes_in_and_what_groups_give(provider: OIDCProvider, client: Client) -> None:
    from gitlab.accounts.models import User
    from gitlab.namespaces.models import Member

    acme = factories.group("acme")
    answer = come(client)
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert is_in(client)
    dora = User.objects.get(username="dora")
    assert (dora.email, dora.name) == ("dora@example.com", "Dora")
    given = Member.objects.filter(user=dora, namespace=acme).values_list("access_level", flat=True)
    assert list(given) == []

    for groups, levels in ((["leads"], [40]), (["engineering"], [])):
        client.post("/users/sign_out")
        provider.people["dora"]["groups"] = groups
        provider.save()
        come(client)
        assert is_in(client)
        assert list(given.all()) == levels

    client.post("/users/sign_out")
    provider.people["dora"]["groups"] = []
    provider.save()
    come(client)
    dora.refresh_from_db()
    assert (is_in(client), dora.state) == (False, "blocked")


def test_the_answer_of_another_sign_in_is_none(
    provider: OIDCProvider, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A code that was given for one question does not count with the state of another."""
    mine, other = client.get("/users/auth/sso")["Location"], Client()
    theirs = other.get("/users/auth/sso")["Location"]
    with httpx.Client(trust_env=False) as browser:
        brought = dict(parse_qsl(urlsplit(sign_in(browser, theirs, "dora")).query))
    brought["state"] = dict(parse_qsl(urlsplit(mine).query))["state"]
    client.get("/users/auth/sso/callback", brought)
    assert not is_in(client)
    # The verifier is another's: the provider itself refuses.
    assert "(invalid_grant)" in caplog.text


def test_a_secret_that_is_wrong(
    provider: OIDCProvider, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    from pydantic import SecretStr

    from gitlab.identity_providers import openid_connect

    known = openid_connect.named("sso")
    assert known is not None
    known.client_secret = SecretStr("another")
    come(client)
    assert not is_in(client)
    assert "(invalid_client)" in caplog.text
    assert "another" not in caplog.text


def test_somebody_whose_address_is_not_verified(
    provider: OIDCProvider, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    provider.people["dora"]["email_verified"] = False
    provider.save()
    come(client)
    assert not is_in(client)
    assert "no address that is proven" in caplog.text
