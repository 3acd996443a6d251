"""What is dangerous asks who it is, ten minutes after signing in or after the last time."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.accounts.models import User
from gitlab.identity_providers.models import Identity
from gitlab.namespaces.models import Namespace, Project
from gitlab.ui.decorators import SIGNED_IN_AT
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db

CONFIRM = "/users/confirm"


def late(user: Any) -> Client:
    """The browser of somebody who signed in an hour ago."""
    client = Client()
    client.force_login(user)
    session = client.session
    session[SIGNED_IN_AT] -= 3600
    session.save()
    return client


def promote(client: Client, user: Any, **more: str) -> Any:
    form = {"name": user.name, "email": user.email, "is_superuser": "on", **more}
    return client.post(f"/admin/people/{user.username}/", form)


def confirm(client: Client, address: str, password: str = PASSWORD) -> Any:
    assert address.startswith(f"{CONFIRM}?next=")
    return client.post(address, {"password": password})


def test_the_console_asks_and_goes_on(root: Any, alice: Any) -> None:
    client = late(root)
    assert client.get("/admin/people/").status_code == 200
    asked = promote(client, alice)
    assert asked.status_code == 302
    alice.refresh_from_db()
    assert not alice.is_superuser
    assert confirm(client, asked["Location"], "wrong").status_code == 200
    alice.refresh_from_db()
    assert not alice.is_superuser
    assert confirm(client, asked["Location"]).status_code == 302
    alice.refresh_from_db()
    assert alice.is_superuser
    # For ten minutes nobody asks again.
    form = {"name": alice.name, "email": alice.email}
    client.post(f"/admin/people/{alice.username}/", form)
    alice.refresh_from_db()
    assert not alice.is_superuser


def test_who_has_just_signed_in_is_not_asked(root: Any, alice: Any) -> None:
    client = Client()
    client.post("/users/sign_in", {"login": "root", "password": PASSWORD})
    promote(client, alice)
    alice.refresh_from_db()
    assert alice.is_superuser


def test_a_clock_that_was_set_back_asks(root: Any, alice: Any) -> None:
    client = late(root)
    session = client.session
    session[SIGNED_IN_AT] += 7200
    session.save()
    assert promote(client, alice)["Location"].startswith(CONFIRM)


def test_a_password_that_was_typed_is_not_kept(root: Any) -> None:
    client = late(root)
    form = {"username": "dora", "email": "d@example.com", "name": "D", "password": "harbour-lamp-9"}
    asked = client.post("/admin/people/-/new", form)
    assert "harbour-lamp" not in str(dict(client.session))
    back = confirm(client, asked["Location"])
    assert back["Location"] == "/admin/people/-/new"
    assert not User.objects.filter(username="dora").exists()


def test_actions_of_the_console(root: Any, bob: Any) -> None:
    row = Identity.objects.create(user=bob, provider="sso", issuer="https://x", subject="1")
    given = {"action": "unlink", "_selected_action": [row.pk]}
    path = "/admin/identity_providers/identity/"
    assert late(root).post(path, given)["Location"].startswith(CONFIRM)
    assert Identity.objects.exists()


def test_revoking_tokens(root: Any, alice: Any, make_token: Any) -> None:
    make_token(alice, "api")
    given = {"selected": [alice.access_tokens.get().pk], "confirmed": "yes"}
    asked = late(root).post("/admin/tokens/access/-/revoke", given)
    assert asked["Location"].startswith(CONFIRM)
    assert not alice.access_tokens.get().is_revoked


def test_what_is_done_to_those_chosen(root: Any, alice: Any) -> None:
    given = {"selected": ["alice"], "confirmed": "yes"}
    client = late(root)
    asked = client.post("/admin/people/-/block", given)
    alice.refresh_from_db()
    assert alice.is_active
    assert confirm(client, asked["Location"]).status_code == 302
    alice.refresh_from_db()
    assert alice.is_blocked


@pytest.fixture
def app(alice: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice)


def test_deleting_a_project_and_a_group(app: Any, alice: Any) -> None:
    client = late(alice)
    asked = client.post("/acme/app/-/delete", {"path": "acme/app"})
    assert Project.objects.get().pending_delete_at is None
    assert confirm(client, asked["Location"]).status_code == 302
    assert Project.objects.get().pending_delete_at is not None


def test_publishing(app: Any, alice: Any) -> None:
    client = late(alice)
    form = {"name": "app", "description": "", "registry_access": "enabled"}
    edit = "/acme/app/edit"
    assert client.post(edit, form | {"visibility": "private"})["Location"] == edit
    asked = client.post(edit, form | {"visibility": "public"})
    assert asked["Location"].startswith(CONFIRM)
    assert Project.objects.get().visibility == "private"
    confirm(client, asked["Location"])
    assert Project.objects.get().visibility == "public"
    assert Namespace.objects.get(full_path="acme").visibility == "public"


class TestTheAPI:
    """With a page's session it wants the same as the page; a token was given its scope for that."""

    CALLS = (
        ("delete", "projects/{app}", {}),
        ("put", "projects/{app}", {"visibility": "public"}),
        ("delete", "groups/acme", {}),
        ("put", "groups/acme", {"visibility": "public"}),
        ("post", "user/personal_access_tokens", {"name": "t", "scopes": ["api"]}),
        ("post", "users", {"username": "d", "email": "d@x.test", "force_random_password": True}),
        ("put", "users/{bob}", {"admin": True}),
        ("delete", "users/{bob}", {}),
        ("post", "users/{bob}/block", {}),
        ("patch", "users/{bob}/disable_two_factor", {}),
        ("post", "users/{bob}/personal_access_tokens", {"name": "t", "scopes": ["api"]}),
    )

    @pytest.fixture
    def ask(self, root: Any, bob: Any, make_group: Any, make_project: Any) -> Any:
        """Root asks, who owns what it is about."""
        make_group("acme", owner=root, visibility="private")
        app = make_project("acme/app", owner=root)

        def send(client: Client, call: tuple[str, str, Any], **headers: str) -> int:
            method, path, body = call
            answer = getattr(client, method)(
                f"/api/v4/{path.format(bob=bob.pk, app=app.pk)}",
                body,
                "application/json",
                headers=headers,
            )
            return int(answer.status_code)

        return send

    @pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]}")
    def test_a_session_has_to_be_confirmed(self, ask: Any, root: Any, call: Any) -> None:
        client = late(root)
        assert ask(client, call) == 403
        client.post(CONFIRM, {"password": PASSWORD})
        assert ask(client, call) != 403

    @pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]}")
    def test_a_token_is_enough_with_its_scope(
        self, ask: Any, root: Any, make_token: Any, call: Any
    ) -> None:
        less, whole = make_token(root, "read_api"), make_token(root, "api")
        assert ask(Client(), call, **{"PRIVATE-TOKEN": less}) == 403
        assert ask(Client(), call, **{"PRIVATE-TOKEN": whole}) != 403

    def test_what_is_not_dangerous_asks_nothing(self, ask: Any, root: Any) -> None:
        client = late(root)
        assert ask(client, ("put", "projects/{app}", {"description": "d"})) == 200
        assert ask(client, ("put", "groups/acme", {"visibility": "private"})) == 200
        assert client.get("/api/v4/users").status_code == 200


def test_a_token_of_ones_own(alice: Any) -> None:
    """It would go on when the screen is locked again."""
    client = late(alice)
    new = "/-/user_settings/personal_access_tokens/new"
    asked = client.post(new, {"name": "t", "scopes": ["api"]})
    assert asked["Location"].startswith(CONFIRM)
    assert not alice.access_tokens.exists()
    confirm(client, asked["Location"])
    assert alice.access_tokens.count() == 1


def test_another_address(alice: Any) -> None:
    """Who reads mails to it sets another password."""
    client = late(alice)
    profile = "/-/user_settings/profile"
    client.post(profile, {"name": "Al", "email": alice.email})
    asked = client.post(profile, {"name": "Al", "email": "mine@example.org"})
    assert asked["Location"].startswith(CONFIRM)
    alice.refresh_from_db()
    assert (alice.name, alice.email) == ("Al", "alice@example.com")


def test_the_last_administrator_stays_one(root: Any) -> None:
    client = Client()
    client.force_login(root)
    page = client.post("/admin/people/root/", {"name": root.name, "email": root.email})
    assert "is the last administrator" in page.content.decode()
    root.refresh_from_db()
    assert root.is_superuser
