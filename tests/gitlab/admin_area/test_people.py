"""People in the console: found, looked at, changed, several at once, always by the services."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.accounts.models import LoginWait, User
from gitlab.admin_area import bulk, people
from gitlab.admin_area.views import tables
from gitlab.audit.models import AuditEvent
from gitlab.mail.models import Message
from tests.gitlab.accounts.factors import set_up_app
from tests.gitlab.admin_area.lists import do

pytestmark = pytest.mark.django_db

LIST = "/admin/people/"


def page(client: Client, address: str = LIST, **query: str) -> str:
    answer = client.get(address, query)
    assert answer.status_code == 200
    return answer.content.decode()


def names(**asked: str) -> set[str]:
    return {row.username for row in people.people(**asked)}


class TestTheList:
    def test_it_is_for_administrators(self, alice: Any) -> None:
        client = Client()
        for address in (LIST, f"{LIST}alice/", f"{LIST}-/new", f"{LIST}-/block?selected=bob"):
            asked = client.get(address, follow=True)
            assert asked.redirect_chain[-1][0].startswith("/users/sign_in")
        client.force_login(alice)
        for address in (LIST, f"{LIST}alice/", f"{LIST}-/new", f"{LIST}-/block?selected=bob"):
            assert client.get(address, follow=True).status_code == 403

    def test_filters(self, root: Any, alice: Any, bob: Any, carol: Any) -> None:
        User.objects.filter(pk=bob.pk).update(state="blocked", external=True)
        set_up_app(carol)
        until = timezone.now() + dt.timedelta(hours=1)
        LoginWait.objects.create(user=alice, address="192.0.2.1", until=until)
        assert names() == {"root", "alice", "bob", "carol"}
        assert names(state="blocked") == names(role="external") == {"bob"}
        assert names(state="active", factor="yes") == {"carol"}
        assert names(state="waiting") == {"alice"}
        assert names(role="admin") == {"root"}
        assert names(factor="no") == {"root", "alice", "bob"}
        assert names(search="@ALI") == names(search="alice@") == {"alice"}
        assert names(state="x", role="x", factor="x") == names()

    def test_bots_are_apart(self, console: Client, make_access_token: Any, app: Any) -> None:
        make_access_token(app)
        bots = names(role="bot")
        assert len(bots) == 1
        assert not bots & names()
        shown = page(console, f"{LIST}{bots.pop()}/")
        assert "Save changes" not in shown

    def test_pages_keep_what_was_asked(
        self, console: Client, alice: Any, bob: Any, carol: Any, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(tables, "SHOWN", 2)
        first = console.get(LIST, {"state": "active", "sort": "-username"})
        assert [row.username for row in first.context["rows"]] == ["root", "carol"]
        assert first.context["count_text"] == "4 people"
        assert "state=active" in first.context["next_url"]
        second = console.get(LIST + first.context["next_url"])
        assert [row.username for row in second.context["rows"]] == ["bob", "alice"]
        back = console.get(LIST + second.context["previous_url"])
        assert [row.username for row in back.context["rows"]] == ["root", "carol"]

    @pytest.mark.parametrize("sort", ["username", "-username", "name", "-created_at", "nonsense"])
    def test_orders(self, console: Client, alice: Any, sort: str) -> None:
        assert "alice" in page(console, sort=sort)

    def test_nobody_matches(self, console: Client) -> None:
        assert "Nobody matches." in page(console, q="zz")

    def test_a_row_costs_no_query(self, console: Client, alice: Any, make_person: Any) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                page(console)
            return len(captured)

        queries()
        few = queries()
        for number in range(5):
            make_person(f"p{number}")
        assert queries() == few

    def test_the_address_from_before(self, console: Client) -> None:
        assert console.get("/admin/accounts/user/")["Location"] == LIST

    def test_what_is_typed_is_no_markup(self, console: Client, bob: Any) -> None:
        User.objects.filter(pk=bob.pk).update(name="<b>x</b>")
        for address in (LIST, f"{LIST}bob/"):
            assert "<b>x</b>" not in page(console, address)


class TestOne:
    def test_what_belongs_to_somebody(
        self, console: Client, bob: Any, app: Any, make_token: Any
    ) -> None:
        make_token(bob, "api")
        set_up_app(bob)
        Client().force_login(bob)
        until = timezone.now() + dt.timedelta(hours=1)
        LoginWait.objects.create(user=bob, address="192.0.2.7", until=until)
        shown = page(console, f"{LIST}bob/")
        for text in ("Authenticator app", "192.0.2.7", "acme/app", "Developer", bob.email):
            assert text in shown, text
        assert bob.access_tokens.get().name in shown
        assert bob.access_tokens.get().digest not in shown
        assert bob.password not in shown

    def test_nobody(self, console: Client) -> None:
        assert console.get(f"{LIST}nobody/").status_code == 404

    def test_a_promotion_leaves_a_record_with_who_did_it(
        self, console: Client, root: Any, alice: Any
    ) -> None:
        form = {"name": "Alice L.", "email": alice.email, "is_superuser": "on", "external": "on"}
        assert console.post(f"{LIST}alice/", form).status_code == 302
        alice.refresh_from_db()
        assert (alice.name, alice.is_superuser, alice.external) == ("Alice L.", True, True)
        found = AuditEvent.objects.filter(target_id=alice.pk, actor=root, target_type="user")
        assert {event.action for event in found} == {
            "user.update",
            "user.grant_admin",
            "user.set_external",
        }

    def test_a_new_password(self, console: Client, alice: Any) -> None:
        form = {"name": alice.name, "email": alice.email}
        console.post(f"{LIST}alice/", form | {"password": "harbour-lamp-9"})
        alice.refresh_from_db()
        assert alice.check_password("harbour-lamp-9")
        refused = console.post(f"{LIST}alice/", form | {"password": "x"})
        assert refused.status_code == 200
        assert "harbour" not in refused.content.decode()

    def test_what_is_refused_changes_nothing(self, console: Client, alice: Any, bob: Any) -> None:
        form = {"name": "Other", "email": bob.email, "is_superuser": "on"}
        answer = console.post(f"{LIST}alice/", form).content.decode()
        assert "has this address already" in answer
        alice.refresh_from_db()
        assert (alice.name == "Other", alice.is_superuser) == (False, False)

    def test_the_last_administrator_stays_one(self, console: Client, root: Any) -> None:
        answer = console.post(f"{LIST}root/", {"name": root.name, "email": root.email})
        assert "is the last administrator" in answer.content.decode()
        root.refresh_from_db()
        assert root.is_superuser


class TestANewOne:
    FORM = {"username": "dora", "email": "dora@example.com", "name": "Dora"}

    def test_with_a_password(self, console: Client, root: Any) -> None:
        form = self.FORM | {"password": "harbour-lamp-9"}
        assert console.post(f"{LIST}-/new", form)["Location"] == f"{LIST}dora/"
        assert AuditEvent.objects.get(action="user.create", target_path="dora").actor == root
        assert User.objects.get(username="dora").check_password("harbour-lamp-9")
        assert not Message.objects.exists()

    def test_without_one_a_link_is_sent(self, console: Client, settings: Any) -> None:
        settings.MAIL_ENABLED = True
        console.post(f"{LIST}-/new", self.FORM)
        assert "/users/password/edit/" in Message.objects.get(user__username="dora").text

    def test_without_one_where_no_mail_is_sent(self, console: Client, settings: Any) -> None:
        settings.MAIL_ENABLED = False
        console.post(f"{LIST}-/new", self.FORM)
        assert not User.objects.get(username="dora").has_usable_password()

    def test_a_name_that_is_taken(self, console: Client, alice: Any) -> None:
        form = self.FORM | {"username": "alice"}
        assert console.post(f"{LIST}-/new", form).status_code == 200
        assert User.objects.filter(name="Dora").count() == 0


class TestSeveral:
    def test_it_asks_first(self, console: Client, alice: Any, bob: Any) -> None:
        asked = page(console, f"{LIST}-/block?selected=alice&selected=bob&selected=nobody")
        assert "Block 2 people?" in asked
        assert "alice and bob" in asked
        answer = console.post(f"{LIST}-/block", {"selected": ["alice"]})
        assert "confirmed" in answer.content.decode()
        assert names(state="blocked") == set()

    def test_block_and_unblock(self, console: Client, root: Any, alice: Any, bob: Any) -> None:
        assert "alice and bob: blocked." in do(console, LIST, "block", "alice", "bob")
        assert names(state="blocked") == {"alice", "bob"}
        assert AuditEvent.objects.filter(action="user.block", actor=root).count() == 2
        do(console, LIST, "unblock", "alice", "bob")
        assert names(state="blocked") == set()

    def test_deactivate_and_activate(self, console: Client, alice: Any) -> None:
        do(console, LIST, "deactivate", "alice")
        assert names(state="deactivated") == {"alice"}
        do(console, LIST, "activate", "alice")
        assert names(state="deactivated") == set()

    def test_what_is_refused_is_told_and_the_rest_done(
        self, console: Client, root: Any, alice: Any
    ) -> None:
        told = do(console, LIST, "block", "root", "alice")
        assert "alice: blocked." in told
        assert "root: You can&#x27;t block yourself." in told
        root.refresh_from_db()
        assert root.is_active

    def test_delete(self, console: Client, alice: Any, bob: Any, app: Any) -> None:
        told = do(console, LIST, "delete", "alice", "bob")
        assert "bob: deleted." in told
        assert "alice is the only owner of acme" in told
        assert {"alice"} <= names()
        assert "bob" not in names()

    def test_sessions_and_factors(self, console: Client, bob: Any) -> None:
        set_up_app(bob)
        of_bob = Client()
        of_bob.force_login(bob)
        do(console, LIST, "end_sessions", "bob")
        assert of_bob.get("/").status_code == 302
        assert names(factor="yes") == {"bob"}
        do(console, LIST, "remove_factors", "bob")
        assert names(factor="yes") == set()

    def test_a_reset_link(self, console: Client, root: Any, bob: Any, settings: Any) -> None:
        settings.MAIL_ENABLED = True
        assert "bob: get a link by mail." in do(console, LIST, "reset", "bob")
        assert "/users/password/edit/" in Message.objects.get(user=bob).text
        assert AuditEvent.objects.get(action="user.send_reset_link").actor == root
        User.objects.filter(pk=bob.pk).update(state="blocked")
        assert "Only somebody who is active" in do(console, LIST, "reset", "bob")
        assert Message.objects.count() == 1

    def test_no_link_where_no_mail_is_sent(self, console: Client, bob: Any, settings: Any) -> None:
        settings.MAIL_ENABLED = False
        assert "Send a reset link" not in page(console, f"{LIST}bob/")
        assert "No mail is sent here" in do(console, LIST, "reset", "bob")
        assert not AuditEvent.objects.filter(action="user.send_reset_link").exists()

    def test_nothing_chosen(self, console: Client) -> None:
        assert "Choose people first." in do(console, LIST, "block")

    def test_an_unknown_deed(self, console: Client, alice: Any) -> None:
        assert console.get(f"{LIST}-/promote?selected=alice").status_code == 404

    def test_a_go_has_an_end(self, console: Client, alice: Any, bob: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(bulk, "MOST", 1)
        do(console, LIST, "block", "alice", "bob")
        assert names(state="blocked") == {"alice"}


@pytest.fixture
def app(alice: Any, bob: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice, developers=[bob])
