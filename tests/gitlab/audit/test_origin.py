"""Each row says by which credential, in which request, and at whose pages it is shown."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gitlab.access_tokens import deploy_tokens, services
from gitlab.audit.models import AuditEvent
from gitlab.audit.origin import acting_from, of_session
from gitlab.audit.services import events_in_namespaces, events_in_project, events_of_person, record
from gitlab.authorization.credentials.kinds import identify
from gitlab.namespaces import members
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


def last(action: str) -> AuditEvent:
    return AuditEvent.objects.filter(action=action).latest("pk")


def test_signing_in_and_out_with_a_page(client: Any, alice: Any) -> None:
    answer = client.post("/users/sign_in", {"login": "alice", "password": PASSWORD})
    event = last("user.sign_in")
    assert (event.actor, event.target_path, event.address) == (alice, "alice", "127.0.0.1")
    assert event.credential == of_session(client.session.session_key)
    assert event.request_id == answer.headers["X-Request-Id"]
    client.post("/-/user_settings/profile", {"name": "A.", "email": alice.email})
    assert last("user.update").credential == event.credential
    client.post("/users/sign_out")
    assert last("user.sign_out").credential == event.credential


def test_a_token_of_the_api_is_named(client: Any, alice: Any, make_token: Any) -> None:
    text = make_token(alice, "api")
    row = services.find(text)
    assert row is not None
    answer = client.post(
        "/api/v4/groups", {"path": "acme", "name": "x"}, headers={"PRIVATE-TOKEN": text}
    )
    assert answer.status_code == 201
    assert last("group.create").credential == f"access_token:{row.id}"


@pytest.mark.parametrize("kind", ["access_token", "deploy_token"])
def test_the_first_use_of_a_token_is_recorded_once(
    kind: str, alice: Any, make_project: Any, make_token: Any
) -> None:
    app = make_project("acme/app", owner=alice)
    if kind == "access_token":
        name, text = "alice", make_token(alice, "read_registry")
    else:
        row, text = deploy_tokens.create(alice, app, name="ci", scopes=["read_registry"])
        name = row.username
    with acting_from("192.0.2.9"):
        identify(name, text, client_ip="192.0.2.9")
        identify(name, text, client_ip="192.0.2.10")
        record("thing.do", by=alice)
    (event,) = AuditEvent.objects.filter(action=f"{kind}.first_use")
    assert event.credential == f"{kind}:{event.target_id}" == last("thing.do").credential
    assert event.address == "192.0.2.9"
    assert text not in str(event.__dict__)


def test_events_are_shown_at_their_places(alice: Any, bob: Any, make_project: Any) -> None:
    app = make_project("acme/app", owner=alice)
    members.add_member(alice, app, bob, 30, dt.date(2999, 1, 1))
    members.update_member(alice, app, bob, 30)
    added, updated = last("member.add"), last("member.update")
    assert added.details["expires_at"] == "2999-01-01"
    assert updated.details["expires_at"] == ["2999-01-01", None]
    assert added in events_in_project(app.pk)
    assert added in events_in_namespaces([app.namespace_id])
    assert added in events_of_person(bob.pk)
    assert added in events_of_person(alice.pk)
    assert last("group.create") not in events_in_project(app.pk)
