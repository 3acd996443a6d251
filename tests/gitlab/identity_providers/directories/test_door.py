"""Signing in by a directory: on the page and as docker does, with everybody's rules."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.accounts import services as accounts
from gitlab.accounts import sign_in
from gitlab.accounts.failed_logins import TooManyFailedLogins
from gitlab.accounts.models import User
from gitlab.accounts.password_resets import services as resets
from gitlab.audit import denials
from gitlab.audit.models import Denial
from gitlab.identity_providers import services
from gitlab.identity_providers.directories import connections, door
from gitlab.identity_providers.models import Identity
from gitlab.mail.models import Message
from gitlab.namespaces.models import Member
from gitlab.refusals import Forbidden
from tests.gitlab.accounts.factors import set_up_app
from tests.gitlab.identity_providers.directories.played_directory import (
    GROUPS,
    PASSWORD,
    PlayedDirectory,
)
from tests.people import PASSWORD as OURS
from tests.people import basic

pytestmark = pytest.mark.django_db


def docker(login: str, password: str = PASSWORD) -> User:
    """As docker logs in: no factor can follow."""
    return sign_in.verify(login, password, address="192.0.2.1")


def page(client: Client, login: str, password: str = PASSWORD) -> Any:
    return client.post("/users/sign_in", {"login": login, "password": password})


def who(client: Client) -> str:
    pk = client.session.get("_auth_user_id")
    return str(User.objects.get(pk=pk)) if pk else ""


def refused(login: str, password: str = PASSWORD) -> sign_in.SignInRefused:
    with pytest.raises(sign_in.SignInRefused) as error:
        docker(login, password)
    return error.value


class TestComing:
    def test_on_the_page(self, directory: PlayedDirectory, client: Client) -> None:
        assert "Company directory" in client.get("/users/sign_in").content.decode()
        directory.add("Dora")
        assert page(client, "dora")["Location"] == "/"
        assert who(client) == "dora"
        dora = User.objects.get()
        assert (dora.email, dora.name) == ("dora@example.com", "Dora")
        assert not dora.has_usable_password()
        assert Identity.objects.get().made_user

    def test_as_docker_does(self, directory: PlayedDirectory, client: Client) -> None:
        directory.add("dora")
        where = "/jwt/auth?service=container_registry"
        answer = client.get(where, headers={"Authorization": basic("dora", PASSWORD)})
        assert answer.status_code == 200
        answer = client.get(where, headers={"Authorization": basic("dora", "wrong")})
        assert answer.status_code == 401

    @pytest.mark.parametrize("login", ["dora", "DORA ", "dora@example.com"])
    def test_by_what_they_are_called(self, directory: PlayedDirectory, login: str) -> None:
        directory.add("dora")
        assert docker(login).username == "dora"

    @pytest.mark.parametrize(
        ("login", "password"),
        [("dora", "wrong"), ("nobody", PASSWORD), ("*", PASSWORD), ("x" * 256, PASSWORD)],
    )
    def test_whoever_else_reads_the_same(
        self, directory: PlayedDirectory, alice: Any, login: str, password: str
    ) -> None:
        directory.add("dora")
        assert str(refused(login, password)) == str(refused("alice", "wrong"))
        assert User.objects.count() == 1

    def test_without_a_password_nothing_is_asked(self, directory: PlayedDirectory) -> None:
        directory.add("dora")
        refused("dora", "")
        assert (directory.bound, directory.opened) == ([], 0)

    def test_what_only_looks_like_a_name_is_none(self, directory: PlayedDirectory) -> None:
        """Each spelling would be another name to count failures of."""
        directory.add("dora")
        refused("\uff44ora")
        assert directory.bound == []

    def test_nobody_is_made_where_that_is_off(self, directory: PlayedDirectory) -> None:
        directory.settle()
        directory.add("dora")
        refused("dora")
        assert not User.objects.exists()

    @pytest.mark.parametrize("mail", ["", "no address"])
    def test_nor_without_an_address(self, directory: PlayedDirectory, mail: str) -> None:
        directory.add("dora", mail=mail)
        refused("dora")
        assert not User.objects.exists()

    def test_other_attributes(self, directory: PlayedDirectory) -> None:
        directory.settle(
            create_users=True,
            login_attributes=["employeeNumber"],
            username_attribute="cn",
            email_attribute="address",
            name_attribute="displayName",
        )
        said = {"employeenumber": "17", "cn": "d.doe", "address": "d@x.test", "displayname": "D D"}
        directory.add("dora", **said)
        found = docker("17")
        assert (found.username, found.email, found.name) == ("d-doe", "d@x.test", "D D")
        refused("dora")

    def test_they_are_found_again_by_their_entry_alone(self, directory: PlayedDirectory) -> None:
        directory.add("dora")
        dora = docker("dora")
        directory.leave("dora")
        directory.add("doris", entryuuid=f"id-of-dora-in-{directory.base}")
        assert docker("dora") == dora
        assert docker("doris") == dora


class TestWhoIsHereAlready:
    def test_a_name_that_is_taken_is_not_taken_over(
        self, directory: PlayedDirectory, alice: Any
    ) -> None:
        """And what is typed for a local account goes nowhere else."""
        directory.add("alice", mail="other@example.com")
        refused("alice")
        assert directory.bound == []
        assert docker("alice", OURS) == alice
        other = docker("other@example.com")
        assert other.username == "alice2"
        assert docker("alice2") == other

    def test_nor_is_an_address(self, directory: PlayedDirectory, alice: Any) -> None:
        directory.add("ali", mail=alice.email)
        refused(alice.email)
        refused("ali")
        assert not Identity.objects.exists()

    def test_unless_the_settings_say_so(self, directory: PlayedDirectory, alice: Any) -> None:
        directory.settle(link_by_email=True)
        directory.add("alice")
        assert docker("alice") == alice
        assert not Identity.objects.get().made_user
        assert docker("alice", OURS) == alice

    def test_and_never_of_an_administrator(self, directory: PlayedDirectory, root: Any) -> None:
        directory.settle(link_by_email=True, create_users=True)
        directory.add("root", mail=root.email)
        refused("root")
        refused(root.email)
        assert directory.bound == []

    def test_who_is_blocked(self, directory: PlayedDirectory) -> None:
        directory.add("dora")
        dora = docker("dora")
        accounts.block(dora, by=None)
        refused("dora")

    def test_who_is_deactivated_comes_back_on_the_page(
        self, directory: PlayedDirectory, client: Client
    ) -> None:
        directory.add("dora")
        accounts.deactivate(docker("dora"), by=None)
        assert isinstance(refused("dora"), sign_in.AccountClosed)
        page(client, "dora")
        assert who(client) == "dora"


class TestTwoFactors:
    @pytest.fixture
    def dora(self, directory: PlayedDirectory) -> User:
        directory.add("dora")
        found = docker("dora")
        set_up_app(found)
        return found

    def test_docker_needs_a_token(self, dora: User) -> None:
        """Also by a name that only the directory has."""
        assert isinstance(refused("dora"), sign_in.TokenNeeded)
        User.objects.update(username="d", email="d@example.org")
        error = refused("dora")
        assert isinstance(error, sign_in.TokenNeeded)
        assert error.person == dora

    def test_the_page_asks_for_the_code(self, dora: User, client: Client) -> None:
        assert page(client, "dora")["Location"] == "/users/sign_in/two_factor"
        assert who(client) == ""


class TestFailures:
    def test_they_are_counted_as_everybodys(
        self, directory: PlayedDirectory, settings: Any
    ) -> None:
        settings.FAILED_LOGIN_LIMIT = 2
        directory.add("dora")
        for guess in ("one", "two"):
            refused("dora", guess)
        with pytest.raises(TooManyFailedLogins):
            docker("dora")
        assert len(directory.bound) == 2

    def test_what_is_withheld_is_held_against_nothing(
        self, directory: PlayedDirectory, settings: Any
    ) -> None:
        """The other name of an account whose failures are full: it reads like a wrong password."""
        directory.add("dora")
        docker("dora@example.com")
        settings.FAILED_LOGIN_LIMIT = 2
        for guess in ("one", "two"):
            refused("dora", guess)
        bound = len(directory.bound)
        refused("dora@example.com", "three")
        assert len(directory.bound) == bound


class TestRemembering:
    def test_docker_asks_once_and_the_page_each_time(
        self, directory: PlayedDirectory, client: Client
    ) -> None:
        dn = directory.add("dora")
        docker("dora")
        docker("dora")
        assert directory.bound == [dn]
        page(client, "dora")
        assert directory.bound == [dn, dn]

    def test_not_once_they_are_unlinked(self, directory: PlayedDirectory, root: Any) -> None:
        directory.add("dora")
        docker("dora")
        services.unlink(Identity.objects.get(), by=root)
        refused("dora")


class TestWhoIsGone:
    def test_is_blocked_with_their_tokens(
        self, directory: PlayedDirectory, client: Client, make_token: Any
    ) -> None:
        directory.add("dora")
        dora = docker("dora")
        token = make_token(dora, "api")
        directory.leave("dora")
        page(client, "dora", "whatever they type")
        dora.refresh_from_db()
        assert dora.is_blocked
        assert client.get("/api/v4/user", headers={"PRIVATE-TOKEN": token}).status_code == 401

    def test_who_was_here_before_loses_what_it_gave(
        self, directory: PlayedDirectory, alice: Any, make_group: Any, root: Any
    ) -> None:
        make_group("acme", owner=root)
        directory.settle(link_by_email=True, memberships=["staff -> acme developer"])
        directory.add("alice", "staff")
        docker("alice")
        assert Member.objects.filter(user=alice, namespace__full_path="acme").exists()
        directory.leave("alice")
        with pytest.raises(sign_in.WrongPassword):
            sign_in.verify("alice", PASSWORD, address="", second_factor_follows=True)
        assert docker("alice", OURS) == alice
        assert not Member.objects.filter(user=alice, namespace__full_path="acme").exists()


class TestGroups:
    def test_they_give_and_take(
        self, directory: PlayedDirectory, client: Client, alice: Any, make_group: Any
    ) -> None:
        make_group("acme", owner=alice)
        directory.settle(
            create_users=True,
            memberships=["Staff -> acme reporter", f"CN=Leads, {GROUPS} -> acme maintainer"],
        )
        dn = directory.add("dora", "staff", "leads")
        rows = Member.objects.filter(user__username="dora").values_list("access_level", flat=True)
        for groups, levels in ((("staff", "leads"), [40]), (("staff",), [20]), ((), [])):
            directory.move(dn, *groups)
            page(client, "dora")
            assert list(rows.all()) == levels
            client.post("/users/sign_out")

    def test_those_that_may_come_in(self, directory: PlayedDirectory) -> None:
        directory.settle(create_users=True, allowed_groups=["Staff"])
        dn = directory.add("dora")
        refused("dora")
        directory.move(dn, "staff")
        dora = sign_in.verify("dora", PASSWORD, address="", second_factor_follows=True)
        directory.move(dn)
        with pytest.raises(sign_in.WrongPassword):
            sign_in.verify("dora", PASSWORD, address="", second_factor_follows=True)
        dora.refresh_from_db()
        assert dora.is_blocked

    def test_administrators(self, directory: PlayedDirectory, root: Any) -> None:
        directory.settle(create_users=True, admin_group=f"cn=admins,{GROUPS}")
        directory.add("dora", "admins")
        assert docker("dora").is_superuser


class TestAway:
    def test_others_sign_in(self, directory: PlayedDirectory, alice: Any, client: Client) -> None:
        directory.is_away = True
        page(client, "alice", OURS)
        assert who(client) == "alice"

    def test_nobody_is_told_whose_it_is(
        self, directory: PlayedDirectory, alice: Any, client: Client
    ) -> None:
        directory.add("dora")
        docker("dora")
        directory.is_away = True
        said = {
            str(refused(*pair))
            for pair in (("dora", "another"), ("alice", "wrong"), ("nobody", "wrong"))
        }
        assert len(said) == 1
        assert "does not answer" in said.pop()
        assert User.objects.get(username="dora").is_active
        denials.flush()
        reasons = Denial.objects.values_list("reason", flat=True)
        assert any("a directory does not answer" in reason for reason in reasons)

    def test_it_is_not_asked_again_at_once(
        self, directory: PlayedDirectory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connections, "AWAY_FOR", 3600.0)
        directory.is_away = True
        for guess in ("one", "two", "three"):
            refused("dora", guess)
        assert directory.opened == 1
        connections.forget()
        directory.is_away = False
        directory.add("dora")
        assert docker("dora").username == "dora"

    def test_the_right_password_said_again_and_again_is_one_failure(
        self, directory: PlayedDirectory, settings: Any
    ) -> None:
        """A machine that goes on asking does not lock its owner out."""
        directory.add("dora")
        settings.FAILED_LOGIN_LIMIT = 2
        directory.is_away = True
        for _ in range(5):
            assert isinstance(refused("dora"), sign_in.DirectoryAway)
        directory.is_away = False
        connections.forget()
        assert docker("dora").username == "dora"

    def test_the_next_one_is_asked(
        self, directory: PlayedDirectory, other: PlayedDirectory
    ) -> None:
        directory.is_away = True
        other.add("dora")
        assert docker("dora").username == "dora"


class TestTwoDirectories:
    def test_the_same_name_in_both(
        self, directory: PlayedDirectory, other: PlayedDirectory
    ) -> None:
        first = directory.add("dora")
        second = other.add("dora", mail="dora@lab.test")
        other.passwords[second] = "that-of-the-lab"
        one = docker("dora")
        two = docker("dora@lab.test", "that-of-the-lab")
        assert (one.username, two.username) == ("dora", "dora2")
        directory.bound.clear()
        assert docker("dora2", "that-of-the-lab") == two
        # Her password is the lab's: the other one never hears it.
        refused("dora2", "almost")
        assert first not in directory.bound

    def test_an_address_links_nobody_whose_password_is_elsewhere(
        self, directory: PlayedDirectory, other: PlayedDirectory, settings: Any
    ) -> None:
        other.add("dora")
        dora = docker("dora")
        settings.DIRECTORIES["corp"] = settings.DIRECTORIES["corp"].model_copy(
            update={"link_by_email": True}
        )
        directory.add("dora")
        refused("dora", "wrong")
        assert directory.bound == []
        assert dora.identities.count() == 1


class TestTheirPassword:
    """It is the directory's: Berth asks for it and has none itself."""

    @pytest.fixture
    def dora(self, directory: PlayedDirectory, client: Client) -> User:
        directory.add("dora")
        page(client, "dora")
        return User.objects.get(username="dora")

    def test_says_that_it_is_them(self, dora: User, client: Client) -> None:
        set_up = "/-/user_settings/two_factor/app"
        session = client.session
        session["account_authentication_methods"] = []
        session.save()
        where = client.get(set_up)["Location"]
        assert "Company directory" in client.get(where).content.decode()
        client.post(where, {"password": "wrong"})
        assert client.get(set_up).status_code == 302
        client.post(where, {"password": PASSWORD})
        assert client.get(set_up).status_code == 200

    def test_or_that_it_does_not_answer(
        self, dora: User, client: Client, directory: PlayedDirectory
    ) -> None:
        directory.is_away = True
        answer = client.post("/users/confirm", {"password": PASSWORD})
        assert "does not answer" in answer.content.decode()

    def test_is_changed_there(self, dora: User, client: Client) -> None:
        shown = client.get("/-/user_settings/password").content.decode()
        assert "the one of Company directory" in shown
        assert "current_password" not in shown
        with pytest.raises(Forbidden):
            accounts.change_password(dora, "a-long-new-one", by=dora, current_password=PASSWORD)
        with pytest.raises(Forbidden):
            accounts.reset_password(dora, "a-long-new-one")

    def test_no_link_sets_another(self, dora: User, settings: Any) -> None:
        settings.MAIL_ENABLED = True
        resets.ask(dora.email)
        assert resets.answer() == 1
        assert not Message.objects.exists()

    def test_who_has_none_there(self, directory: PlayedDirectory, alice: Any) -> None:
        assert door.label(alice) == ""
        assert not door.is_password_of(alice, PASSWORD)
