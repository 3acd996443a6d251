"""Where a second factor is required: of whom, since when, and what is left without one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.accounts import sign_in
from gitlab.accounts.factors import standing
from gitlab.accounts.models import User
from gitlab.namespaces import services
from gitlab.namespaces.models import Member
from gitlab.refusals import Invalid
from tests.gitlab.accounts.factors import set_up_app
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db

SET_UP = "/-/user_settings/two_factor"
PAGE = "/-/user_settings/profile"


@pytest.fixture
def bobs(client: Client, bob: Any) -> Client:
    client.force_login(bob)
    return client


def require(group: Any, by: Any, hours: int = 48) -> None:
    services.update_group(
        by, group, require_two_factor_authentication=True, two_factor_grace_period=hours
    )


def past_the_grace(user: Any, hours: int = 49) -> None:
    told = timezone.now() - dt.timedelta(hours=hours)
    User.objects.filter(pk=user.pk).update(two_factor_told_at=told)


def test_nobody_is_asked_by_default(bobs: Client) -> None:
    assert bobs.get(PAGE).status_code == 200


def test_the_installation_requires_it(bobs: Client, bob: Any, settings: Any) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    settings.TWO_FACTOR_GRACE = dt.timedelta(hours=2)

    assert bobs.get(PAGE)["Location"].startswith(SET_UP)
    page = bobs.get(f"{SET_UP}?next={PAGE}").content.decode()
    assert "A second factor is required" in page
    assert f'href="{PAGE}"' in page
    assert bobs.get(PAGE).status_code == 200, "led there once"

    past_the_grace(bob, hours=2)
    assert bobs.get(PAGE)["Location"] == SET_UP


def test_a_part_of_a_page_leads_nowhere_while_the_grace_lasts(bobs: Client, settings: Any) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    assert bobs.get(PAGE, headers={"HX-Request": "true"}).status_code == 200
    assert bobs.get("/api/v4/user").status_code == 200
    assert bobs.get(PAGE)["Location"].startswith(SET_UP)


class TestGroup:
    @pytest.fixture
    def acme(self, make_group: Any, make_project: Any, alice: Any) -> Any:
        acme = make_group("acme", owner=alice)
        make_group("acme/tools", owner=alice)
        make_project("acme/tools/app", owner=alice)
        make_group("acme-two", owner=alice)
        require(acme, alice)
        return acme

    @pytest.mark.parametrize("where", ["acme", "acme/tools", "acme/tools/app"])
    def test_it_asks_those_in_it_and_below(self, acme: Any, bob: Any, where: str) -> None:
        self.join(bob, where)
        assert standing.of(bob).grace == dt.timedelta(hours=48)

    def test_it_asks_nobody_else(self, acme: Any, bob: Any) -> None:
        self.join(bob, "acme-two")
        assert standing.of(bob).grace is None

    def test_a_membership_that_is_over_counts_no_more(self, acme: Any, bob: Any) -> None:
        self.join(bob, "acme", expires_at=timezone.now().date())
        assert standing.of(bob).grace is None

    def test_the_shortest_grace_counts(
        self, acme: Any, alice: Any, bob: Any, settings: Any
    ) -> None:
        from gitlab.namespaces.models import Namespace

        require(Namespace.objects.get(full_path="acme-two"), alice, hours=5)
        self.join(bob, "acme")
        self.join(bob, "acme-two")
        assert standing.of(bob).grace == dt.timedelta(hours=5)
        settings.REQUIRE_TWO_FACTOR, settings.TWO_FACTOR_GRACE = True, dt.timedelta(hours=1)
        assert standing.of(bob).grace == dt.timedelta(hours=1)

    def test_the_grace_begins_when_somebody_is_told(
        self, acme: Any, bobs: Client, bob: Any
    ) -> None:
        self.join(bob, "acme")
        assert standing.of(bob).deadline is None
        bobs.get(PAGE)
        bob.refresh_from_db()
        deadline = standing.of(bob).deadline
        assert deadline is not None
        assert dt.timedelta(hours=47) < deadline - timezone.now() <= dt.timedelta(hours=48)

    def test_it_begins_anew_where_nobody_asks_meanwhile(
        self, acme: Any, alice: Any, bobs: Client, bob: Any
    ) -> None:
        self.join(bob, "acme")
        past_the_grace(bob)
        assert bobs.get(PAGE)["Location"] == SET_UP
        services.update_group(alice, acme, require_two_factor_authentication=False)
        assert bobs.get(PAGE).status_code == 200
        require(acme, alice)
        assert "next=" in bobs.get(PAGE)["Location"]

    def test_the_settings_page_requires_it(self, acme: Any, alice: Any, client: Client) -> None:
        set_up_app(alice)
        client.force_login(alice)
        page = "/groups/acme/-/edit"
        assert 'name="two_factor_grace_period"' in client.get(page).content.decode()
        form = {"name": "acme", "visibility": "public", "two_factor_grace_period": "7"}
        assert client.post(page, form).status_code == 302
        acme.refresh_from_db()
        assert (acme.require_two_factor_authentication, acme.two_factor_grace_period) == (False, 7)
        form["two_factor_grace_period"] = str(services.MAX_GRACE + 1)
        assert "hours." in client.post(page, form).content.decode()

    def test_so_does_the_api(self, acme: Any, alice: Any, bob: Any, client: Client) -> None:
        set_up_app(alice)
        client.force_login(alice)
        address, sent = f"/api/v4/groups/{acme.pk}", {"two_factor_grace_period": 9}
        answer = client.put(address, sent, content_type="application/json")
        assert answer.json()["two_factor_grace_period"] == 9
        assert answer.json()["require_two_factor_authentication"] is True
        client.force_login(bob)
        assert client.put(address, sent, content_type="application/json").status_code in (403, 404)

    @pytest.mark.parametrize("hours", [-1, services.MAX_GRACE + 1])
    def test_a_grace_has_a_measure(self, acme: Any, alice: Any, hours: int) -> None:
        with pytest.raises(Invalid):
            require(acme, alice, hours)

    @staticmethod
    def join(user: Any, where: str, **more: Any) -> None:
        from gitlab.namespaces.models import Namespace, Project

        group = Namespace.objects.filter(full_path=where).first()
        project = Project.objects.filter(full_path=where).first()
        Member.objects.create(user=user, namespace=group, project=project, access_level=20, **more)
        standing.forget(user)


class TestOverdue:
    @pytest.fixture(autouse=True)
    def _required(self, settings: Any, bob: Any) -> None:
        settings.REQUIRE_TWO_FACTOR = True
        past_the_grace(bob)
        bob.refresh_from_db()

    @pytest.mark.parametrize("path", ["/", PAGE, "/explore/projects", "/-/user_settings/password"])
    def test_every_page_leads_there(self, bobs: Client, path: str) -> None:
        assert bobs.get(path)["Location"] == SET_UP
        assert bobs.post(path)["Location"] == SET_UP

    def test_the_api_says_so_to_a_session(self, bobs: Client) -> None:
        answer = bobs.get("/api/v4/user")
        assert answer.status_code == 403
        assert "two-factor" in answer.json()["message"]

    def test_an_access_token_goes_on(self, client: Client, bob: Any, make_token: Any) -> None:
        answer = client.get("/api/v4/user", headers={"PRIVATE-TOKEN": make_token(bob, "api")})
        assert answer.status_code == 200

    def test_what_sets_one_up_is_there(self, bobs: Client) -> None:
        assert bobs.get(SET_UP).status_code == 200
        assert bobs.get(f"{SET_UP}/app")["Location"].startswith("/users/confirm")
        assert bobs.get("/users/confirm").status_code == 200
        assert bobs.post("/users/confirm", {"password": PASSWORD}).status_code == 302
        assert bobs.get(f"{SET_UP}/app").status_code == 200

    def test_so_is_the_way_out(self, bobs: Client) -> None:
        assert bobs.post("/users/sign_out").status_code == 302

    def test_a_factor_opens_everything(self, bobs: Client, bob: Any) -> None:
        set_up_app(bob)
        assert bobs.get(PAGE).status_code == 200

    def test_recovery_codes_alone_are_no_factor(self, bobs: Client, bob: Any) -> None:
        from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes

        RecoveryCodes.activate(bob)
        assert bobs.get(PAGE)["Location"] == SET_UP

    def test_the_password_alone_serves_docker_no_more(self, bob: Any) -> None:
        with pytest.raises(sign_in.TokenNeeded):
            sign_in.verify("bob", PASSWORD, address="")

    def test_a_visitor_sees_what_visitors_see(self, client: Client) -> None:
        assert client.get("/explore/projects").status_code == 200


def test_a_grace_of_nothing_is_over_at_once(bobs: Client, bob: Any, settings: Any) -> None:
    settings.REQUIRE_TWO_FACTOR, settings.TWO_FACTOR_GRACE = True, dt.timedelta(0)
    assert bobs.get(PAGE)["Location"] == SET_UP
    with pytest.raises(sign_in.TokenNeeded):
        sign_in.verify("bob", PASSWORD, address="")


def test_whose_grace_runs_still_uses_the_password(bob: Any, settings: Any) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    assert sign_in.verify("bob", PASSWORD, address="") == bob


def test_it_costs_a_page_no_query(
    bobs: Client, bob: Any, settings: Any, django_assert_num_queries: Any
) -> None:
    bobs.get(PAGE)
    with django_assert_num_queries(2):  # the session and its person
        bobs.get(PAGE)
