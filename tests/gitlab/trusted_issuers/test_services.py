"""Trusts are made, changed and revoked by whoever may; each change ends what they gave."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from gitlab.revocations.models import Revocation
from gitlab.trusted_issuers import checking, services
from gitlab.trusted_issuers.models import IdTokenUse, TrustedIssuer

pytestmark = pytest.mark.django_db
TERMS: dict[str, Any] = {
    "name": "GitHub",
    "issuer": "https://token.actions.githubusercontent.com",
    "conditions": {"repository": "octo/app", "ref": "refs/heads/*"},
    "actions": ["push", "pull", "pull"],
}


def ended() -> list[str]:
    return [row.credential for row in Revocation.objects.order_by("pk") if row.credential]


def test_it_is_made(app: Any, alice: Any) -> None:
    trust = services.create(alice, app, **TERMS)

    assert (trust.owner, trust.actions, trust.is_usable) == (app, ["pull", "push"], True)
    assert trust.username == f"gitlab+trusted-issuer-{trust.pk}"
    event = AuditEvent.objects.get(action="trusted_issuer.create")
    assert (event.actor, event.target_path) == (alice, "acme/app")
    assert event.details["conditions"] == TERMS["conditions"]
    assert ended() == []


def test_what_a_request_reads_is_what_was_kept(app: Any, alice: Any) -> None:
    day = timezone.now().date() + dt.timedelta(days=2)
    trust = services.create(alice, app, **TERMS, expires_at=day, images="web*", audience="me")
    found = checking.find(trust.pk)
    assert found == checking.row_of(TrustedIssuer.objects.get())
    assert found is not None
    assert (found.conditions, found.expires_at) == (TERMS["conditions"], day)
    assert found.label == "trust GitHub of acme/app"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"issuer": "http://ci.example.com"}, "issuer"),
        ({"issuer": "https://127.0.0.1"}, "issuer"),
        ({"conditions": {}}, "conditions"),
        ({"conditions": {"ref": "refs/heads/main"}}, "conditions"),
        ({"actions": []}, "actions"),
        ({"actions": ["*"]}, "actions"),
        ({"actions": ["pull", "admin"]}, "actions"),
        ({"audience": "x" * 256}, "audience"),
        ({"audience": "a\0b"}, "audience"),
        ({"images": "x" * 256}, "images"),
        ({"expires_at": dt.date(2020, 1, 1)}, "expires_at"),
    ],
)
def test_what_is_refused_changes_nothing(
    change: dict[str, Any], field: str, app: Any, alice: Any
) -> None:
    trust = services.create(alice, app, **TERMS)
    before = TrustedIssuer.objects.values().get()
    with pytest.raises(Invalid) as refused:
        services.create(alice, app, **TERMS | change)
    assert refused.value.message_dict.keys() == {field}
    with pytest.raises(Invalid):
        services.update(alice, trust, **change)
    assert TrustedIssuer.objects.values().get() == before
    assert ended() == []


def test_who_may(
    app: Any, alice: Any, bob: Any, carol: Any, mallory: Any, make_group: Any, make_project: Any
) -> None:
    group = app.namespace
    other = make_project("acme/other", owner=alice, maintainers=[bob], developers=[carol])
    services.create(bob, other, **TERMS)
    services.create(alice, group, **TERMS)
    trust = services.create(alice, other, **TERMS)
    for by, refusal in ((carol, Forbidden), (mallory, NotFound)):
        for attempt in (
            lambda by=by: services.create(by, other, **TERMS),
            lambda by=by: services.update(by, trust, name="x"),
            lambda by=by: services.revoke(by, trust),
            lambda by=by: list(services.trusts_of(by, other)),
            lambda by=by: services.get_for(by, other, trust.pk),
            lambda by=by: services.try_token(by, trust, "x"),
        ):
            with pytest.raises(refusal):
                attempt()
    with pytest.raises(Forbidden):
        services.create(bob, group, **TERMS)
    with pytest.raises(NotFound):
        services.create(alice, alice.namespace, **TERMS)
    with pytest.raises(NotFound):
        services.get_for(alice, app, trust.pk)
    assert TrustedIssuer.objects.count() == 3


def test_a_change_ends_what_it_gave(app: Any, alice: Any) -> None:
    trust = services.create(alice, app, **TERMS)
    services.update(alice, trust, name="GitHub", actions=["pull", "push"])
    assert ended() == []
    changed = services.update(alice, trust, actions=["pull"], images="web")
    assert (changed.actions, changed.images) == (["pull"], "web")
    assert ended() == [f"trusted_issuer:{trust.pk}"]
    event = AuditEvent.objects.get(action="trusted_issuer.update")
    assert event.details == {"name": "GitHub", "actions": ["pull"], "images": "web"}


def test_a_last_day_that_has_come_may_stay_while_the_rest_changes(app: Any, alice: Any) -> None:
    trust = services.create(alice, app, **TERMS)
    TrustedIssuer.objects.update(expires_at=timezone.now().date())
    assert services.update(alice, trust, name="Old").name == "Old"


def test_revoked_once_and_for_all(app: Any, alice: Any) -> None:
    trust = services.create(alice, app, **TERMS)
    services.revoke(alice, trust)
    services.revoke(alice, trust)
    assert ended() == [f"trusted_issuer:{trust.pk}"]
    assert AuditEvent.objects.filter(action="trusted_issuer.revoke").count() == 1
    with pytest.raises(Invalid):
        services.update(alice, trust, name="x")
    assert not services.trusts_of(alice, app, active=True).exists()
    assert services.trusts_of(alice, app, active=False).get() == trust


def test_there_is_an_end(app: Any, alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST", 2)
    first = services.create(alice, app, **TERMS)
    services.create(alice, app, **TERMS)
    with pytest.raises(Conflict):
        services.create(alice, app, **TERMS)
    services.revoke(alice, first)
    services.create(alice, app, **TERMS)


def test_trying_uses_nothing(app: Any, alice: Any, make_trust: Any, id_token: Any) -> None:
    trust = make_trust(app)
    taken = services.try_token(alice, trust, f" {id_token(big=[1] * 300)}\n")
    assert taken.refused == ""
    assert ("repository", "octo/app") in taken.claims
    assert max(len(value) for _, value in taken.claims) == 255
    refused = services.try_token(alice, trust, id_token(repository="octo/other"))
    assert "condition on repository" in refused.refused
    assert ("repository", "octo/other") in refused.claims
    assert services.try_token(alice, trust, "nonsense").claims == []
    assert not IdTokenUse.objects.exists()
    trust.refresh_from_db()
    assert trust.last_used_at is None


def test_the_database_refuses_one_of_nobody(app: Any) -> None:
    for where in ({}, {"project": app, "namespace": app.namespace}):
        with pytest.raises(IntegrityError), transaction.atomic():
            TrustedIssuer.objects.create(name="x", issuer="x", **where)
