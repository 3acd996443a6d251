"""Changing paths where something fails in between, and what others do meanwhile."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from gitlab.audit.models import AuditEvent
from gitlab.authorization.authorizer import GitLabAuthorizer
from gitlab.container_registry import deletion, undo
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs.leases import Outcome
from gitlab.namespaces import services
from gitlab.namespaces.models import PathChange, Project
from gitlab.path_changes import services as path_changes
from gitlab.refusals import Conflict, Invalid, NotFound
from tests.gitlab.path_changes.renaming import images, in_step, push
from tests.people import PASSWORD
from tokens.access import Access
from tokens.authorizer import AccessForbidden
from workers import tasks

pytestmark = pytest.mark.django_db


class TestRetries:
    def test_it_does_not_answer_the_dry_run(self, alice: Any, web: Any, registry: Any) -> None:
        registry.refusal = RegistryUnavailable("down")

        with pytest.raises(RegistryUnavailable):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not PathChange.objects.exists()

    @pytest.mark.parametrize("finisher", ["person", "worker"])
    @pytest.mark.parametrize("failure", ["before", "after", "signature"])
    def test_somebody_finishes(
        self, alice: Any, web: Any, registry: Any, failure: str, finisher: str
    ) -> None:
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

    def test_another_wish_waits(self, alice: Any, acme: Any, web: Any, registry: Any) -> None:
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        with pytest.raises(Conflict, match="finish that first"):
            path_changes.change_project_path(alice, web, path="other", registry=registry)
        with pytest.raises(Conflict, match="is being renamed"):
            path_changes.change_group_path(alice, acme, path="harbour", registry=registry)

    def test_nothing_in_a_group_changes_while_the_group_does(
        self, alice: Any, acme: Any, web: Any, registry: Any
    ) -> None:
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_group_path(alice, acme, path="harbour", registry=registry)

        with pytest.raises(Conflict, match="is being renamed"):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)
        with pytest.raises(Conflict, match="is being renamed"):
            path_changes.transfer_project(alice, web, namespace=alice.namespace, registry=registry)

    def test_the_worker_gives_up_what_is_refused(self, alice: Any, web: Any, registry: Any) -> None:
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)
        PathChange.objects.update(started_at=timezone.now() - dt.timedelta(minutes=2))

        registry.trouble = RegistryRefused(409, "DENIED", "taken")
        assert path_changes.finish_all(registry) == 0

        assert not PathChange.objects.exists()
        assert images() == ["acme/web", "acme/web/cache/arm"]

    def test_the_task(self, monkeypatch: pytest.MonkeyPatch) -> None:
        called = []
        monkeypatch.setattr(path_changes, "finish_all", lambda: called.append(1))
        tasks.finish_path_changes()
        assert called


class TestMeanwhile:
    @pytest.fixture
    def left(self, alice: Any, web: Any, registry: Any) -> Any:
        """A change that the registry did not answer to."""
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)
        registry.trouble = None
        return registry

    def test_nobody_pushes(self, web: Any, left: Any) -> None:
        for path in ("acme/web", "acme/web/new"):
            with pytest.raises(AccessForbidden, match="being renamed"):
                push("bob", path)
        assert push("bob", "acme/web-2") == ["repository:acme/web-2:pull,push"]

    def test_a_pull_goes_on(self, web: Any, left: Any) -> None:
        authorizer = GitLabAuthorizer()
        identity = authorizer.authenticate("bob", PASSWORD, address="")
        asked = [Access.parse("repository:acme/web:pull")]
        assert [str(a) for a in authorizer.authorize(identity, asked)] == [str(asked[0])]

    def test_the_new_path_is_kept_free(self, alice: Any, acme: Any, web: Any, left: Any) -> None:
        with pytest.raises(Invalid, match="already taken"):
            services.create_project(alice, namespace=acme, path="shop")
        assert push("bob", "acme/shop") == []
        assert not Project.objects.filter(full_path="acme/shop").exists()

    def test_nobody_pushes_in_a_group_that_changes(
        self, alice: Any, acme: Any, web: Any, registry: Any
    ) -> None:
        registry.trouble = RegistryUnavailable("down")
        with pytest.raises(RegistryUnavailable):
            path_changes.change_group_path(alice, acme, path="harbour", registry=registry)
        for path in ("acme/web", "acme/brand-new"):
            with pytest.raises(AccessForbidden, match="being renamed"):
                push("bob", path)

    def test_a_deletion_waits(self, alice: Any, web: Any, left: Any, fake_registry: Any) -> None:
        row = ContainerRepository.objects.get(path="acme/web")
        ContainerRepository.objects.filter(pk=row.pk).update(status="delete_scheduled")

        assert deletion.delete_repository(row.pk, fake_registry) is Outcome.LATER
        assert not fake_registry.batches
        row.refresh_from_db()
        assert (row.status, row.failed_deletion_count, row.lease) == ("delete_scheduled", 0, None)

        path_changes.change_project_path(alice, web, path="shop", registry=left)
        ContainerRepository.objects.filter(pk=row.pk).update(next_attempt_at=None)
        assert deletion.delete_repository(row.pk, fake_registry) is Outcome.DONE
        assert fake_registry.batches == [("acme/shop", 100)]

    def test_it_waits_for_a_deletion_under_way(self, alice: Any, web: Any, registry: Any) -> None:
        row = ContainerRepository.objects.get(path="acme/web/cache/arm")
        ContainerRepository.objects.filter(pk=row.pk).update(status="delete_scheduled")
        assert deletion.take(row.pk)

        with pytest.raises(Conflict, match="is being deleted"):
            path_changes.change_project_path(alice, web, path="shop", registry=registry)

        assert not PathChange.objects.exists()
        assert ("acme/web", "acme/shop", False) not in registry.asked

    def test_a_first_push_that_was_decided_before(
        self, web: Any, registry: Any, alice: Any, bob: Any
    ) -> None:
        """Its row would have the old path: it is left out, and the client asks again."""
        from gitlab.container_registry import repositories

        stale = Project.objects.get(pk=web.pk)
        path_changes.change_project_path(alice, web, path="shop", registry=registry)
        with pytest.raises(NotFound):
            repositories.note(stale, "acme/web/late", by=bob)
        assert in_step()

    def test_a_project_that_is_made_in_a_group_meanwhile(
        self, alice: Any, acme: Any, web: Any, registry: Any
    ) -> None:
        registry.during = lambda: services.create_project(alice, namespace=acme, path="late")
        path_changes.change_group_path(alice, acme, path="harbour", registry=registry)
        assert Project.objects.filter(full_path="harbour/late").exists()
        assert in_step()


def test_an_image_deleted_before_comes_back_under_the_new_path(
    alice: Any, web: Any, registry: Any
) -> None:
    class Remembering:
        """Knows no image by name, and brings back what it is asked for."""

        back: list[tuple[str, int]] = []

        @property
        def own(self) -> Any:
            return self

        def repository(self, path: str, *, size: bool = True) -> Any:
            return None

        def restore_repository(
            self, path: str, pk: int, *, by: str = "", project: int | None = None, rules: Any = None
        ) -> None:
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
