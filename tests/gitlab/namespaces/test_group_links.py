"""Groups that are invited to groups and projects: who is what by it, and who may do it.

Every way by which a level is found is held against the same rule, written down here once more.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.accounts import services as accounts
from gitlab.accounts.factors import standing
from gitlab.audit.models import AuditEvent
from gitlab.authorization.principals import JobPrincipal, PersonPrincipal
from gitlab.container_registry.image_paths import located
from gitlab.namespaces import group_links, loaders, members, queries, services, user_access
from gitlab.namespaces.models import AccessLevel, GroupLink, Member, Namespace, Project
from gitlab.namespaces.roles import Roles
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from gitlab.revocations.models import Revocation
from tests.people import PASSWORD, basic

pytestmark = pytest.mark.django_db

LEVELS = [level.value for level in AccessLevel]


def day(days: int) -> dt.date:
    return timezone.now().date() + dt.timedelta(days=days)


@pytest.fixture
def app(alice: Any, make_project: Any) -> Any:
    """A private project of Alice's group, which nobody else belongs to."""
    return make_project("acme/app", owner=alice)


@pytest.fixture
def acme(app: Any) -> Any:
    return app.namespace


@pytest.fixture
def guild(root: Any, bob: Any, make_group: Any) -> Any:
    """A group in which Bob develops."""
    return make_group("guild", owner=root, developers=[bob])


def invite(place: Any, group: Any, level: int = 30, ends: dt.date | None = None) -> GroupLink:
    where = {"project": place} if isinstance(place, Project) else {"namespace": place}
    return GroupLink.objects.create(group=group, group_access=level, expires_at=ends, **where)


def token_level(user: Any, path: str) -> int:
    """As the token endpoint sees it."""
    images = located([path])
    return PersonPrincipal(user, frozenset(["read"])).access_to(images.values())[path].level


def levels_of(user: Any, project: Any) -> set[int]:
    """What somebody is in a project, by each way in which it is asked: one, where all agree."""
    shown = {one.user.pk: int(one.level) for one in members.members_of(project)}
    annotated = members.with_levels(members.people_of(project), project).filter(pk=user.pk)
    lowest = [
        level for level in LEVELS if queries.projects_of(user, lowest=level).filter(pk=project.pk)
    ]
    return {
        user_access.in_project(user, project).level,
        Roles(user).level(project),
        token_level(user, f"{project.full_path}/web"),
        shown.get(user.pk, 0),
        annotated.values_list("level", flat=True).first() or 0,
        max(lowest, default=0),
    }


class TestTheLevel:
    @pytest.mark.parametrize("of_group", [True, False])
    def test_it_is_the_lower_of_both(
        self, app: Any, acme: Any, guild: Any, bob: Any, of_group: bool
    ) -> None:
        link = invite(acme if of_group else app, guild)
        for own, given in itertools.product(LEVELS, LEVELS):
            Member.objects.filter(user=bob, namespace=guild).update(access_level=own)
            GroupLink.objects.filter(pk=link.pk).update(group_access=given)
            assert levels_of(bob, app) == {min(own, given)}, (own, given)
            in_group = min(own, given) if of_group else 0
            assert user_access.in_namespace(bob, acme).level == in_group
            assert Roles(bob).level(acme) == in_group

    def test_it_holds_for_all_below(
        self, acme: Any, guild: Any, bob: Any, alice: Any, make_project: Any
    ) -> None:
        deep = make_project("acme/tools/inner/deep", owner=alice)
        invite(acme, guild, 20)
        assert levels_of(bob, deep) == {20}

    def test_and_not_above_nor_beside(
        self, app: Any, acme: Any, guild: Any, bob: Any, alice: Any, make_project: Any
    ) -> None:
        beside = make_project("acme/beside", owner=alice)
        invite(app, guild)
        assert levels_of(bob, beside) == {0}
        assert user_access.in_namespace(bob, acme).level == 0

    def test_the_highest_counts(
        self, app: Any, acme: Any, guild: Any, bob: Any, root: Any, make_group: Any
    ) -> None:
        other = make_group("other", owner=root, owners=[bob])
        invite(acme, guild, 20)
        invite(app, other, 40)
        assert levels_of(bob, app) == {40}
        Member.objects.create(user=bob, project=app, access_level=50)
        assert levels_of(bob, app) == {50}
        Member.objects.filter(project=app).update(access_level=10)
        assert levels_of(bob, app) == {40}

    def test_one_step_only(
        self, app: Any, guild: Any, root: Any, carol: Any, make_group: Any
    ) -> None:
        second = make_group("second", owner=root, owners=[carol])
        invite(guild, second, 50)
        invite(app, guild, 50)
        assert levels_of(carol, app) == {0}

    def test_two_that_invite_each_other(
        self, app: Any, acme: Any, guild: Any, alice: Any, bob: Any
    ) -> None:
        invite(acme, guild, 20)
        invite(guild, acme, 30)
        assert levels_of(bob, app) == {20}
        assert user_access.in_namespace(alice, guild).level == 30

    def test_direct_members_alone(
        self, app: Any, root: Any, bob: Any, carol: Any, make_group: Any
    ) -> None:
        inner = make_group("guild/inner", owner=root)
        deepest = make_group("guild/inner/deepest", owner=root, owners=[carol])
        Member.objects.create(user=bob, namespace=inner.parent, access_level=50)
        assert deepest.parent == inner
        invite(app, inner, 50)
        assert levels_of(bob, app) == levels_of(carol, app) == {0}

    @pytest.mark.parametrize(("days", "level"), [(-1, 0), (0, 0), (1, 30)])
    def test_until_its_last_day(
        self, app: Any, guild: Any, bob: Any, days: int, level: int
    ) -> None:
        invite(app, guild, 30, day(days))
        assert levels_of(bob, app) == {level}
        GroupLink.objects.update(expires_at=None)
        Member.objects.filter(user=bob, namespace=guild).update(expires_at=day(days))
        assert levels_of(bob, app) == {level}

    def test_not_by_a_group_that_is_being_deleted(self, app: Any, guild: Any, bob: Any) -> None:
        invite(app, guild)
        Namespace.objects.filter(pk=guild.pk).update(pending_delete_at=timezone.now())
        assert levels_of(bob, app) == {0}

    def test_not_for_bots(self, app: Any, guild: Any, make_access_token: Any) -> None:
        bot = make_access_token(guild, level=50)[0].user
        invite(app, guild, 50)
        assert user_access.in_namespace(bot, guild).level == 50
        assert levels_of(bot, app) == {0}
        assert not loaders._belongs_below(bot, app.namespace)
        assert not queries.groups_visible_to(bot).filter(visibility="private").exists()

    def test_not_for_who_is_blocked(self, app: Any, guild: Any, bob: Any) -> None:
        invite(app, guild)
        accounts.block(bob, by=None)
        bob.refresh_from_db()
        with pytest.raises(NotFound):
            loaders.get_project_for(bob, app.full_path)

    def test_in_somebodys_own_namespace(
        self, guild: Any, alice: Any, bob: Any, make_project: Any
    ) -> None:
        own = make_project("alice/own", owner=alice)
        invite(own, guild, 20)
        assert levels_of(bob, own) == {20}


@dataclass
class World:
    """Random groups, projects, members and invitations, and the rule once more."""

    groups: dict[str, Any] = field(default_factory=dict)
    projects: dict[str, Any] = field(default_factory=dict)
    memberships: dict[tuple[int, str], int] = field(default_factory=dict)
    links: list[tuple[str, str, int]] = field(default_factory=list)

    def level(self, user: Any, path: str) -> int:
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        found = [self.memberships.get((user.pk, place), 0) for place in above]
        for group, place, level in self.links:
            if place in above:
                found.append(min(level, self.memberships.get((user.pk, group), 0)))
        return max(found)


def make_world(
    seed: int, people: list[Any], root: Any, make_group: Any, make_project: Any
) -> World:
    chance, world = random.Random(seed), World()
    for path in ("a", "a/b", "a/b/c", "d", "d/e", "f"):
        world.groups[path] = make_group(path, owner=root, visibility="private")
    for path in ("a/p", "a/b/p", "a/b/c/p", "d/e/p", "f/p"):
        world.projects[path] = make_project(path, owner=root)
    places = {**world.groups, **world.projects}
    for user, path in itertools.product(people, places):
        if chance.random() < 0.2:
            level = chance.choice(LEVELS)
            place = places[path]
            where = {"project": place} if path in world.projects else {"namespace": place}
            Member.objects.create(user=user, access_level=level, **where)
            world.memberships[user.pk, path] = level
    for group, path in itertools.product(world.groups, places):
        if group != path and chance.random() < 0.2:
            level = chance.choice(LEVELS)
            invite(places[path], world.groups[group], level)
            world.links.append((group, path, level))
    return world


@pytest.mark.parametrize("seed", range(4))
def test_all_ways_agree(
    seed: int, bob: Any, carol: Any, mallory: Any, root: Any, make_group: Any, make_project: Any
) -> None:
    people = [bob, carol, mallory]
    world = make_world(seed, people, root, make_group, make_project)
    for user in people:
        for path, project in world.projects.items():
            assert levels_of(user, project) == {world.level(user, path)}, (user, path)
        for path, group in world.groups.items():
            level = world.level(user, path)
            assert user_access.in_namespace(user, group).level == level
            assert queries.groups_of(user).filter(pk=group.pk).exists() == bool(level)
            belongs = any(world.level(user, one) for one in world.projects if one.startswith(path))
            belongs |= any(
                world.level(user, one) for one in world.groups if one.startswith(f"{path}/")
            )
            seen = queries.groups_visible_to(user).filter(pk=group.pk).exists()
            assert seen == (bool(level) or belongs), (user, path)
            try:
                loaders.get_group_for(user, path)
            except NotFound:
                assert not seen
            else:
                assert seen
        readable = set(
            queries.projects_with_readable_images(user).values_list("full_path", flat=True)
        )
        assert readable == {path for path in world.projects if world.level(user, path) >= 20}
    for path, project in world.projects.items():
        highest = members.members_of(project)
        shown = [(one.user, one.level) for one in highest[:3]]
        assert members.highest_of(project, 3) == shown, path
        assert {one.user for one in highest} == set(members.people_of(project))


class TestWhatOneGets:
    """By every door."""

    SCOPE = "repository:acme/app/web:pull,push,delete"

    @pytest.mark.parametrize(
        ("level", "page", "settings_page", "actions"),
        [
            (10, 200, 403, ""),
            (20, 200, 403, "pull"),
            (30, 200, 403, "pull,push"),
            (40, 200, 200, "pull,push,delete"),
            (50, 200, 200, "pull,push,delete"),
        ],
    )
    def test_by_level(
        self, app: Any, guild: Any, bob: Any, make_token: Any,
        level: int, page: int, settings_page: int, actions: str,
    ) -> None:  # fmt: skip
        Member.objects.filter(user=bob, namespace=guild).update(access_level=50)
        client = Client()
        client.force_login(bob)
        text = make_token(bob, "api")

        def answers() -> list[Any]:
            api = client.get(f"/api/v4/projects/{app.pk}", HTTP_PRIVATE_TOKEN=text)
            return [
                client.get("/acme/app").status_code,
                client.get("/acme/app/edit").status_code,
                api.status_code,
                self.token_of(bob),
            ]

        assert answers() == [404, 404, 404, set()]
        link = invite(app, guild, level)
        assert answers() == [page, settings_page, page, set(filter(None, actions.split(",")))]
        link.delete()
        assert answers() == [404, 404, 404, set()]

    def token_of(self, user: Any) -> set[str]:
        """What the token endpoint grants by a password."""
        answer = Client().get(
            "/jwt/auth",
            {"service": "container_registry", "scope": self.SCOPE},
            HTTP_AUTHORIZATION=basic(user.username, PASSWORD),
        )
        assert answer.status_code == 200, answer.content
        found = jwt.decode(answer.json()["token"], options={"verify_signature": False})
        return {action for access in found["access"] for action in access["actions"]}

    def test_a_token_lives_no_longer_than_the_invitation(
        self, app: Any, guild: Any, bob: Any
    ) -> None:
        def until() -> Any:
            images = located(["acme/app/web"])
            principal = PersonPrincipal(bob, frozenset(["read"]))
            return principal.access_to(images.values())["acme/app/web"].until

        link = invite(app, guild, 30)
        assert until() is None
        GroupLink.objects.filter(pk=link.pk).update(expires_at=day(5))
        assert until() == day(5)
        Member.objects.filter(user=bob, namespace=guild).update(expires_at=day(2))
        assert until() == day(2)

    def test_a_job_is_what_its_person_is(self, app: Any, guild: Any, bob: Any) -> None:
        images = located(["acme/app/web"])

        def level() -> int:
            return JobPrincipal(bob, app.pk).access_to(images.values())["acme/app/web"].level

        assert level() == 0
        invite(app, guild, 20)
        assert level() == 20
        GroupLink.objects.update(group_access=30)
        assert level() == 40

    def test_the_token_endpoint_asks_no_more(
        self, app: Any, guild: Any, bob: Any, django_assert_num_queries: Any
    ) -> None:
        images = located(["acme/app/web", "acme/app/api"])
        principal = PersonPrincipal(bob, frozenset(["read"]))
        with django_assert_num_queries(1):
            principal.access_to(images.values())
        invite(app, guild)
        with django_assert_num_queries(1):
            principal.access_to(images.values())

    def test_a_page_asks_one_query_for_the_level(
        self, app: Any, guild: Any, bob: Any, django_assert_num_queries: Any
    ) -> None:
        invite(app, guild)
        with django_assert_num_queries(1):
            user_access.in_project(bob, app)
        with django_assert_num_queries(1):
            Roles(bob)

    def test_a_second_factor_is_asked_of_them_too(self, app: Any, guild: Any, bob: Any) -> None:
        def required() -> bool:
            found = standing.read_along(type(bob).objects.filter(pk=bob.pk)).get()
            return found.group_grace is not None

        Namespace.objects.filter(full_path="acme").update(require_two_factor_authentication=True)
        assert not required()
        link = invite(app, guild)
        assert required()
        GroupLink.objects.filter(pk=link.pk).update(expires_at=day(0))
        assert not required()


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
