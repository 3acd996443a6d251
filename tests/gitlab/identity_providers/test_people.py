"""Whom a provider means: found, linked, made, refused; what its groups give, and take away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from gitlab.access_tokens import services as access_tokens
from gitlab.accounts import services as accounts
from gitlab.accounts.models import User
from gitlab.accounts.sign_ups import services as sign_ups
from gitlab.audit.models import AuditEvent
from gitlab.identity_providers import services
from gitlab.identity_providers.models import GivenMembership, Identity
from gitlab.namespaces import members
from gitlab.namespaces.models import Member
from gitlab.refusals import Forbidden
from gitlab.ui.decorators import SIGNED_IN_AT
from tests.gitlab.accounts.factors import set_up_app
from tests.gitlab.identity_providers.played_provider import PlayedProvider
from tests.people import PASSWORD, basic

pytestmark = pytest.mark.django_db

Come = Callable[..., Any]
ALICE = {"sub": "a", "email": "alice@example.com", "preferred_username": "alice"}


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def who(client: Client) -> str:
    return str(User.objects.get(pk=client.session["_auth_user_id"]))


class TestNewPeople:
    def test_they_are_found_again_by_their_subject_alone(
        self, provider: PlayedProvider, come: Come, client: Client
    ) -> None:
        come()
        client.post("/users/sign_out")
        come(email="new@example.com", preferred_username="root")
        assert who(client) == "dora"
        assert User.objects.get(username="dora").email == "dora@example.com"

    @pytest.mark.parametrize(
        ("called", "named"),
        [
            ("Dora.Doe@corp.example", "dora-doe"),
            ("alice", "alice2"),
            ("acme", "acme2"),
            ("v2", "v22"),
            ("admin", "admin2"),
            ("Ünï Çode", "uni-code"),
            ("日本", "user2"),
            (None, "dora"),
        ],
    )
    def test_their_name_is_one_that_is_free(
        self, come: Come, client: Client, alice: Any, make_group: Any, called: Any, named: str
    ) -> None:
        make_group("acme", owner=alice)
        come(preferred_username=called)
        assert who(client) == named

    @pytest.mark.parametrize(
        "claims",
        [{"email_verified": False}, {"email_verified": None}, {"email": None}, {"email": "dora"}],
        ids=str,
    )
    def test_nobody_is_made_without_an_address_that_is_theirs(
        self, come: Come, client: Client, claims: Any
    ) -> None:
        come(**claims)
        assert not is_in(client)
        assert not User.objects.exists()

    def test_a_provider_whose_addresses_are_trusted(
        self, provider: PlayedProvider, come: Come, client: Client
    ) -> None:
        provider.settle(create_users=True, trust_emails=True)
        come(email_verified=None)
        assert who(client) == "dora"

    def test_nobody_is_made_where_that_is_off(
        self, provider: PlayedProvider, come: Come, client: Client
    ) -> None:
        provider.settle()
        come()
        assert not is_in(client)
        assert not User.objects.exists()


class TestWhoIsHereAlready:
    @pytest.mark.parametrize("verified", [False, None, "false", 1])
    def test_an_address_that_is_not_verified_is_nobodys(
        self, provider: PlayedProvider, come: Come, client: Client, alice: Any, verified: Any
    ) -> None:
        provider.settle(create_users=True, link_by_email=True)
        come(**ALICE, email_verified=verified)
        assert not is_in(client)
        assert not Identity.objects.exists()

    def test_a_verified_one_alone_links_nobody(
        self, come: Come, client: Client, alice: Any
    ) -> None:
        come(**ALICE)
        assert not is_in(client)
        assert not Identity.objects.exists()

    def test_a_verified_one_links_where_that_is_on(
        self, provider: PlayedProvider, come: Come, client: Client, alice: Any
    ) -> None:
        provider.settle(link_by_email=True)
        come(**ALICE | {"email": "Alice@Example.com"})
        assert who(client) == "alice"
        assert not Identity.objects.get().made_user

    def test_an_address_that_somebody_has_typed_first_is_not_theirs(
        self, provider: PlayedProvider, come: Come, client: Client, mallory: Any, root: Any
    ) -> None:
        """Else alice comes into mallory's account, which has alice's groups from then on."""
        provider.settle(create_users=True, link_by_email=True)
        accounts.update_user(mallory, by=mallory, email=ALICE["email"])
        come(**ALICE)
        assert not is_in(client)
        assert not Identity.objects.exists()
        accounts.update_user(mallory, by=mallory, email="mallory@example.org")
        accounts.update_user(mallory, by=root, email=ALICE["email"])
        come(**ALICE)
        assert who(client) == "mallory"

    def test_nor_is_one_with_which_somebody_has_registered(
        self, provider: PlayedProvider, come: Come, client: Client, settings: Any
    ) -> None:
        settings.SIGNUP_ENABLED = True
        provider.settle(create_users=True, link_by_email=True)
        user = sign_ups.sign_up(username="first", email=ALICE["email"], password=PASSWORD)
        come(**ALICE)
        assert not is_in(client)
        # By the link that was sent there.
        accounts.reset_password(user, PASSWORD)
        come(**ALICE)
        assert who(client) == "first"

    def test_no_administrator_is_found_by_an_address(
        self, provider: PlayedProvider, come: Come, client: Client, root: Any
    ) -> None:
        provider.settle(create_users=True, link_by_email=True)
        come(email=root.email)
        assert not is_in(client)

    def test_another_subject_with_the_address_is_nobody(
        self, provider: PlayedProvider, come: Come, client: Client, alice: Any
    ) -> None:
        """The address is somebody else's now, at the provider."""
        provider.settle(create_users=True, link_by_email=True)
        come(**ALICE)
        client.post("/users/sign_out")
        come(**ALICE | {"sub": "another"})
        assert not is_in(client)

    def test_another_provider_under_the_name_knows_nobody(self, come: Come, client: Client) -> None:
        come()
        client.post("/users/sign_out")
        Identity.objects.update(issuer="https://before.example")
        come()
        assert not is_in(client)

    def test_who_is_blocked(self, come: Come, client: Client) -> None:
        come()
        client.post("/users/sign_out")
        accounts.block(User.objects.get(username="dora"), by=None)
        come()
        assert not is_in(client)

    def test_who_is_deactivated_is_active_again(
        self, come: Come, client: Client, alice: Any
    ) -> None:
        come()
        client.post("/users/sign_out")
        accounts.deactivate(User.objects.get(username="dora"), by=None)
        come()
        assert User.objects.get(username="dora").is_active


class TestTwoFactors:
    @pytest.fixture(autouse=True)
    def dora(self, come: Come, client: Client) -> None:
        come()
        client.post("/users/sign_out")

    def test_the_code_is_asked_for_here(self, come: Come, client: Client) -> None:
        set_up_app(User.objects.get(username="dora"))
        assert come()["Location"] == "/users/sign_in/two_factor"
        assert not is_in(client)

    def test_unless_the_provider_asks_for_one(
        self, provider: PlayedProvider, come: Come, client: Client
    ) -> None:
        set_up_app(User.objects.get(username="dora"))
        provider.settle(second_factor=True)
        assert come()["Location"] == "/"
        assert is_in(client)

    @pytest.mark.parametrize(("second", "led"), [(True, 200), (False, 302)])
    def test_what_is_required(
        self,
        provider: PlayedProvider,
        come: Come,
        client: Client,
        settings: Any,
        second: bool,
        led: int,
    ) -> None:
        settings.REQUIRE_TWO_FACTOR = True
        provider.settle(second_factor=second)
        come()
        assert client.get("/-/user_settings/profile").status_code == led


class TestWhoHasNoPassword:
    """To set up a factor somebody has to say once more that it is them."""

    SET_UP = "/-/user_settings/two_factor/app"

    def test_coming_in_says_it(self, come: Come, client: Client) -> None:
        come()
        assert client.get(self.SET_UP).status_code == 200

    def test_ten_minutes_later_they_come_in_again(self, come: Come, client: Client) -> None:
        come()
        session = client.session
        session[SIGNED_IN_AT] -= 601
        session.save()
        answer = client.get(self.SET_UP)
        assert answer["Location"].startswith("/users/confirm?")
        page = client.get(answer["Location"]).content.decode()
        assert "You have no password here" in page
        assert 'type="password"' not in page

    def test_who_has_a_factor_says_it_by_that(self, come: Come, client: Client) -> None:
        come()
        set_up_app(User.objects.get(username="dora"))
        assert client.get(self.SET_UP)["Location"].startswith("/users/confirm")


class TestGroups:
    @pytest.fixture
    def place(
        self, provider: PlayedProvider, alice: Any, make_group: Any, make_project: Any
    ) -> Any:
        group = make_group("acme", owner=alice)
        self.project = make_project("acme/app", owner=alice)
        provider.settle(
            create_users=True,
            memberships=[
                "engineering -> acme reporter",
                "leads -> acme maintainer",
                "ops: all -> acme/app developer",
                "engineering -> nowhere developer",
                "engineering -> alice owner",
            ],
        )
        return group

    def levels(self) -> dict[str, int]:
        rows = Member.objects.filter(user__username="dora").select_related("namespace", "project")
        return {(row.namespace or row.project).full_path: row.access_level for row in rows}  # type: ignore[union-attr]

    def again(self, come: Come, client: Client, *groups: str) -> dict[str, int]:
        if is_in(client):
            client.post("/users/sign_out")
        come(groups=list(groups))
        return self.levels()

    def test_they_give_and_take(self, place: Any, come: Come, client: Client) -> None:
        assert self.again(come, client, "engineering", "leads", "ops: all") == {
            "acme": 40,
            "acme/app": 30,
        }
        assert self.again(come, client, "engineering") == {"acme": 20}
        assert self.again(come, client) == {}
        recorded = AuditEvent.objects.filter(action__startswith="member.", details__provider="sso")
        told = [(event.action, event.target_path) for event in recorded.order_by("pk")]
        assert told == [
            ("member.add", "acme"),
            ("member.add", "acme/app"),
            ("member.remove", "acme/app"),
            ("member.update", "acme"),
            ("member.remove", "acme"),
        ]

    def test_what_people_gave_stays(
        self, place: Any, come: Come, client: Client, alice: Any
    ) -> None:
        self.again(come, client)
        members.add_member(alice, place, User.objects.get(username="dora"), 30)
        assert self.again(come, client, "leads") == {"acme": 30}
        assert self.again(come, client) == {"acme": 30}
        assert not GivenMembership.objects.exists()

    def test_what_was_changed_by_hand_is_the_providers_again(
        self, place: Any, come: Come, client: Client, alice: Any
    ) -> None:
        self.again(come, client, "leads")
        members.update_member(alice, place, User.objects.get(username="dora"), 10)
        assert self.again(come, client, "leads") == {"acme": 40}

    def test_of_two_providers_the_higher_counts(
        self,
        place: Any,
        provider: PlayedProvider,
        come: Come,
        client: Client,
    ) -> None:
        self.again(come, client, "engineering")
        other = Identity.objects.create(
            user=User.objects.get(username="dora"), provider="two", issuer="x", subject="1"
        )
        member = Member.objects.get(user__username="dora", namespace=place)
        GivenMembership.objects.create(identity=other, member=member, access_level=30)
        assert self.again(come, client, "engineering") == {"acme": 30}
        assert self.again(come, client) == {"acme": 30}

    def test_tokens_of_the_registry_end_with_them(
        self, place: Any, come: Come, client: Client
    ) -> None:
        from gitlab.revocations.models import Revocation

        self.again(come, client, "leads")
        before = Revocation.objects.count()
        self.again(come, client)
        assert Revocation.objects.count() > before

    def test_claims_by_other_names(
        self, place: Any, provider: PlayedProvider, come: Come, client: Client
    ) -> None:
        provider.settle(
            create_users=True,
            username_claim="nickname",
            groups_claim="roles",
            memberships=["engineering -> acme reporter"],
        )
        come(nickname="dorothea", roles=["engineering"], groups=["leads"])
        row = Member.objects.get(user__username="dorothea")
        assert row.access_level == 20


class TestWhoIsGone:
    def test_is_blocked_and_so_are_their_tokens(
        self, provider: PlayedProvider, come: Come, client: Client
    ) -> None:
        provider.settle(create_users=True, allowed_groups=["staff"])
        come(groups=["staff"])
        dora = User.objects.get(username="dora")
        _, text = access_tokens.create(dora, name="ci", scopes=["read_registry"])
        ask = {"HTTP_AUTHORIZATION": basic("dora", text)}
        assert client.get("/jwt/auth?service=container_registry", **ask).status_code == 200
        client.post("/users/sign_out")
        come(groups=[])
        dora.refresh_from_db()
        assert (is_in(client), dora.state) == (False, "blocked")
        assert client.get("/jwt/auth?service=container_registry", **ask).status_code == 401
        assert AuditEvent.objects.filter(action="identity.gone", target_id=dora.pk).exists()

    def test_an_account_that_the_provider_did_not_make_is_not(
        self, provider: PlayedProvider, come: Come, client: Client, alice: Any, make_group: Any
    ) -> None:
        make_group("acme")
        mapping = {"memberships": ["staff -> acme developer"]}
        provider.settle(link_by_email=True, allowed_groups=["staff"], **mapping)
        bob = accounts.create_user(username="bob", email="bob@example.com")
        come(sub="b", email="bob@example.com", groups=["staff"])
        assert Member.objects.filter(user=bob).exists()
        client.post("/users/sign_out")
        come(sub="b", email="bob@example.com", groups=[])
        bob.refresh_from_db()
        assert (is_in(client), bob.state) == (False, "active")
        assert not Member.objects.filter(user=bob).exists()

    @pytest.mark.parametrize(
        ("email", "comes"),
        [("dora@example.com", True), ("dora@EXAMPLE.com", True), ("d@sub.example.com", False)],
    )
    def test_domains(
        self, provider: PlayedProvider, come: Come, client: Client, email: str, comes: bool
    ) -> None:
        provider.settle(create_users=True, allowed_domains=["Example.com"])
        come(email=email)
        assert is_in(client) is comes

    def test_a_domain_that_is_not_verified(
        self, provider: PlayedProvider, come: Come, client: Client
    ) -> None:
        provider.settle(create_users=True, allowed_domains=["example.com"])
        come(email_verified=False)
        assert not is_in(client)


class TestAdministrators:
    def admin(self) -> bool:
        return User.objects.get(username="dora").is_superuser

    def test_as_long_as_they_are_in_the_group(
        self, provider: PlayedProvider, come: Come, client: Client, root: Any
    ) -> None:
        provider.settle(create_users=True, admin_group="admins")
        come(groups=["admins"])
        assert self.admin()
        client.post("/users/sign_out")
        come(groups=[])
        assert not self.admin()

    def test_off_by_default(self, come: Come) -> None:
        come(groups=["admins", ""])
        assert not self.admin()

    def test_with_the_setting_the_power_goes(
        self, provider: PlayedProvider, come: Come, client: Client, root: Any
    ) -> None:
        provider.settle(admin_group="admins", create_users=True)
        come(groups=["admins"])
        client.post("/users/sign_out")
        provider.settle()
        come(groups=["admins"])
        assert not self.admin()

    def test_those_that_were_made_here_stay(
        self, provider: PlayedProvider, come: Come, client: Client, root: Any
    ) -> None:
        provider.settle(create_users=True, admin_group="admins")
        come()
        client.post("/users/sign_out")
        dora = User.objects.get(username="dora")
        accounts.set_administrator(dora, is_administrator=True, by=None)
        come()
        assert self.admin()

    def test_the_last_one_stays(self, provider: PlayedProvider, come: Come, client: Client) -> None:
        provider.settle(create_users=True, admin_group="admins")
        come(groups=["admins"])
        client.post("/users/sign_out")
        come(groups=[])
        assert self.admin()
        assert is_in(client)


class TestUnlinking:
    def test_what_was_given_ends_and_the_account_stays(
        self, provider: PlayedProvider, come: Come, client: Client, root: Any, make_group: Any
    ) -> None:
        make_group("acme")
        provider.settle(create_users=True, memberships=["staff -> acme developer"])
        come(groups=["staff"])
        services.unlink(Identity.objects.get(), by=root)
        dora = User.objects.get(username="dora")
        assert dora.is_active
        assert not dora.identities.exists()
        assert not Member.objects.filter(user=dora).exists()
        assert client.get("/-/user_settings/profile").status_code == 302
        come(groups=["staff"])
        assert not is_in(client)

    def test_in_the_console(self, come: Come, client: Client, root: Any) -> None:
        come()
        pk = Identity.objects.get().pk
        client.force_login(root)
        where = "/admin/identity_providers/identity/"
        assert "dora" in client.get(where).content.decode()
        client.post(where, {"action": "unlink", "_selected_action": [pk]})
        assert not Identity.objects.exists()
        assert AuditEvent.objects.filter(action="identity.unlink", actor_id=root.pk).exists()

    def test_by_administrators_alone(self, come: Come, client: Client, alice: Any) -> None:
        come()
        with pytest.raises(Forbidden):
            services.unlink(Identity.objects.get(), by=alice)
        assert Identity.objects.exists()
