"""The rules about images."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from gitlab.audit.models import AuditEvent
from gitlab.container_registry import deletion, repositories, tags
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.image_paths import image_paths
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs import enqueue
from gitlab.namespaces.policies import Ability
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound

pytestmark = pytest.mark.django_db


def test_a_path_belongs_to_the_deepest_project(
    make_group: Any, make_project: Any, django_assert_num_queries: Any
) -> None:
    app = make_project("acme/tools/app")
    group = app.namespace
    with django_assert_num_queries(2):
        found = image_paths(
            [
                "acme/tools/app",
                "acme/tools/app/a/b",
                "acme/tools/app/a/b/c",
                "acme/tools/new/a/b",
                "acme/tools/new/a/b/c",
                "acme/tools",
                "nobody/x",
            ]
        )
    assert set(found) == {"acme/tools/app", "acme/tools/app/a/b", "acme/tools/new/a/b"}
    assert found["acme/tools/app"].project.id == app.pk
    assert found["acme/tools/app"].rest == ""
    assert found["acme/tools/app/a/b"].rest == "a/b"
    new = found["acme/tools/new/a/b"]
    assert (new.project, new.new_project, new.namespace.id) == (None, "new", group.pk)
    assert new.project_path == "acme/tools/new"
    assert new.root_namespace_id == group.parent_id


def test_loading_hides_and_forbids(
    bob: Any, mallory: Any, make_project: Any, make_image: Any
) -> None:
    make_project("acme/app", developers=[bob])
    image = make_image("acme/app")
    found = repositories.get_container_repository_for(bob, image.pk, project="acme/app")
    assert Ability.PUSH_IMAGE in found.project.abilities
    with pytest.raises(Forbidden):
        repositories.get_container_repository_for(bob, image.pk, Ability.ADMIN_IMAGE)
    with pytest.raises(NotFound):
        repositories.get_container_repository_for(mallory, image.pk)
    with pytest.raises(NotFound):
        repositories.get_container_repository_for(bob, image.pk, project="acme/other")


def test_the_row_is_the_queue(
    alice: Any,
    bob: Any,
    make_project: Any,
    make_image: Any,
    enqueued: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    make_project("acme/app", owner=alice, developers=[bob])
    image = make_image("acme/app")
    with pytest.raises(Forbidden):
        deletion.schedule(bob, image)
    with django_capture_on_commit_callbacks(execute=True):
        deletion.schedule(alice, image)
        deletion.schedule(alice, image)
    image.refresh_from_db()
    assert (image.status, image.deleted_by) == ("delete_scheduled", alice)
    assert enqueued == [(deletion.TASK, image.pk)]
    assert AuditEvent.objects.filter(action="container_repository.schedule_deletion").count() == 1


def test_a_bell_that_nobody_hears_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def send_task(self, *args: Any, **kwargs: Any) -> None:
            raise ConnectionError("no broker")

    monkeypatch.setattr(enqueue, "_app", Broken)
    enqueue.now("workers.tasks.sweep_deletions")
    assert "no broker" in caplog.text


def test_a_failed_deletion_is_tried_again(root: Any, make_image: Any) -> None:
    image = make_image("alice/app", status="delete_failed", failed_deletion_count=5)
    assert deletion.retry(root, ContainerRepository.objects.all()) == 1
    image.refresh_from_db()
    assert (image.status, image.failed_deletion_count) == ("delete_scheduled", 0)
    assert deletion.retry(root, ContainerRepository.objects.all()) == 0


def test_deleting_tags(
    alice: Any, bob: Any, carol: Any, make_project: Any, make_image: Any, fake_registry: Any
) -> None:
    make_project("acme/app", owner=alice, developers=[bob], reporters=[carol])
    image = make_image("acme/app")
    one = tags.delete_tags(bob, image, ["v1"], registry=fake_registry)
    assert one.deleted == ["v1"]
    with pytest.raises(Forbidden):
        tags.delete_tags(carol, image, ["v2"], registry=fake_registry)
    many = tags.delete_tags(bob, image, ["v1", "v2", "v2"], registry=fake_registry)
    assert (many.deleted, many.missing) == (["v2"], ["v1"])
    with pytest.raises(Invalid):
        tags.delete_tags(alice, image, [], registry=fake_registry)
    recorded = AuditEvent.objects.filter(action="tag.delete").order_by("pk")
    assert [event.details for event in recorded] == [{"tags": ["v1"]}, {"tags": ["v2"]}]


def test_tags_that_the_registry_keeps(
    alice: Any, make_project: Any, make_image: Any, fake_registry: Any
) -> None:
    make_project("acme/app", owner=alice)
    image = make_image("acme/app")
    fake_registry.trouble = RegistryRefused(405, "DENIED", "no")
    outcome = tags.delete_tags(alice, image, ["v1"], registry=fake_registry)
    assert outcome.refused == {"v1": "no"}
    image.status = "delete_scheduled"
    with pytest.raises(Conflict):
        tags.delete_tags(alice, image, ["v1"], registry=fake_registry)


def test_a_list_with_what_the_registry_knows(
    alice: Any, make_project: Any, make_image: Any, fake_registry: Any
) -> None:
    app = make_project("alice/app", owner=alice)
    for path in ("alice/app", "alice/app/a", "alice/app/b"):
        make_image(path, of=app)
    fake_registry.images = {"alice/app": 10, "alice/app/b": 20}
    found = repositories.list_for(app, limit=2, registry=fake_registry)
    assert [one.details and one.details.size_bytes for one in found.images] == [10, None]
    assert found.page.next_after == "alice/app/a"
    fake_registry.trouble = RegistryUnavailable("away")
    found = repositories.list_for(app, after="alice/app/a", registry=fake_registry)
    assert [one.repository.path for one in found.images] == ["alice/app/b"]
    assert (found.trouble, found.page.next_after) == ("away", "")


def test_the_database_refuses_the_worst(make_image: Any) -> None:
    image = make_image("alice/app")
    wrong = [
        lambda rows: rows.update(status="delete_ongoing"),
        lambda rows: rows.update(status="gone"),
        lambda rows: rows.update(path="Alice/App"),
        lambda rows: rows.update(lease="00000000-0000-0000-0000-000000000001"),
        lambda rows: ContainerRepository.objects.create(project=image.project, path="x", name=""),
        lambda rows: image.project.delete(),
    ]
    for change in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            change(ContainerRepository.objects.filter(pk=image.pk))
