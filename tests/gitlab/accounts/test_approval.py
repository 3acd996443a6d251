"""Who has registered and waits for an administrator."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from gitlab.accounts import services, sign_in
from gitlab.accounts.models import User
from gitlab.accounts.sign_ups import services as sign_ups
from gitlab.audit.models import AuditEvent
from gitlab.mail.models import Message
from gitlab.refusals import Conflict, Forbidden
from tests.people import PASSWORD, basic

pytestmark = pytest.mark.django_db

V4 = "/api/v4/users"


@pytest.fixture(autouse=True)
def _settings(settings: Any, enqueued: Any) -> None:
    settings.SIGNUP_ENABLED = True
    settings.SIGNUP_REQUIRES_APPROVAL = True
    settings.MAIL_ENABLED = True


@pytest.fixture
def nina(root: Any) -> User:
    return sign_ups.sign_up(username="nina", email="nina@example.com", password=PASSWORD)


def test_nobody_comes_in_before(nina: User, client: Client) -> None:
    page = client.post("/users/sign_in", {"login": "nina", "password": PASSWORD})
    assert "waits for an administrator" in page.content.decode()
    assert "_auth_user_id" not in client.session
    wrong = client.post("/users/sign_in", {"login": "nina", "password": "a wrong one"})
    assert "waits" not in wrong.content.decode()
    docker = client.get("/jwt/auth?service=container_registry", HTTP_AUTHORIZATION=basic("nina"))
    assert docker.status_code == 401
    forced = Client()
    forced.force_login(nina)
    assert "sign_in" in forced.get("/-/user_settings/profile")["Location"]


def test_neither_by_another_way(nina: User, root: Any) -> None:
    with pytest.raises(Forbidden):
        services.reset_password(nina, "seven herons at low tide")
    for way in (services.activate, services.deactivate):
        with pytest.raises(Conflict):
            way(nina, by=root)
    services.unblock(nina, by=root)
    services.reactivate(nina)
    nina.refresh_from_db()
    assert nina.is_pending


def test_the_page_says_so(root: Any, client: Client) -> None:
    given = {"name": "N", "username": "nina", "email": "nina@example.com", "password": PASSWORD}
    assert "approved it" in client.get("/users/sign_up").content.decode()
    done = client.post("/users/sign_up", given, follow=True)
    assert "once an administrator has approved it" in done.content.decode()
    assert "_auth_user_id" not in client.session


def test_administrators_are_told(nina: User, root: Any) -> None:
    message = Message.objects.get()
    assert message.user == root
    assert "/admin/people/nina/" in message.text


def test_approved(nina: User, root: Any) -> None:
    sign_ups.approve(nina, by=root)
    assert sign_in.verify("nina", PASSWORD, address="") == nina
    assert Message.objects.latest("pk").user == nina
    event = AuditEvent.objects.get(action="user.approve")
    assert (event.actor, event.target_path) == (root, "nina")
    with pytest.raises(Conflict):
        sign_ups.approve(nina, by=root)


def test_rejected(nina: User, root: Any) -> None:
    sign_ups.reject(nina, by=root)
    assert not User.objects.filter(username="nina").exists()
    assert Message.objects.latest("pk").email == "nina@example.com"
    actions = set(AuditEvent.objects.filter(actor=root).values_list("action", flat=True))
    assert {"user.reject", "user.delete"} <= actions
    # The name is free again.
    assert sign_ups.sign_up(username="nina", email="nina@example.com", password=PASSWORD).pk


def test_only_by_administrators(nina: User, alice: Any) -> None:
    for way in (sign_ups.approve, sign_ups.reject):
        with pytest.raises(Forbidden):
            way(nina, by=alice)
        with pytest.raises(Conflict):
            way(alice, by=None)


def test_the_record_of_a_sign_up(nina: User) -> None:
    event = AuditEvent.objects.get(action="user.create", target_path="nina")
    assert event.details["state"] == "blocked_pending_approval"


@pytest.mark.parametrize(
    ("verb", "status", "state"), [("approve", 201, "active"), ("reject", 200, None)]
)
def test_the_api(
    nina: User, root: Any, alice: Any, make_token: Any, verb: str, status: int, state: Any
) -> None:
    client = Client()
    here = f"{V4}/{nina.pk}/{verb}"
    assert client.post(here, HTTP_PRIVATE_TOKEN=make_token(alice)).status_code == 403
    token = make_token(root)
    answer = client.post(here, HTTP_PRIVATE_TOKEN=token)
    assert (answer.status_code, answer.json()) == (status, {"message": "Success"})
    found = User.objects.filter(username="nina").first()
    assert (found.state if found else None) == state
    other = client.post(f"{V4}/{alice.pk}/{verb}", HTTP_PRIVATE_TOKEN=token)
    assert other.status_code == 409


def test_the_console(nina: User, root: Any, alice: Any) -> None:
    client = Client()
    client.post("/users/sign_in", {"login": "root", "password": PASSWORD})
    assert "waiting for approval" in client.get("/admin/").content.decode()
    page = client.get("/admin/people/?state=blocked_pending_approval").content.decode()
    assert "nina" in page
    assert "alice" not in page
    client.post("/admin/people/-/approve", {"selected": "nina", "confirmed": "yes"})
    nina.refresh_from_db()
    assert nina.is_active
    assert "waiting for approval" not in client.get("/admin/").content.decode()
