"""Members, their levels, and lists of what people see."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab import pagination
from gitlab.audit.models import AuditEvent
from gitlab.namespaces import members, queries, user_access
from gitlab.namespaces.models import Member, Namespace
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound

pytestmark = pytest.mark.django_db


def test_levels_are_inherited_and_the_highest_counts(
    bob: Any, make_group: Any, make_project: Any, django_assert_num_queries: Any
) -> None:
    make_group("acme", reporters=[bob])
    make_group("acme/tools", maintainers=[bob])
    app = make_project("acme/tools/app", guests=[bob])
    other = make_project("acme/other")
    with django_assert_num_queries(1):
        assert user_access.in_project(bob, app).level == 40
    assert user_access.in_project(bob, other).level == 20


def test_an_expired_membership_does_not_count(bob: Any, make_project: Any) -> None:
    app = make_project("acme/app", owners=[bob])
    Member.objects.filter(user=bob).update(expires_at=timezone.now().date())
    assert user_access.in_project(bob, app).level == 0
    assert bob not in [one.user for one in members.members_of(app)]


def test_nobody_gives_more_than_they_have(
    alice: Any, bob: Any, carol: Any, mallory: Any, make_project: Any
) -> None:
    app = make_project("acme/app", owner=alice, maintainers=[bob], developers=[carol])
    with pytest.raises(Forbidden):
        members.add_member(bob, app, mallory, 50)
    with pytest.raises(Forbidden):
        members.add_member(carol, app, mallory, 10)
    assert members.add_member(bob, app, mallory, 40).created_by == bob
    with pytest.raises(Invalid):
        members.add_member(bob, app, mallory, 20)
    with pytest.raises(Invalid):
        members.update_member(bob, app, mallory, 35)
    with pytest.raises(NotFound):
        members.update_member(bob, app, alice, 20)


def test_a_maintainer_cant_touch_an_owner(
    alice: Any, bob: Any, carol: Any, make_project: Any
) -> None:
    app = make_project("acme/app", owner=alice, maintainers=[bob], owners=[carol])
    with pytest.raises(Forbidden):
        members.update_member(bob, app, carol, 20)
    with pytest.raises(Forbidden):
        members.remove_member(bob, app, carol)
    members.remove_member(alice, app, carol)


def test_the_last_owner_of_a_group_stays(alice: Any, bob: Any, root: Any, make_group: Any) -> None:
    acme = make_group("acme", owner=alice, developers=[bob])
    for attempt in (
        lambda: members.remove_member(alice, acme, alice),
        lambda: members.remove_member(root, acme, alice),
        lambda: members.update_member(alice, acme, alice, 40),
        lambda: members.update_member(
            alice, acme, alice, 50, timezone.now().date() + dt.timedelta(days=3)
        ),
    ):
        with pytest.raises(Conflict):
            attempt()
    members.update_member(alice, acme, bob, 50)
    members.remove_member(alice, acme, alice)
    with pytest.raises(NotFound):
        members.remove_member(bob, acme, alice)


def test_everybody_may_leave(bob: Any, carol: Any, make_group: Any) -> None:
    acme = make_group("acme", developers=[bob, carol])
    members.remove_member(bob, acme, bob)
    with pytest.raises(Forbidden):
        members.remove_member(carol, acme, Member.objects.get(access_level=50).user)


def test_a_personal_namespace_has_no_members(alice: Any, bob: Any) -> None:
    with pytest.raises(Forbidden):
        members.add_member(alice, alice.namespace, bob, 30)


def test_an_expiry_is_in_the_future(alice: Any, bob: Any, make_group: Any) -> None:
    with pytest.raises(Invalid) as refused:
        members.add_member(alice, make_group("acme"), bob, 30, timezone.now().date())
    assert refused.value.message_dict.keys() == {"expires_at"}


def test_a_list_says_where_a_membership_comes_from(
    alice: Any, bob: Any, carol: Any, make_group: Any, make_project: Any
) -> None:
    acme = make_group("acme", owner=alice, developers=[bob])
    app = make_project("acme/app", owner=alice, maintainers=[bob], reporters=[carol])
    found = [(one.user, one.level, one.source, one.is_inherited) for one in members.members_of(app)]
    assert found == [
        (alice, 50, acme, True),
        (bob, 40, app, False),
        (carol, 20, app, False),
    ]
    own = make_project("alice/mine", owner=alice)
    assert [(one.user, one.level) for one in members.members_of(own)] == [(alice, 50)]


def _paths(rows: Any) -> Any:
    return [row.full_path for row in rows]


def test_what_people_see(
    alice: Any,
    bob: Any,
    mallory: Any,
    root: Any,
    make_person: Any,
    make_group: Any,
    make_project: Any,
) -> None:
    make_group("acme", owner=alice)
    make_project("acme/private", owner=alice, reporters=[bob])
    make_project("acme/internal", owner=alice, visibility="internal")
    make_project("acme/public", owner=alice, visibility="public")
    make_project("alice/mine", owner=alice)
    eve = make_person("eve", external=True)

    everything = ["acme/internal", "acme/private", "acme/public", "alice/mine"]
    assert _paths(queries.projects_visible_to(alice)) == everything
    assert _paths(queries.projects_visible_to(root)) == everything
    assert _paths(queries.projects_visible_to(bob)) == everything[:3]
    assert _paths(queries.projects_visible_to(mallory)) == ["acme/internal", "acme/public"]
    assert _paths(queries.projects_visible_to(eve)) == ["acme/public"]
    assert _paths(queries.projects_visible_to(None)) == ["acme/public"]
    assert _paths(queries.projects_of(bob)) == ["acme/private"]
    assert _paths(queries.projects_of(alice, search="MINE")) == ["alice/mine"]
    assert _paths(queries.projects_of(None)) == []


def test_a_page_goes_on_after_its_last_row(alice: Any, make_project: Any) -> None:
    for name in "cab":
        make_project(f"alice/{name}", owner=alice)
    first = pagination.page(queries.projects_of(alice), "full_path", limit=2)
    assert _paths(first.rows) == ["alice/a", "alice/b"]
    second = pagination.page(
        queries.projects_of(alice), "full_path", after=first.next_after, limit=2
    )
    assert (_paths(second.rows), second.next_after) == (["alice/c"], "")


def test_groups_of_somebody(
    alice: Any, bob: Any, mallory: Any, make_group: Any, make_project: Any
) -> None:
    make_group("acme/a/b", owner=alice, visibility="private")
    make_group("zeta", owner=alice, visibility="private")
    group = Namespace.objects.get(full_path="acme/a")
    Member.objects.create(user=bob, namespace=group, access_level=30)
    assert _paths(queries.groups_of(bob)) == ["acme/a", "acme/a/b"]
    assert _paths(queries.groups_visible_to(bob)) == ["acme", "acme/a", "acme/a/b"]
    assert _paths(queries.groups_visible_to(bob, top_only=True)) == ["acme"]
    assert _paths(queries.groups_visible_to(mallory)) == []
    assert _paths(queries.namespaces_to_create_in(bob)) == ["bob", "acme/a", "acme/a/b"]


def test_what_has_ended_leaves_by_itself(
    alice: Any, bob: Any, carol: Any, make_project: Any
) -> None:
    app = make_project("acme/app", owner=alice, developers=[bob, carol])
    today = timezone.now().date()
    Member.objects.filter(user=bob).update(expires_at=today)
    Member.objects.filter(user=carol).update(expires_at=today + dt.timedelta(days=1))
    assert members.end_expired() == 1
    assert members.end_expired() == 0
    assert set(app.members.values_list("user__username", flat=True)) == {"carol"}
    event = AuditEvent.objects.get(action="member.expire")
    assert (event.actor, event.project_pk, event.person_pk) == (None, app.pk, bob.pk)
    assert event.details == {"member": "bob", "level": 30, "expires_at": str(today)}


def test_it_leaves_a_few_at_a_time(alice: Any, bob: Any, carol: Any, make_project: Any) -> None:
    make_project("acme/app", owner=alice, developers=[bob, carol])
    Member.objects.filter(user__in=[bob, carol]).update(expires_at=timezone.now().date())
    assert members.end_expired(1) == 1
    assert members.end_expired(5) == 1


def test_one_whose_day_is_moved_meanwhile_stays(alice: Any, bob: Any, make_project: Any) -> None:
    make_project("acme/app", owner=alice, developers=[bob])
    today = timezone.now().date()
    member = Member.objects.get(user=bob)
    assert members._expire(member.pk, today) is False
    assert Member.objects.filter(user=bob).exists()


def test_the_members_of_bots_end_with_their_tokens(
    alice: Any, make_project: Any, make_access_token: Any
) -> None:
    bot = make_access_token(make_project("acme/app", owner=alice))[0].user
    Member.objects.filter(user=bot).update(expires_at=timezone.now().date())
    assert members.end_expired() == 0
