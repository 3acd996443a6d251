"""Changing paths and transferring: the rows here, the registry's names, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.namespaces import services
from gitlab.namespaces.models import Namespace, PathChange, Project, Route
from gitlab.path_changes import services as path_changes
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from tests.gitlab.path_changes.renaming import images, in_step, push

pytestmark = pytest.mark.django_db


class TestPathOfAProject:
    def test_it_works(self, alice: Any, web: Any, registry: Any) -> None:
        changed = path_changes.change_project_path(alice, web, path=" Shop ", registry=registry)

        assert (changed.full_path, changed.path, changed.name) == ("acme/shop", "shop", "web")
        assert registry.names == {"acme/shop", "acme/shop/cache/arm", "acme/web-2"}
        assert registry.asked == [
            ("acme/web", "acme/shop", True),
            ("acme/web", "acme/shop", False),
        ]
        assert images() == ["acme/shop", "acme/shop/cache/arm"]
        assert in_step()
        assert not PathChange.objects.exists()
        event = AuditEvent.objects.get(action="project.change_path")
        assert (event.actor, event.target_path) == (alice, "acme/shop")
        assert event.details == {"full_path": ["acme/web", "acme/shop"]}

    def test_bots_are_called_after_the_new_path(
        self, alice: Any, web: Any, registry: Any, make_access_token: Any
    ) -> None:
        bot = make_access_token(web)[0].user
        other = make_access_token(Project.objects.get(full_path="acme/web-2"))[0].user

        path_changes.change_project_path(alice, web, path="shop", registry=registry)

        bot.refresh_from_db()
        other.refresh_from_db()
        assert (bot.name, other.name) == ("token test of acme/shop", "token test of acme/web-2")

    def test_the_old_path_is_free(self, alice: Any, acme: Any, web: Any, registry: Any) -> None:
        path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert services.create_project(alice, namespace=acme, path="web").full_path == "acme/web"

    def test_one_that_holds_nothing(
        self, alice: Any, acme: Any, make_project: Any, registry: Any
    ) -> None:
        empty = make_project("acme/empty")

        path_changes.change_project_path(alice, empty, path="full", registry=registry)

        assert Project.objects.get(pk=empty.pk).full_path == "acme/full"

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("web", "there already"),
            ("web-2", "already taken"),
            ("", "lower-case"),
            ("a/b", "lower-case"),
            ("tags", "reserved"),
            ("x" * 245, "too long"),
            ("x" * 255, "longer than 255"),
        ],
    )
    def test_what_it_can_not_be(
        self, alice: Any, web: Any, registry: Any, path: Any, message: str
    ) -> None:
        with pytest.raises(Invalid, match=message) as refused:
            path_changes.change_project_path(alice, web, path=path, registry=registry)

        assert list(refused.value.message_dict) == ["path"]
        assert not registry.asked
        assert not PathChange.objects.exists()

    def test_who_may(
        self,
        bob: Any,
        carol: Any,
        mallory: Any,
        make_person: Any,
        acme: Any,
        web: Any,
        registry: Any,
    ) -> None:
        for who, refusal in [(bob, Forbidden), (mallory, NotFound), (None, NotFound)]:
            with pytest.raises(refusal):
                path_changes.change_project_path(who, web, path="shop", registry=registry)
        assert not registry.asked


class TestTransfer:
    @pytest.fixture
    def harbour(self, alice: Any, make_group: Any) -> Any:
        return make_group("harbour/deep", owner=alice, visibility="private")

    def test_it_works(self, alice: Any, web: Any, harbour: Any, registry: Any) -> None:
        moved = path_changes.transfer_project(alice, web, namespace=harbour, registry=registry)

        assert (moved.full_path, moved.namespace) == ("harbour/deep/web", harbour)
        assert registry.names == {
            "harbour/deep/web", "harbour/deep/web/cache/arm", "acme/web-2",
        }  # fmt: skip
        assert in_step()

    def test_to_oneself(self, alice: Any, web: Any, registry: Any) -> None:
        path_changes.transfer_project(alice, web, namespace=alice.namespace, registry=registry)

        assert in_step()
        assert images() == ["alice/web", "alice/web/cache/arm"]

    def test_nothing_becomes_more_visible_than_its_group(
        self, alice: Any, web: Any, harbour: Any, registry: Any
    ) -> None:
        web.visibility = "public"
        web.save()

        with pytest.raises(Invalid, match="more visible") as refused:
            path_changes.transfer_project(alice, web, namespace=harbour, registry=registry)

        assert list(refused.value.message_dict) == ["namespace"]

    def test_to_where_it_is(self, alice: Any, acme: Any, web: Any, registry: Any) -> None:
        with pytest.raises(Invalid, match="there already"):
            path_changes.transfer_project(alice, web, namespace=acme, registry=registry)

    def test_a_name_that_is_taken_there(
        self, alice: Any, web: Any, harbour: Any, make_project: Any, registry: Any
    ) -> None:
        make_project("harbour/deep/web")

        with pytest.raises(Invalid, match="already taken"):
            path_changes.transfer_project(alice, web, namespace=harbour, registry=registry)

    def test_who_may(
        self,
        alice: Any,
        bob: Any,
        make_person: Any,
        make_group: Any,
        make_project: Any,
        registry: Any,
    ) -> None:
        """An owner here, who may make projects there."""
        acme = make_group("acme", owner=alice, maintainers=[bob])
        theirs = make_group("theirs", owner=bob, visibility="public")
        web = make_project("acme/web")
        with pytest.raises(Forbidden):
            path_changes.transfer_project(bob, web, namespace=theirs, registry=registry)
        with pytest.raises(Forbidden):
            path_changes.transfer_project(alice, web, namespace=theirs, registry=registry)
        hidden = make_group("hidden", owner=bob, visibility="private")
        with pytest.raises(NotFound):
            path_changes.transfer_project(alice, web, namespace=hidden, registry=registry)
        assert acme
        assert not registry.asked

    def test_the_group_it_comes_to_stays_meanwhile(
        self, alice: Any, web: Any, harbour: Any, registry: Any
    ) -> None:
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.transfer_project(alice, web, namespace=harbour, registry=registry)

        with pytest.raises(Conflict, match="transferred into"):
            services.delete_group(alice, Namespace.objects.get(full_path="harbour"))


class TestTransferOfAGroup:
    @pytest.fixture
    def tools(self, alice: Any, web: Any, make_project: Any, make_image: Any, registry: Any) -> Any:
        make_image("acme/tools/ci/runner", of=make_project("acme/tools/ci"))
        registry.names.add("acme/tools/ci/runner")
        return Namespace.objects.get(full_path="acme/tools")

    def test_into_another(self, alice: Any, tools: Any, make_group: Any, registry: Any) -> None:
        deep = make_group("harbour/deep", owner=alice)

        moved = path_changes.transfer_group(alice, tools, parent=deep, registry=registry)

        assert (moved.full_path, moved.parent) == ("harbour/deep/tools", deep)
        assert in_step()
        assert set(images()) <= registry.names
        assert "harbour/deep/tools/ci/runner" in images()
        event = AuditEvent.objects.get(action="group.change_path")
        assert event.details == {"full_path": ["acme/tools", "harbour/deep/tools"]}

    def test_to_the_top_and_back(self, alice: Any, acme: Any, tools: Any, registry: Any) -> None:
        moved = path_changes.transfer_group(alice, tools, parent=None, registry=registry)
        assert (moved.full_path, moved.parent) == ("tools", None)
        assert in_step()

        moved = path_changes.transfer_group(alice, moved, parent=acme, registry=registry)
        assert moved.full_path == "acme/tools"
        assert in_step()
        assert set(images()) <= registry.names

    def test_what_can_not_be(
        self, alice: Any, acme: Any, tools: Any, make_group: Any, registry: Any
    ) -> None:
        inside = make_group("acme/tools/inside", owner=alice)
        taken = make_group("harbour", owner=alice)
        make_group("harbour/tools", owner=alice)
        private = make_group("secret", owner=alice, visibility="private")
        for group, parent, says in (
            (tools, tools, "into itself"),
            (tools, inside, "into itself"),
            (acme, tools, "into itself"),
            (tools, acme, "there already"),
            (acme, None, "there already"),
            (tools, taken, "already taken"),
            (tools, private, "more visible"),
            (tools, alice.namespace, "holds projects"),
        ):
            with pytest.raises(Invalid, match=says) as refused:
                path_changes.transfer_group(alice, group, parent=parent, registry=registry)
            assert list(refused.value.message_dict) == ["parent"]
        assert not registry.asked
        assert not PathChange.objects.exists()

    def test_below_subgroups_too_there_is_room_for_the_name_of_an_image(
        self, alice: Any, acme: Any, tools: Any, make_group: Any, registry: Any
    ) -> None:
        for call in (
            lambda: path_changes.change_group_path(alice, acme, path="x" * 196, registry=registry),
            lambda: path_changes.transfer_group(
                alice, acme, parent=make_group("x" * 190, owner=alice), registry=registry
            ),
        ):
            with pytest.raises(Invalid, match="too long"):
                call()
        assert not registry.asked
        assert not PathChange.objects.exists()
        path_changes.change_group_path(alice, acme, path="x" * 194, registry=registry)
        assert Namespace.objects.get(pk=tools.pk).full_path == "x" * 194 + "/tools"

    def test_reserved_at_the_top(self, alice: Any, acme: Any, make_group: Any) -> None:
        admin = make_group("acme/admin", owner=alice)
        with pytest.raises(Invalid, match="reserved"):
            path_changes.transfer_group(alice, admin, parent=None)

    def test_who_may(
        self, alice: Any, bob: Any, make_person: Any, make_group: Any, tools: Any, registry: Any
    ) -> None:
        """An owner here, who may make groups there."""
        theirs = make_group("theirs", owner=bob)
        for by, group, parent, refusal in (
            (bob, tools, theirs, Forbidden),
            (bob, tools, None, Forbidden),
            (alice, tools, theirs, Forbidden),
            (make_person("mallory"), theirs, None, Forbidden),
            (alice, alice.namespace, theirs, Forbidden),
        ):
            with pytest.raises(refusal):
                path_changes.transfer_group(by, group, parent=parent, registry=registry)
        hidden = make_group("hidden", owner=bob, visibility="private")
        with pytest.raises(NotFound):
            path_changes.transfer_group(alice, tools, parent=hidden, registry=registry)
        alice.external = True
        alice.save()
        with pytest.raises(Forbidden):
            path_changes.transfer_group(alice, tools, parent=None, registry=registry)
        assert not registry.asked

    def test_members_above_lose_it(
        self, alice: Any, bob: Any, tools: Any, make_group: Any, registry: Any
    ) -> None:
        harbour = make_group("harbour", owner=alice)
        assert push("bob", "acme/tools/ci/runner")
        path_changes.transfer_group(alice, tools, parent=harbour, registry=registry)
        assert push("bob", "harbour/tools/ci/runner") == []

    def test_left_half_way_the_worker_finishes(
        self, alice: Any, tools: Any, make_group: Any, registry: Any
    ) -> None:
        harbour = make_group("harbour", owner=alice)
        registry.lost = True
        with pytest.raises(RegistryUnavailable):
            path_changes.transfer_group(alice, tools, parent=harbour, registry=registry)
        assert Namespace.objects.get(pk=tools.pk).full_path == "acme/tools"
        registry.lost = False
        PathChange.objects.update(started_at=timezone.now() - path_changes.LEFT_ALONE * 2)
        assert path_changes.finish_all(registry) == 1
        assert in_step()
        assert Namespace.objects.get(pk=tools.pk).parent == harbour


class TestPathOfAGroup:
    @pytest.fixture
    def tools(self, alice: Any, web: Any, make_project: Any, make_image: Any) -> Any:
        make_image("acme/tools/ci/runner", of=make_project("acme/tools/ci"))
        return Namespace.objects.get(full_path="acme/tools")

    def test_at_the_top(self, alice: Any, acme: Any, tools: Any, registry: Any) -> None:
        registry.names.add("acme/tools/ci/runner")

        path_changes.change_group_path(alice, acme, path="harbour", registry=registry)

        assert in_step()
        assert images() == ["harbour/tools/ci/runner", "harbour/web", "harbour/web/cache/arm"]
        assert registry.names == {*images(), "harbour/web-2"}
        event = AuditEvent.objects.get(action="group.change_path")
        assert event.details == {"full_path": ["acme", "harbour"]}

    def test_below_another(self, alice: Any, acme: Any, tools: Any, registry: Any) -> None:
        path_changes.change_group_path(alice, tools, path="too", registry=registry)

        assert in_step()
        assert Project.objects.filter(full_path="acme/too/ci").exists()
        assert Namespace.objects.get(pk=acme.pk).full_path == "acme"

    def test_a_name_that_begins_alike_stays(
        self, alice: Any, acme: Any, make_group: Any, registry: Any
    ) -> None:
        make_group("acme-2")
        make_group("acme_x")

        path_changes.change_group_path(alice, acme, path="harbour", registry=registry)

        assert Namespace.objects.filter(full_path__in=["acme-2", "acme_x"]).count() == 2

    def test_reserved_at_the_top(self, alice: Any, acme: Any, registry: Any) -> None:
        with pytest.raises(Invalid, match="reserved"):
            path_changes.change_group_path(alice, acme, path="admin", registry=registry)

    def test_a_persons_own(self, alice: Any, registry: Any) -> None:
        with pytest.raises(Forbidden):
            path_changes.change_group_path(alice, alice.namespace, path="al", registry=registry)

    def test_who_may(self, bob: Any, acme: Any, make_person: Any, registry: Any) -> None:
        with pytest.raises(Forbidden):
            path_changes.change_group_path(bob, acme, path="x", registry=registry)

    def test_somebody_takes_the_name_at_the_last_moment(
        self, alice: Any, acme: Any, web: Any, registry: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The registry's names go back too."""
        monkeypatch.setattr(services.PathChange, "objects", PathChange.objects.none())

        def take() -> None:
            registry.during = lambda: None
            monkeypatch.undo()
            Namespace.objects.filter(full_path="bob").update(full_path="harbour")
            Route.objects.filter(full_path="bob").update(full_path="harbour")

        registry.during = take
        with pytest.raises(Invalid, match="already taken"):
            path_changes.change_group_path(alice, acme, path="harbour", registry=registry)

        assert registry.names == {"acme/web", "acme/web/cache/arm", "acme/web-2"}
        assert images() == ["acme/web", "acme/web/cache/arm"]
        assert not PathChange.objects.exists()


class TestRefusalsOfTheRegistry:
    @pytest.mark.parametrize(
        ("status", "message"),
        [(422, "More than 1,000"), (409, "belong to nothing here"), (400, "too long"),
         (404, "can't rename images"), (401, "refuses to rename")],
    )  # fmt: skip
    def test_are_explained_and_leave_no_trace(
        self, alice: Any, web: Any, registry: Any, status: int, message: str
    ) -> None:
        registry.refusal = RegistryRefused(status, "X", "why")

        with pytest.raises(Invalid, match=message):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not PathChange.objects.exists()
        assert Project.objects.get(pk=web.pk).full_path == "acme/web"

    def test_after_the_dry_run(self, alice: Any, web: Any, registry: Any) -> None:
        """Somebody has taken a name in between: the mark goes too."""
        registry.trouble = RegistryRefused(409, "DENIED", "the name acme/shop is taken")

        with pytest.raises(Conflict, match="belong to nothing here"):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not PathChange.objects.exists()
        assert push("bob", "acme/web")

    def test_one_without_this_api_and_nothing_to_rename(
        self, alice: Any, acme: Any, make_project: Any, registry: Any
    ) -> None:
        registry.refusal = RegistryRefused(404, "UNKNOWN", "404 page not found")
        empty = make_project("acme/empty")

        path_changes.change_project_path(alice, empty, path="full", registry=registry)

        assert Project.objects.get(pk=empty.pk).full_path == "acme/full"

    def test_where_it_is_off(
        self, alice: Any, acme: Any, make_project: Any, web: Any, registry: Any, settings: Any
    ) -> None:
        settings.CONTAINER_REGISTRY_ENABLED = False
        empty = make_project("acme/empty")

        path_changes.change_project_path(alice, empty, path="full", registry=registry)
        with pytest.raises(Conflict, match="is off"):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not registry.asked
