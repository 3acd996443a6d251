"""Linking a provider by oneself: meant by whoever is signed in, never the last way taken away."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from gitlab.accounts.models import User
from gitlab.audit.models import AuditEvent
from gitlab.identity_providers.models import Identity
from gitlab.namespaces.models import Member
from gitlab.ui.decorators import SIGNED_IN_AT
from tests.gitlab.identity_providers.played_provider import BACK, BEGIN, PERSON, PlayedProvider
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db

OWN = "/-/user_settings/providers"
LINK, UNLINK = f"{OWN}/sso/link", f"{OWN}/sso/unlink"


@pytest.fixture
def browser(alice: Any) -> Client:
    """Alice's, who has just signed in by her password."""
    client = Client()
    client.post("/users/sign_in", {"login": "alice", "password": PASSWORD})
    return client


def way(browser: Client) -> str:
    """The address of the link on the page that asks."""
    page = browser.get(LINK).content.decode()
    found = re.search(rf'href="({BEGIN}\?link=[^"]+)"', page)
    assert found, page
    return unescape(found[1])


def come_back(provider: PlayedProvider, browser: Client, where: str, **claims: Any) -> Any:
    """To the provider and back."""
    asked = dict(
        pair.split("=", 1) for pair in browser.get(where)["Location"].partition("?")[2].split("&")
    )
    provider.claims = {**PERSON, "nonce": asked["nonce"], **claims}
    return browser.get(BACK, {"code": "c", "state": asked["state"]})


def link(provider: PlayedProvider, browser: Client, **claims: Any) -> str:
    """The page afterwards."""
    answer = come_back(provider, browser, way(browser), **claims)
    assert answer["Location"] == OWN
    return str(browser.get(OWN).content.decode())


class TestLinking:
    def test_there_and_back(self, provider: PlayedProvider, browser: Client, alice: Any) -> None:
        assert "not linked" in browser.get(OWN).content.decode()
        page = link(provider, browser)
        assert "sso is linked." in page
        identity = Identity.objects.get()
        assert (identity.user, identity.subject, identity.made_user) == (alice, "1", False)
        event = AuditEvent.objects.get(action="identity.link")
        assert event.actor == alice
        other = Client()
        provider.come(other)
        assert other.session["_auth_user_id"] == str(alice.pk)

    def test_what_groups_give(
        self, provider: PlayedProvider, browser: Client, make_group: Any, root: Any, alice: Any
    ) -> None:
        make_group("acme", owner=root)
        provider.settle(memberships=["staff -> acme developer"])
        link(provider, browser, groups=["staff"])
        assert Member.objects.filter(user=alice, namespace__full_path="acme").exists()

    def test_an_administrator_may(self, provider: PlayedProvider, root: Any) -> None:
        """Nobody finds them by an address, but they know what they do."""
        client = Client()
        client.force_login(root)
        session = client.session
        session[SIGNED_IN_AT] = 1e12
        session.save()
        client.post("/users/confirm", {"password": PASSWORD})
        link(provider, client)
        assert Identity.objects.get().user == root

    def test_somebody_elses_stays_theirs(
        self, provider: PlayedProvider, browser: Client, alice: Any
    ) -> None:
        provider.come(Client())
        page = link(provider, browser)
        assert "somebody else" in page
        assert not alice.identities.exists()

    def test_one_account_there_at_a_time(
        self, provider: PlayedProvider, browser: Client, alice: Any
    ) -> None:
        link(provider, browser)
        where = "/users/auth/sso"
        assert browser.get(LINK)["Location"] == OWN
        Identity.objects.update(subject="another")
        assert browser.get(where)["Location"] == "/"
        assert alice.identities.count() == 1

    def test_whom_it_does_not_let_in(
        self, provider: PlayedProvider, browser: Client, alice: Any
    ) -> None:
        provider.settle(allowed_groups=["staff"])
        page = link(provider, browser)
        assert "does not let you in" in page
        assert not alice.identities.exists()


class TestNobodyIsMadeToLink:
    """By a link from elsewhere, in a browser that is somebody else at the provider."""

    @pytest.mark.parametrize("token", ["", "?link=", "?link=guessed"])
    def test_only_from_the_page_that_asks(
        self, provider: PlayedProvider, browser: Client, token: str
    ) -> None:
        browser.get(LINK)
        assert browser.get(f"{BEGIN}{token}")["Location"] == "/"

    def test_its_link_counts_once(self, provider: PlayedProvider, browser: Client) -> None:
        where = way(browser)
        assert browser.get(where)["Location"].startswith(provider.url)
        assert browser.get(where)["Location"] == "/"

    def test_and_not_in_another_session(
        self, provider: PlayedProvider, browser: Client, bob: Any
    ) -> None:
        where = way(browser)
        other = Client()
        other.force_login(bob)
        assert other.get(where)["Location"] == "/"

    def test_an_answer_to_a_sign_in_links_nothing(
        self, provider: PlayedProvider, alice: Any
    ) -> None:
        """Begun before anybody was signed in, and brought once somebody is."""
        client = Client()
        asked = provider.asked_with(client)
        provider.claims = {**PERSON, "nonce": asked["nonce"]}
        client.post("/users/sign_in", {"login": "alice", "password": PASSWORD})
        client.get(BACK, {"code": "c", "state": asked["state"]})
        assert not Identity.objects.exists()

    def test_nor_does_one_after_signing_out(
        self, provider: PlayedProvider, browser: Client, alice: Any
    ) -> None:
        where = way(browser)
        location = browser.get(where)["Location"]
        state = re.search(r"state=([^&]+)", location)
        assert state
        browser.post("/users/sign_out")
        browser.get(BACK, {"code": "c", "state": state[1]})
        assert not Identity.objects.exists()

    @pytest.mark.parametrize("where", [LINK, UNLINK])
    def test_who_has_not_just_signed_in_says_that_it_is_them(
        self, provider: PlayedProvider, browser: Client, where: str
    ) -> None:
        link(provider, browser)
        if where == LINK:
            Identity.objects.all().delete()
        session = browser.session
        session[SIGNED_IN_AT] -= 601
        session["account_authentication_methods"] = []
        session.save()
        answer = browser.get(where) if where == LINK else browser.post(where)
        assert answer["Location"].startswith("/users/confirm")
        assert Identity.objects.count() == (where == UNLINK)


class TestUnlinking:
    def test_it_works(self, provider: PlayedProvider, browser: Client, alice: Any) -> None:
        link(provider, browser)
        other = Client()
        provider.come(other)
        assert "Nobody signs in as you by it" in browser.get(UNLINK).content.decode()
        assert browser.post(UNLINK)["Location"] == OWN
        assert not Identity.objects.exists()
        assert AuditEvent.objects.get(action="identity.unlink").actor == alice
        assert browser.get(OWN).status_code == 200
        assert other.get(OWN).status_code == 302

    def test_not_the_last_way_in(
        self, provider: PlayedProvider, browser: Client, alice: Any
    ) -> None:
        link(provider, browser)
        alice.refresh_from_db()
        alice.set_unusable_password()
        alice.save()
        client = Client()
        provider.come(client)
        assert "only way to sign in" in client.get(OWN).content.decode()
        client.post(UNLINK)
        assert Identity.objects.exists()

    def test_not_the_one_that_made_the_account(
        self, provider: PlayedProvider, client: Client
    ) -> None:
        """It blocks them once they are gone there."""
        provider.come(client)
        dora = User.objects.get(username="dora")
        dora.set_password(PASSWORD)
        client.post(UNLINK)
        assert "has made your account" in client.get(OWN).content.decode()
        assert Identity.objects.exists()

    def test_another_provider_is_another_way(
        self, provider: PlayedProvider, browser: Client, alice: Any, settings: Any
    ) -> None:
        from gitlab.config.identity_tables import OpenIDConnect
        from gitlab.identity_providers.linking import services

        link(provider, browser)
        alice.set_unusable_password()
        alice.save()
        pk = Identity.objects.get().pk
        Identity.objects.create(user=alice, provider="two", issuer="https://two.test", subject="9")
        assert "only way" in services.of(alice)[0].why_not
        two = OpenIDConnect(issuer="https://two.test", client_id="berth")
        settings.IDENTITY_PROVIDERS = {**settings.IDENTITY_PROVIDERS, "two": two}
        assert services.of(alice)[0].why_not == ""
        services.unlink(alice, pk, this_session=None)
        assert Identity.objects.get().provider == "two"

    def test_of_somebody_else(self, provider: PlayedProvider, browser: Client, bob: Any) -> None:
        from gitlab.identity_providers.linking import services
        from gitlab.refusals import NotFound

        link(provider, browser)
        with pytest.raises(NotFound):
            services.unlink(bob, Identity.objects.get().pk, this_session=None)


def test_without_a_provider_there_is_no_link_to_the_page(browser: Client) -> None:
    assert OWN not in browser.get("/-/user_settings/profile").content.decode()
    assert "There is no provider" in browser.get(OWN).content.decode()
    assert browser.get(LINK).status_code == 404


def test_a_visitor_signs_in_first(provider: PlayedProvider) -> None:
    assert Client().get(OWN)["Location"].startswith("/users/sign_in")
