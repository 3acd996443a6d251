"""Invitations by mail: made, accepted, declined, withdrawn, over."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from gitlab.accounts import services as accounts
from gitlab.accounts.models import User
from gitlab.audit.models import AuditEvent
from gitlab.invitations import services
from gitlab.invitations.models import Invitation
from gitlab.mail import services as mails
from gitlab.mail.models import Message
from gitlab.namespaces import members
from gitlab.namespaces.models import Member
from gitlab.refusals import Forbidden, Invalid, NotFound, TooMany
from tests.gitlab.invitations.links import GUEST, token

pytestmark = pytest.mark.django_db


def actions() -> list[str]:
    events = AuditEvent.objects.filter(action__startswith="invitation.").order_by("pk")
    return list(events.values_list("action", flat=True))


def invited(by: Any, to: Any, level: int = 30, **more: Any) -> str:
    """The token of a new invitation."""
    services.invite(by, to, GUEST, level, **more)
    return token()


def over(invitation: Invitation) -> None:
    Invitation.objects.filter(pk=invitation.pk).update(ends_at=timezone.now())


def test_somebody_accepts(alice: Any, bob: Any, app: Any) -> None:
    found = services.accept(invited(alice, app), bob)
    member = Member.objects.get(user=bob, project=app)
    assert (member.access_level, member.created_by) == (30, alice)
    assert not Invitation.objects.exists()
    assert found.routable == app
    event = AuditEvent.objects.get(action="invitation.accept")
    assert (event.actor, event.project_pk) == (bob, app.pk)
    assert event.details == {"email": GUEST, "invited_by": "alice"}
    added = AuditEvent.objects.filter(action="member.add").latest("pk")
    assert (added.actor, added.details["invited_by"]) == (bob, "alice")


def test_the_mail_has_the_link_and_nothing_else_has(alice: Any, app: Any) -> None:
    secret = invited(alice, app)
    row = Invitation.objects.get()
    assert secret not in str(vars(row))
    mails.send_due()
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == ([GUEST], "You are invited to acme/app")
    assert secret in sent.body
    assert "Alice (@alice) asks you to be Developer of the project acme/app" in sent.body
    assert Message.objects.get().text == "", "what lets somebody in is not kept"
    assert not AuditEvent.objects.filter(details__icontains=secret).exists()


def test_it_counts_once(alice: Any, bob: Any, carol: Any, app: Any) -> None:
    secret = invited(alice, app)
    services.accept(secret, bob)
    with pytest.raises(NotFound):
        services.accept(secret, carol)
    assert not Member.objects.filter(user=carol).exists()


def test_a_new_person_accepts(alice: Any, root: Any, app: Any) -> None:
    secret = invited(root, app, 20)
    user = services.sign_up(
        secret, username="dora", password="seven herons at low tide", name="Dora"
    )
    assert (user.email, user.name, user.state) == (GUEST, "Dora", "active")
    assert Member.objects.get(user=user).access_level == 20
    assert user.namespace.full_path == "dora"


def test_who_makes_accounts(alice: Any, root: Any, app: Any, settings: Any) -> None:
    secret = invited(alice, app)
    what: Any = {"username": "dora", "password": "seven herons at low tide"}
    with pytest.raises(Forbidden):
        services.sign_up(secret, **what)
    assert not User.objects.filter(username="dora").exists()
    invitation = Invitation.objects.get()
    for name in ("INVITATIONS_MAKE_ACCOUNTS", "SIGNUP_ENABLED"):
        assert not services.makes_account(invitation)
        setattr(settings, name, True)
        assert services.makes_account(invitation)
        setattr(settings, name, False)


def test_a_name_that_is_taken_uses_nothing_up(root: Any, bob: Any, app: Any) -> None:
    secret = invited(root, app)
    with pytest.raises(Invalid):
        services.sign_up(secret, username="bob", password="seven herons at low tide")
    assert services.find(secret).email == GUEST


def test_an_address_that_somebody_has(alice: Any, bob: Any, app: Any, settings: Any) -> None:
    """It reads as any other until somebody has the link, who may accept it by their account."""
    settings.SIGNUP_ENABLED = True
    services.invite(alice, app, "bob@example.com", 30)
    with pytest.raises(Invalid, match="Somebody has this address"):
        services.sign_up(token(), username="bobby", password="seven herons at low tide")
    services.accept(token(), bob)
    assert Member.objects.filter(user=bob).exists()


def test_somebody_declines(alice: Any, app: Any) -> None:
    secret = invited(alice, app)
    services.decline(secret, None)
    with pytest.raises(NotFound):
        services.find(secret)
    assert actions() == ["invitation.create", "invitation.decline"]


def test_it_is_withdrawn(alice: Any, app: Any) -> None:
    secret = invited(alice, app)
    services.withdraw(alice, services.get_for(alice, app, GUEST.upper()))
    with pytest.raises(NotFound):
        services.find(secret)
    assert actions() == ["invitation.create", "invitation.withdraw"]


def test_it_is_sent_again(alice: Any, bob: Any, app: Any) -> None:
    first = invited(alice, app)
    before = Invitation.objects.get()
    Invitation.objects.update(ends_at=timezone.now() + dt.timedelta(hours=1))
    services.send_again(alice, before)
    assert token() != first
    with pytest.raises(NotFound):
        services.find(first)
    assert Invitation.objects.get().ends_at >= before.ends_at
    services.accept(token(), bob)
    assert actions() == ["invitation.create", "invitation.send", "invitation.accept"]


def test_it_is_changed(alice: Any, bob: Any, app: Any) -> None:
    secret = invited(alice, app)
    day = timezone.now().date() + dt.timedelta(days=9)
    services.change(alice, Invitation.objects.get(), 20, day)
    services.accept(secret, bob)
    member = Member.objects.get(user=bob)
    assert (member.access_level, member.expires_at) == (20, day)
    event = AuditEvent.objects.get(action="invitation.update")
    assert event.details["level"] == [30, 20]


def test_its_time_is_over(alice: Any, app: Any) -> None:
    secret = invited(alice, app)
    over(Invitation.objects.get())
    with pytest.raises(NotFound):
        services.find(secret)
    assert list(services.invitations_of(alice, app)) == []
    assert services.sweep() == 1
    assert services.sweep() == 0
    assert not Invitation.objects.exists()
    assert actions() == ["invitation.create", "invitation.expire"]


def test_one_that_is_over_makes_room(alice: Any, app: Any) -> None:
    invited(alice, app)
    over(Invitation.objects.get())
    services.invite(alice, app, GUEST, 20)
    assert Invitation.objects.get().access_level == 20


def test_a_membership_that_would_have_ended(alice: Any, bob: Any, app: Any) -> None:
    secret = invited(alice, app)
    Invitation.objects.update(expires_at=timezone.now().date())
    with pytest.raises(NotFound):
        services.accept(secret, bob)


@pytest.mark.parametrize("level", [None, 10, 30])
def test_who_may_not_invite_any_more_has_invited_nobody(
    alice: Any, bob: Any, carol: Any, app: Any, level: int | None
) -> None:
    """Else who leaves could come back by a second address of theirs."""
    members.add_member(alice, app, bob, 40)
    secret = invited(bob, app, 40)
    if level is None:
        members.remove_member(alice, app, bob)
    else:
        members.update_member(alice, app, bob, level)
    with pytest.raises(NotFound):
        services.accept(secret, carol)
    assert not Member.objects.filter(user=carol).exists()


def test_nor_has_who_is_blocked(alice: Any, bob: Any, carol: Any, app: Any) -> None:
    members.add_member(alice, app, bob, 40)
    secret = invited(bob, app)
    accounts.block(bob, by=None)
    with pytest.raises(NotFound):
        services.find(secret)


def test_nobody_gives_more_than_they_have(alice: Any, bob: Any, app: Any) -> None:
    members.add_member(alice, app, bob, 40)
    with pytest.raises(Forbidden):
        services.invite(bob, app, GUEST, 50)
    services.invite(alice, app, GUEST, 50)
    invitation = Invitation.objects.get()
    for refused in (
        lambda: services.withdraw(bob, invitation),
        lambda: services.change(bob, invitation, 30),
        lambda: services.send_again(bob, invitation),
    ):
        with pytest.raises(Forbidden):
            refused()


def test_who_may_invite(alice: Any, bob: Any, mallory: Any, app: Any) -> None:
    members.add_member(alice, app, bob, 30)
    with pytest.raises(Forbidden):
        services.invite(bob, app, GUEST, 10)
    with pytest.raises(NotFound):
        services.invite(mallory, app, GUEST, 10)
    assert not Message.objects.exists()


@pytest.mark.parametrize("email", ["", "dora", "dora@", "a b@example.com", "x@y.z\nbcc: all@x.org"])
def test_what_is_no_address(alice: Any, app: Any, email: str) -> None:
    with pytest.raises(Invalid):
        services.invite(alice, app, email, 30)


def test_who_is_a_member_already(alice: Any, bob: Any, app: Any) -> None:
    members.add_member(alice, app, bob, 30)
    secret = invited(alice, app)
    with pytest.raises(Invalid, match="member already"):
        services.accept(secret, bob)


def test_where_none_are_sent(alice: Any, app: Any, settings: Any) -> None:
    settings.INVITATION_EXPIRY = dt.timedelta(0)
    with pytest.raises(Invalid, match="Nobody is invited"):
        services.invite(alice, app, GUEST, 30)
    settings.INVITATION_EXPIRY = dt.timedelta(days=1)
    settings.MAIL_ENABLED = False
    with pytest.raises(Invalid, match="Nobody is invited"):
        services.invite(alice, app, GUEST, 30)


def test_how_many_there_are(alice: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST", 1)
    invited(alice, app)
    with pytest.raises(Invalid, match="invited already"):
        services.invite(alice, app, GUEST, 30)
    with pytest.raises(TooMany):
        services.invite(alice, app, "other@example.org", 30)
    services.invite(alice, app.namespace, GUEST, 30)


def test_an_address_is_not_flooded(alice: Any, app: Any) -> None:
    invited(alice, app)
    invitation = Invitation.objects.get()
    for _ in range(9):
        services.send_again(alice, invitation)
    with pytest.raises(TooMany):
        services.send_again(alice, invitation)
    assert Message.objects.count() == 10


def test_what_is_gone_invites_nobody(alice: Any, app: Any) -> None:
    secret = invited(alice, app)
    type(app).objects.update(pending_delete_at=timezone.now())
    with pytest.raises(NotFound):
        services.find(secret)


def test_a_link_that_was_made_up(db: None) -> None:
    with pytest.raises(NotFound):
        services.find("x" * 43)
