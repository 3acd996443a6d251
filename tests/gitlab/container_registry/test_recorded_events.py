"""What happens through the registry's API is in the audit, once, as who did it by which token."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gitlab.audit.models import AuditEvent
from gitlab.container_registry import events
from gitlab.container_registry.client.responses import Happened
from gitlab.container_registry.models import EventCursor
from gitlab.container_registry.recorded_events import read_user
from tokens.issue import issue
from tokens.verify import verify

pytestmark = pytest.mark.django_db

AT = dt.datetime(2026, 11, 20, 10, tzinfo=dt.UTC)
OLD, NEW = f"sha256:{1:064}", f"sha256:{2:064}"


def user_claim(**info: Any) -> str:
    """What goes into a token as ``user``, and comes back with the events."""
    claims = verify(issue([], subject="x", user=info).text)
    assert claims.user
    return str(claims.user)


@pytest.fixture
def app(alice: Any, bob: Any, make_project: Any, make_image: Any) -> Any:
    found = make_project("acme/app", owner=alice, developers=[bob])
    make_image("acme/app/web", of=found)
    return found


def recorded() -> list[AuditEvent]:
    """What the registry has told of, in order."""
    return list(AuditEvent.objects.filter(address="registry").order_by("pk"))


def test_pushes_and_deletions_leave_rows(app: Any, bob: Any, fake_registry: Any) -> None:
    user = user_claim(user_id=bob.pk, username="bob", credential="access_token:7")
    more = {"at": AT, "path": "acme/app/web", "actor": "bob", "user": user}
    fake_registry.happened = [
        Happened(1, action="push", digest=OLD, **more),
        Happened(2, action="push", tag="v1", digest=OLD, **more),
        Happened(3, action="push", tag="v1", digest=NEW, replaced=OLD, **more),
        *(Happened(4 + n, action="delete", tag=f"v{n}", digest=NEW, **more) for n in range(250)),
        Happened(254, action="mount", digest=OLD, **more),
    ]
    fake_registry.images["acme/app/web"] = 1
    events.read(fake_registry)
    first, second, third, *deleted = recorded()
    assert (first.action, first.details) == ("tag.push", {"tag": "v1", "digest": OLD})
    assert second.details == {"tag": "v1", "digest": NEW, "replaced": OLD}
    assert (third.action, third.details) == ("manifest.push", {"digests": [OLD]})
    assert [event.action for event in deleted] == ["tag.delete"] * 3
    assert sum(len(event.details["tags"]) for event in deleted) == 250
    for event in recorded():
        assert (event.actor, event.credential, event.at) == (bob, "access_token:7", AT)
        assert event.target_path == "acme/app/web"
        assert (event.project_pk, event.namespace_pk) == (app.pk, app.namespace_id)


def test_what_is_read_again_is_recorded_once(app: Any, bob: Any, fake_registry: Any) -> None:
    """A worker that died behind its reading had moved the cursor, or had recorded nothing."""
    user = user_claim(user_id=bob.pk, username="bob")
    fake_registry.happened = [
        Happened(1, AT, "push", "acme/app/web", tag="v1", digest=OLD, actor="bob", user=user)
    ]
    fake_registry.images["acme/app/web"] = 1

    def meanwhile(after: Any, n: int = 500) -> Any:
        EventCursor.objects.update(position=1)
        return fake_registry.happened

    fake_registry.events, asked = meanwhile, fake_registry.events
    events.read(fake_registry)
    assert recorded() == []
    EventCursor.objects.update(position=0)
    fake_registry.events = asked
    events.read(fake_registry)
    events.read(fake_registry)
    assert [event.credential for event in recorded()] == ["password"]


def test_gitlabs_own_requests_are_recorded_where_they_were_asked_for(
    app: Any, fake_registry: Any
) -> None:
    fake_registry.happened = [Happened(1, AT, "delete", "acme/app/web", tag="v1", actor="alice")]
    events.read(fake_registry)
    assert recorded() == []


def test_what_is_in_no_project_has_no_place(alice: Any, fake_registry: Any) -> None:
    user = user_claim(token_type="deploy_token", deploy_token_id=3, credential="deploy_token:3")
    fake_registry.happened = [
        Happened(1, AT, "delete", "gone/app", tag="v1", actor="gitlab+deploy-token-3", user=user),
        Happened(2, AT, "delete", "gone/app", actor="gitlab+deploy-token-3", user=user),
    ]
    events.read(fake_registry)
    assert [event.action for event in recorded()] == ["tag.delete", "container_repository.empty"]
    assert {(e.actor_id, e.actor_name, e.project_pk) for e in recorded()} == {
        (None, "gitlab+deploy-token-3", None)
    }


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.bm8.c", "a.W10.c"])
def test_what_no_token_of_ours_says_is_nobodys(text: str) -> None:
    assert read_user(text).user_id is None
