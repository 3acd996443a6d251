"""Changing paths and transferring: the rows here, the registry's names, and what breaks between."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.container_registry import undo
from gitlab.container_registry.authorizer import GitLabAuthorizer
from gitlab.container_registry.client import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import path_changes, services
from gitlab.namespaces.errors import Conflict, Forbidden, Invalid, NotFound
from gitlab.namespaces.models import Namespace, PathChange, Project, Route
from tests.gitlab.factories import PASSWORD
from tokens.access import Access
from tokens.authorizer import AccessForbidden
from workers import deletion, tasks

pytestmark = pytest.mark.django_db


class NamesOnly:
    """A registry that knows names. `refusal` and `trouble` come before, `lost` after the work."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.asked: list[tuple[str, str, bool]] = []
        self.refusal: Exception | None = None
        self.trouble: Exception | None = None
        self.lost = False
        self.during: Callable[[], Any] = lambda: None

    def rename(self, path: str, new_path: str, *, dry_run: bool = False) -> bool:
        self.asked.append((path, new_path, dry_run))
        if self.refusal:
            raise self.refusal
        if dry_run:
            return any(self._below(path))
        if self.trouble:
            raise self.trouble
        self.during()
        moved = self._below(path)
        self.names -= moved
        self.names |= {new_path + name[len(path) :] for name in moved}
        if self.lost:
            raise RegistryUnavailable("the answer was lost")
        return bool(moved)

    def _below(self, path: str) -> set[str]:
        return {name for name in self.names if name == path or name.startswith(f"{path}/")}


@pytest.fixture
def acme(alice, bob, make_group):
    return make_group("acme", owner=alice, developers=[bob])


@pytest.fixture
def web(acme, make_project, make_image):
    project = make_project("acme/web")
    make_image("acme/web", of=project)
    make_image("acme/web/cache/arm", of=project)
    make_project("acme/web-2")
    return project


@pytest.fixture
def registry():
    return NamesOnly("acme/web", "acme/web/cache/arm", "acme/web-2")


def images() -> list[str]:
    return sorted(ContainerRepository.objects.values_list("path", flat=True))


def in_step() -> bool:
    """Whether every full path agrees with the place that the row has in the tree."""
    for namespace in Namespace.objects.select_related("parent"):
        above = f"{namespace.parent.full_path}/" if namespace.parent else ""
        assert namespace.full_path == above + namespace.path
        assert Route.objects.get(namespace=namespace).full_path == namespace.full_path
    for project in Project.objects.select_related("namespace"):
        assert project.full_path == f"{project.namespace.full_path}/{project.path}"
        assert Route.objects.get(project=project).full_path == project.full_path
    for row in ContainerRepository.objects.select_related("project"):
        assert row.path == f"{row.project.full_path}/{row.name}".rstrip("/")
    return True


def push(who: str, *paths: str) -> list[str]:
    """What somebody's push to these is granted."""
    authorizer = GitLabAuthorizer()
    identity = authorizer.authenticate(who, PASSWORD, address="")
    asked = [Access.parse(f"repository:{path}:pull,push") for path in paths]
    return [str(a) for a in authorizer.record(identity, authorizer.authorize(identity, asked))]


class TestPathOfAProject:
    def test_it_works(self, alice, web, registry):
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

    def test_the_old_path_is_free(self, alice, acme, web, registry):
        path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert services.create_project(alice, namespace=acme, path="web").full_path == "acme/web"

    def test_one_that_holds_nothing(self, alice, acme, make_project, registry):
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
    def test_what_it_can_not_be(self, alice, web, registry, path, message):
        with pytest.raises(Invalid, match=message) as refused:
            path_changes.change_project_path(alice, web, path=path, registry=registry)

        assert list(refused.value.message_dict) == ["path"]
        assert not registry.asked
        assert not PathChange.objects.exists()

    def test_who_may(self, bob, carol, mallory, make_person, acme, web, registry):
        for who, refusal in [(bob, Forbidden), (mallory, NotFound), (None, NotFound)]:
            with pytest.raises(refusal):
                path_changes.change_project_path(who, web, path="shop", registry=registry)
        assert not registry.asked


class TestTransfer:
    @pytest.fixture
    def harbour(self, alice, make_group):
        return make_group("harbour/deep", owner=alice, visibility="private")

    def test_it_works(self, alice, web, harbour, registry):
        moved = path_changes.transfer_project(alice, web, namespace=harbour, registry=registry)

        assert (moved.full_path, moved.namespace) == ("harbour/deep/web", harbour)
        assert registry.names == {
            "harbour/deep/web", "harbour/deep/web/cache/arm", "acme/web-2",
        }  # fmt: skip
        assert in_step()

    def test_to_oneself(self, alice, web, registry):
        path_changes.transfer_project(alice, web, namespace=alice.namespace, registry=registry)

        assert in_step()
        assert images() == ["alice/web", "alice/web/cache/arm"]

    def test_nothing_becomes_more_visible_than_its_group(self, alice, web, harbour, registry):
        web.visibility = "public"
        web.save()

        with pytest.raises(Invalid, match="more visible") as refused:
            path_changes.transfer_project(alice, web, namespace=harbour, registry=registry)

        assert list(refused.value.message_dict) == ["namespace"]

    def test_to_where_it_is(self, alice, acme, web, registry):
        with pytest.raises(Invalid, match="there already"):
            path_changes.transfer_project(alice, web, namespace=acme, registry=registry)

    def test_a_name_that_is_taken_there(self, alice, web, harbour, make_project, registry):
        make_project("harbour/deep/web")

        with pytest.raises(Invalid, match="already taken"):
            path_changes.transfer_project(alice, web, namespace=harbour, registry=registry)

    def test_who_may(self, alice, bob, make_person, make_group, make_project, registry):
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

    def test_the_group_it_comes_to_stays_meanwhile(self, alice, web, harbour, registry):
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.transfer_project(alice, web, namespace=harbour, registry=registry)

        with pytest.raises(Conflict, match="transferred into"):
            services.delete_group(alice, Namespace.objects.get(full_path="harbour"))


class TestPathOfAGroup:
    @pytest.fixture
    def tools(self, alice, web, make_project, make_image):
        make_image("acme/tools/ci/runner", of=make_project("acme/tools/ci"))
        return Namespace.objects.get(full_path="acme/tools")

    def test_at_the_top(self, alice, acme, tools, registry):
        registry.names.add("acme/tools/ci/runner")

        path_changes.change_group_path(alice, acme, path="harbour", registry=registry)

        assert in_step()
        assert images() == ["harbour/tools/ci/runner", "harbour/web", "harbour/web/cache/arm"]
        assert registry.names == {*images(), "harbour/web-2"}
        event = AuditEvent.objects.get(action="group.change_path")
        assert event.details == {"full_path": ["acme", "harbour"]}

    def test_below_another(self, alice, acme, tools, registry):
        path_changes.change_group_path(alice, tools, path="too", registry=registry)

        assert in_step()
        assert Project.objects.filter(full_path="acme/too/ci").exists()
        assert Namespace.objects.get(pk=acme.pk).full_path == "acme"

    def test_a_name_that_begins_alike_stays(self, alice, acme, make_group, registry):
        make_group("acme-2")
        make_group("acme_x")

        path_changes.change_group_path(alice, acme, path="harbour", registry=registry)

        assert Namespace.objects.filter(full_path__in=["acme-2", "acme_x"]).count() == 2

    def test_reserved_at_the_top(self, alice, acme, registry):
        with pytest.raises(Invalid, match="reserved"):
            path_changes.change_group_path(alice, acme, path="admin", registry=registry)

    def test_a_persons_own(self, alice, registry):
        with pytest.raises(Forbidden):
            path_changes.change_group_path(alice, alice.namespace, path="al", registry=registry)

    def test_who_may(self, bob, acme, make_person, registry):
        with pytest.raises(Forbidden):
            path_changes.change_group_path(bob, acme, path="x", registry=registry)

    def test_somebody_takes_the_name_at_the_last_moment(
        self, alice, acme, web, registry, monkeypatch
    ):
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
    def test_are_explained_and_leave_no_trace(self, alice, web, registry, status, message):
        registry.refusal = RegistryRefused(status, "X", "why")

        with pytest.raises(Invalid, match=message):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not PathChange.objects.exists()
        assert Project.objects.get(pk=web.pk).full_path == "acme/web"

    def test_after_the_dry_run(self, alice, web, registry):
        """Somebody has taken a name in between: the mark goes too."""
        registry.trouble = RegistryRefused(409, "DENIED", "the name acme/shop is taken")

        with pytest.raises(Conflict, match="belong to nothing here"):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not PathChange.objects.exists()
        assert push("bob", "acme/web")

    def test_one_without_this_api_and_nothing_to_rename(self, alice, acme, make_project, registry):
        registry.refusal = RegistryRefused(404, "UNKNOWN", "404 page not found")
        empty = make_project("acme/empty")

        path_changes.change_project_path(alice, empty, path="full", registry=registry)

        assert Project.objects.get(pk=empty.pk).full_path == "acme/full"

    def test_where_it_is_off(self, alice, acme, make_project, web, registry, settings):
        settings.CONTAINER_REGISTRY_ENABLED = False
        empty = make_project("acme/empty")

        path_changes.change_project_path(alice, empty, path="full", registry=registry)
        with pytest.raises(Conflict, match="is off"):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not registry.asked


class TestRetries:
    def test_it_does_not_answer_the_dry_run(self, alice, web, registry):
        registry.refusal = RegistryUnavailable("down")

        with pytest.raises(RegistryUnavailable):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not PathChange.objects.exists()

    @pytest.mark.parametrize("finisher", ["person", "worker"])
    @pytest.mark.parametrize("failure", ["before", "after", "signature"])
    def test_somebody_finishes(self, alice, web, registry, failure, finisher):
        if failure == "after":
            registry.lost = True
        elif failure == "before":
            registry.trouble = RegistryUnavailable("down")
        else:
            registry.trouble = RegistryRefused(401, "UNAUTHORIZED", "another certificate")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)
        assert images() == ["acme/web", "acme/web/cache/arm"]

        registry.lost, registry.trouble = False, None
        if finisher == "person":
            path_changes.change_project_path(alice, web, path="shop", registry=registry)
        else:
            assert path_changes.finish_all(registry) == 0, "whoever asked may still be at it"
            PathChange.objects.update(started_at=timezone.now() - dt.timedelta(minutes=2))
            assert path_changes.finish_all(registry) == 1

        assert in_step()
        assert images() == ["acme/shop", "acme/shop/cache/arm"]
        assert registry.names == {*images(), "acme/web-2"}
        assert not PathChange.objects.exists()
        assert AuditEvent.objects.get(action="project.change_path").actor == alice

    def test_another_wish_waits(self, alice, acme, web, registry):
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        with pytest.raises(Conflict, match="finish that first"):
            path_changes.change_project_path(alice, web, path="other", registry=registry)
        with pytest.raises(Conflict, match="is being renamed"):
            path_changes.change_group_path(alice, acme, path="harbour", registry=registry)

    def test_nothing_in_a_group_changes_while_the_group_does(self, alice, acme, web, registry):
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_group_path(alice, acme, path="harbour", registry=registry)

        with pytest.raises(Conflict, match="is being renamed"):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)
        with pytest.raises(Conflict, match="is being renamed"):
            path_changes.transfer_project(alice, web, namespace=alice.namespace, registry=registry)

    def test_the_worker_gives_up_what_is_refused(self, alice, web, registry):
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)
        PathChange.objects.update(started_at=timezone.now() - dt.timedelta(minutes=2))

        registry.trouble = RegistryRefused(409, "DENIED", "taken")
        assert path_changes.finish_all(registry) == 0

        assert not PathChange.objects.exists()
        assert images() == ["acme/web", "acme/web/cache/arm"]

    def test_the_task(self, monkeypatch):
        called = []
        monkeypatch.setattr(path_changes, "finish_all", lambda: called.append(1))
        tasks.finish_path_changes()
        assert called


class TestMeanwhile:
    @pytest.fixture
    def left(self, alice, web, registry):
        """A change that the registry did not answer to."""
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)
        registry.trouble = None
        return registry

    def test_nobody_pushes(self, web, left):
        for path in ("acme/web", "acme/web/new"):
            with pytest.raises(AccessForbidden, match="being renamed"):
                push("bob", path)
        assert push("bob", "acme/web-2") == ["repository:acme/web-2:pull,push"]

    def test_a_pull_goes_on(self, web, left):
        authorizer = GitLabAuthorizer()
        identity = authorizer.authenticate("bob", PASSWORD, address="")
        asked = [Access.parse("repository:acme/web:pull")]
        assert [str(a) for a in authorizer.authorize(identity, asked)] == [str(asked[0])]

    def test_the_new_path_is_kept_free(self, alice, acme, web, left):
        with pytest.raises(Invalid, match="already taken"):
            services.create_project(alice, namespace=acme, path="shop")
        assert push("bob", "acme/shop") == []
        assert not Project.objects.filter(full_path="acme/shop").exists()

    def test_nobody_pushes_in_a_group_that_changes(self, alice, acme, web, registry):
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_group_path(alice, acme, path="harbour", registry=registry)
        for path in ("acme/web", "acme/brand-new"):
            with pytest.raises(AccessForbidden, match="being renamed"):
                push("bob", path)

    def test_a_deletion_waits(self, alice, web, left, fake_registry):
        row = ContainerRepository.objects.get(path="acme/web")
        ContainerRepository.objects.filter(pk=row.pk).update(status="delete_scheduled")

        assert deletion.delete_repository(row.pk, fake_registry) is deletion.Outcome.LATER
        assert not fake_registry.batches
        row.refresh_from_db()
        assert (row.status, row.failed_deletion_count, row.lease) == ("delete_scheduled", 0, None)

        path_changes.change_project_path(alice, web, path="shop", registry=left)
        ContainerRepository.objects.filter(pk=row.pk).update(next_attempt_at=None)
        assert deletion.delete_repository(row.pk, fake_registry) is deletion.Outcome.DONE
        assert fake_registry.batches == [("acme/shop", 100)]

    def test_it_waits_for_a_deletion_under_way(self, alice, web, registry):
        row = ContainerRepository.objects.get(path="acme/web/cache/arm")
        ContainerRepository.objects.filter(pk=row.pk).update(status="delete_scheduled")
        assert deletion.take(row.pk)

        with pytest.raises(Conflict, match="is being deleted"):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not PathChange.objects.exists()
        assert ("acme/web", "acme/shop", False) not in registry.asked

    def test_a_first_push_that_was_decided_before(self, web, registry, alice, bob):
        """Its row would have the old path: it is left out, and the client asks again."""
        from gitlab.container_registry import repositories

        stale = Project.objects.get(pk=web.pk)
        path_changes.change_project_path(alice, web, path="shop", registry=registry)
        with pytest.raises(NotFound):
            repositories.note(stale, "acme/web/late", by=bob)
        assert in_step()

    def test_a_project_that_is_made_in_a_group_meanwhile(self, alice, acme, web, registry):
        registry.during = lambda: services.create_project(alice, namespace=acme, path="late")
        path_changes.change_group_path(alice, acme, path="harbour", registry=registry)
        assert Project.objects.filter(full_path="harbour/late").exists()
        assert in_step()


def test_an_image_deleted_before_comes_back_under_the_new_path(alice, web, registry):
    class Remembering:
        """Knows no image by name, and brings back what it is asked for."""

        back: list[tuple[str, int]] = []

        def repository(self, path: str, *, size: bool = True) -> Any:
            return None

        def restore_repository(self, path: str, pk: int, *, by: str = "") -> None:
            self.back.append((path, pk))

    row = ContainerRepository.objects.get(path="acme/web/cache/arm")
    ticket = undo.signing.dumps(
        {"row": row.pk, "project": web.pk, "name": "cache/arm", "registry": 7},
        salt="berth.undo.image", compress=True,
    )  # fmt: skip
    pk = row.pk
    row.delete()
    changed = path_changes.change_project_path(alice, web, path="shop", registry=registry)

    back = undo.restore_image(alice, changed, pk, ticket, registry=Remembering())

    assert back.path == "acme/shop/cache/arm"
    assert Remembering.back == [("acme/shop/cache/arm", 7)]
