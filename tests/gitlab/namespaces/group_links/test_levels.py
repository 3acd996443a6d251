"""Groups that are invited to groups and projects: who is what by it.

Every way by which a level is found is held against the same rule, written down here once more.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from django.test import Client
from django.utils import timezone

from gitlab.accounts import services as accounts
from gitlab.accounts.factors import standing
from gitlab.authorization.principals import JobPrincipal, PersonPrincipal
from gitlab.container_registry.image_paths import located
from gitlab.namespaces import loaders, members, queries, user_access
from gitlab.namespaces.models import GroupLink, Member, Namespace
from gitlab.namespaces.roles import Roles
from gitlab.refusals import NotFound
from tests.gitlab.namespaces.group_links.invited import LEVELS, day, invite, levels_of
from tests.people import PASSWORD, basic

pytestmark = pytest.mark.django_db


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
