"""Groups that are invited to groups and projects: who may do it, and what it ends."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.namespaces import group_links, members, services
from gitlab.namespaces.models import GroupLink, Member, Namespace
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from gitlab.revocations.models import Revocation
from tests.gitlab.namespaces.group_links.invited import day, invite, levels_of

pytestmark = pytest.mark.django_db


class TestInviting:
    def test_it_is_recorded(self, app: Any, guild: Any, alice: Any, bob: Any) -> None:
        link = group_links.share(alice, app, guild, 30, day(3))
        assert (link.group_access, link.expires_at, link.created_by) == (30, day(3), alice)
        event = AuditEvent.objects.get(action="group_link.create")
        assert (event.actor, event.project_pk) == (alice, app.pk)
        assert event.details == {"group": "guild", "level": 30, "expires_at": str(day(3))}
        assert levels_of(bob, app) == {30}
        assert not Revocation.objects.exists()

    @pytest.mark.parametrize(
        ("level", "of_project", "of_group"),
        [(10, False, False), (30, False, False), (40, True, False), (50, True, True)],
    )
    def test_who_may(
        self,
        app: Any,
        acme: Any,
        guild: Any,
        carol: Any,
        level: int,
        of_project: bool,
        of_group: bool,
    ) -> None:
        Member.objects.create(user=carol, namespace=acme, access_level=level)
        for place, may in ((app, of_project), (acme, of_group)):
            if may:
                group_links.share(carol, place, guild, 20)
                group_links.unshare(carol, place, guild.pk)
                continue
            with pytest.raises(Forbidden):
                group_links.share(carol, place, guild, 20)
            invite(place, guild, 20)
            with pytest.raises(Forbidden):
                group_links.unshare(carol, place, guild.pk)
        assert GroupLink.objects.count() == 2 - of_project - of_group

    def test_strangers_see_nothing(self, app: Any, guild: Any, mallory: Any) -> None:
        with pytest.raises(NotFound):
            group_links.share(mallory, app, guild, 20)

    def test_nobody_gives_more_than_they_have(self, app: Any, guild: Any, carol: Any) -> None:
        Member.objects.create(user=carol, project=app, access_level=40)
        with pytest.raises(Forbidden):
            group_links.share(carol, app, guild, 50)
        invite(app, guild, 50)
        with pytest.raises(Forbidden):
            group_links.unshare(carol, app, guild.pk)

    def test_by_an_invitation_one_invites_no_higher(
        self, app: Any, guild: Any, bob: Any, root: Any, make_group: Any
    ) -> None:
        Member.objects.filter(user=bob, namespace=guild).update(access_level=50)
        invite(app, guild, 40)
        other = make_group("other", owner=root)
        with pytest.raises(Forbidden):
            group_links.share(bob, app, other, 50)
        assert group_links.share(bob, app, other, 40)

    def test_one_has_to_see_the_group(
        self, app: Any, root: Any, alice: Any, make_group: Any
    ) -> None:
        secret = make_group("secret", owner=root, visibility="private")
        with pytest.raises(NotFound):
            group_links.share(alice, app, secret, 20)
        Member.objects.create(user=alice, namespace=secret, access_level=10)
        assert group_links.share(alice, app, secret, 20)

    @pytest.mark.parametrize("level", [0, 25, 60])
    def test_unknown_levels(self, app: Any, guild: Any, alice: Any, level: int) -> None:
        with pytest.raises(Invalid):
            group_links.share(alice, app, guild, level)

    def test_days_that_have_come(self, app: Any, guild: Any, alice: Any) -> None:
        with pytest.raises(Invalid):
            group_links.share(alice, app, guild, 30, day(0))

    def test_itself_and_those_above(self, app: Any, acme: Any, alice: Any, make_group: Any) -> None:
        inner = make_group("acme/inner", owner=alice)
        for place, group in ((acme, acme), (inner, acme), (app, acme)):
            with pytest.raises(Invalid, match="belongs here already"):
                group_links.share(alice, place, group, 30)
        # One below may be invited: its members are not members above.
        assert group_links.share(alice, acme, inner, 30)

    def test_the_database_refuses_itself(self, acme: Any) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            invite(acme, acme)

    def test_no_persons_namespace(self, app: Any, alice: Any, bob: Any) -> None:
        own = Namespace.objects.get(owner=alice)
        with pytest.raises((Invalid, NotFound)):
            group_links.share(alice, app, own, 30)
        with pytest.raises(Forbidden):
            group_links.share(alice, own, app.namespace, 30)

    def test_twice(self, app: Any, guild: Any, alice: Any) -> None:
        group_links.share(alice, app, guild, 30)
        with pytest.raises(Invalid) as refused:
            group_links.share(alice, app, guild, 40)
        assert refused.value.reason == "taken"
        assert GroupLink.objects.get().group_access == 30

    def test_one_that_is_gone(self, app: Any, guild: Any, alice: Any) -> None:
        Namespace.objects.filter(pk=guild.pk).update(pending_delete_at=timezone.now())
        with pytest.raises(NotFound):
            group_links.share(alice, app, guild, 30)

    def test_there_is_an_end(
        self,
        app: Any,
        acme: Any,
        guild: Any,
        alice: Any,
        root: Any,
        make_group: Any,
        monkeypatch: Any,
    ) -> None:
        monkeypatch.setattr(group_links, "MOST", 1)
        group_links.share(alice, app, guild, 30)
        with pytest.raises(Invalid, match="At most 1"):
            group_links.share(alice, app, make_group("other", owner=root), 30)
        monkeypatch.setattr(group_links, "MOST_ELSEWHERE", 1)
        with pytest.raises(Invalid, match="invited to 1"):
            group_links.share(alice, acme, guild, 30)

    def test_what_one_sees_of_them(
        self, app: Any, guild: Any, alice: Any, carol: Any, root: Any, make_group: Any
    ) -> None:
        secret = make_group("secret", owner=root, visibility="private")
        invite(app, guild)
        invite(app, secret)
        assert [link.group.full_path for link in group_links.links_of(alice, app)] == ["guild"]
        assert len(group_links.links_of(root, app)) == 2


class TestWhatEndsTokens:
    def told(self) -> list[tuple[str, str]]:
        return list(Revocation.objects.order_by("pk").values_list("subject", "path"))

    def test_taking_it_back(self, app: Any, guild: Any, alice: Any, bob: Any) -> None:
        invite(app, guild)
        group_links.unshare(alice, app, guild.pk)
        assert self.told() == [("", "acme/app")]
        assert levels_of(bob, app) == {0}
        assert AuditEvent.objects.get(action="group_link.delete").details == {"group": "guild"}
        with pytest.raises(NotFound):
            group_links.unshare(alice, app, guild.pk)

    def test_who_leaves_the_group(self, app: Any, guild: Any, root: Any, bob: Any) -> None:
        invite(app, guild)
        members.update_member(root, guild, bob, 20)
        assert self.told() == [("bob", "")]
        members.remove_member(root, guild, bob)
        assert self.told() == [("bob", "")] * 2

    def test_who_leaves_one_that_is_invited_nowhere(self, guild: Any, root: Any, bob: Any) -> None:
        members.remove_member(root, guild, bob)
        assert self.told() == [("bob", "guild")]

    def test_the_group_is_deleted(
        self, app: Any, acme: Any, guild: Any, root: Any, make_group: Any, enqueued: Any
    ) -> None:
        inner = make_group("guild/inner", owner=root)
        invite(app, guild)
        invite(acme, inner)
        services.delete_group(root, guild)
        assert {("", "guild"), ("", "acme"), ("", "acme/app")} <= set(self.told())

    def test_it_goes_with_the_group(self, app: Any, guild: Any) -> None:
        invite(app, guild)
        Namespace.objects.filter(pk=guild.pk).update(pending_delete_at=timezone.now())
        services.finish_deletions()
        assert not GroupLink.objects.exists()


class TestMembersWithAll:
    def test_each_once_with_the_highest(
        self, app: Any, guild: Any, alice: Any, bob: Any, root: Any
    ) -> None:
        invite(app, guild, 20)
        found = {one.user.username: one for one in members.members_of(app)}
        assert found.keys() == {"alice", "bob", "root"}
        assert (found["bob"].level, found["bob"].source) == (20, guild)
        assert found["bob"].is_invited
        assert found["bob"].is_inherited
        assert members.members_of(app, inherited=False) == []
        Member.objects.create(user=bob, project=app, access_level=20)
        found = {one.user.username: one for one in members.members_of(app)}
        assert (found["bob"].source, found["bob"].is_invited) == (app, False)

    def test_who_is_there_by_invitation_is_no_member_to_change(
        self, app: Any, guild: Any, alice: Any, bob: Any
    ) -> None:
        invite(app, guild)
        for change in (
            lambda: members.update_member(alice, app, bob, 20),
            lambda: members.remove_member(alice, app, bob),
            lambda: members.remove_member(bob, app, bob),
        ):
            with pytest.raises(NotFound):
                change()
        assert members.add_member(alice, app, bob, 20)

    def test_an_owner_by_invitation_keeps_no_group(
        self, acme: Any, guild: Any, alice: Any, bob: Any
    ) -> None:
        Member.objects.filter(user=bob, namespace=guild).update(access_level=50)
        invite(acme, guild, 50)
        with pytest.raises(Conflict):
            members.remove_member(bob, acme, alice)

    def test_a_list_costs_no_more_with_more(self, app: Any, guild: Any, make_person: Any) -> None:
        invite(app, guild)

        def queries_of() -> int:
            with CaptureQueriesContext(connection) as captured:
                members.members_of(app)
            return len(captured)

        few = queries_of()
        for number in range(5):
            user = make_person(f"p{number}")
            Member.objects.create(user=user, namespace=guild, access_level=30)
        assert queries_of() == few
