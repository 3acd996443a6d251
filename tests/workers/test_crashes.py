"""F08: a worker that dies between the registry's answer and what it writes of it."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from gitlab.container_registry import bulk_deletion, deletion
from gitlab.container_registry.client.responses import TagDetails, TagsPage
from gitlab.container_registry.layers import jobs as file_jobs
from gitlab.container_registry.layers.models import FileJob
from gitlab.container_registry.models import BulkTagDeletion, ContainerRepository
from gitlab.jobs import crash_points, leases
from gitlab.jobs.leases import Outcome
from gitlab.mail import services as mail
from gitlab.mail.models import Message
from tests.gitlab.container_registry.layers.archives import digest_of, of_files


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_what_a_dead_worker_had_deleted_is_finished_by_another(
    make_image: Any, fake_registry: Any, settings: Any
) -> None:
    row = make_image("alice/app", status="delete_scheduled")
    pid = os.fork()
    if pid == 0:
        try:
            connections["default"].connection = None  # Not closed: it is the parent's.
            settings.CRASH_AT = "image_deleted"
            deletion.delete_repository(row.pk, fake_registry)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == crash_points.EXIT_CODE
    assert deletion.delete_repository(row.pk, fake_registry) is Outcome.NOT_OURS
    long_ago = timezone.now() - leases.STALE - dt.timedelta(seconds=1)
    ContainerRepository.objects.update(lease_renewed_at=long_ago)
    assert deletion.due() == [row.pk]
    assert deletion.delete_repository(row.pk, fake_registry) is Outcome.DONE
    assert not ContainerRepository.objects.exists()


class _Registry:
    """Tags in a file, so that what a dead worker has deleted is deleted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for number in range(150):
            (folder / f"v{number:03}").touch()

    def tags(self, path: str, *, n: int, last: str, sort: str) -> TagsPage:
        names = sorted(file.name for file in self.folder.iterdir())
        return TagsPage([TagDetails(name, "sha256:x", "") for name in names])

    def delete_tag(self, path: str, tag: str, *, by: str = "") -> bool:
        there = (self.folder / tag).exists()
        (self.folder / tag).unlink(missing_ok=True)
        return there


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_tags_that_a_dead_worker_has_left_are_deleted_by_another(
    make_image: Any, alice: Any, settings: Any, tmp_path: Path, enqueued: Any
) -> None:
    registry: Any = _Registry(tmp_path)
    job = bulk_deletion.schedule(alice, make_image("alice/app"), name_regex_delete=".*")
    pid = os.fork()
    if pid == 0:
        try:
            connections["default"].connection = None  # Not closed: it is the parent's.
            settings.CRASH_AT = "tags_deleted"
            bulk_deletion.run(job.pk, registry)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == crash_points.EXIT_CODE
    assert len(list(tmp_path.iterdir())) == 50
    assert bulk_deletion.run(job.pk, registry) is Outcome.NOT_OURS
    long_ago = timezone.now() - leases.STALE - dt.timedelta(seconds=1)
    BulkTagDeletion.objects.update(lease_renewed_at=long_ago)
    assert bulk_deletion.run(job.pk, registry) is Outcome.DONE
    assert not list(tmp_path.iterdir())
    job.refresh_from_db()
    assert (job.status, job.deleted_count) == ("finished", 150)


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_mail_that_a_dead_worker_has_sent_comes_once_more_at_most(
    alice: Any, settings: Any, tmp_path: Path, enqueued: Any
) -> None:
    settings.MAIL_ENABLED = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    row = mail.queue(alice, "Hello", "there")
    assert row is not None
    pid = os.fork()
    if pid == 0:
        try:
            connections["default"].connection = None  # Not closed: it is the parent's.
            settings.CRASH_AT = "mail_sent"
            mail.send_due()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == crash_points.EXIT_CODE
    assert mail.send_due() == 0
    Message.objects.update(due_at=timezone.now())
    assert mail.send_due() == 1
    Message.objects.update(due_at=timezone.now())
    assert mail.send_due() == 0
    sent = "".join(file.read_text() for file in tmp_path.iterdir())
    assert sent.count(f"Message-ID: <berth-{row.pk}-") == 2


class _Layers:
    """Two layers; which were sent stands in files, for what a dead worker has read."""

    def __init__(self, folder: Path, layers: dict[str, bytes]) -> None:
        self.folder, self.layers = folder, layers

    def has_blobs(self, path: str, digests: Iterable[str]) -> set[str]:
        return set(digests) & self.layers.keys()

    def layer(self, path: str, digest: str) -> Iterator[bytes]:
        with (self.folder / digest[7:]).open("a") as file:
            file.write("x")
        yield self.layers[digest]


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
def test_layers_that_a_dead_worker_has_read_are_not_read_again(
    make_image: Any, alice: Any, settings: Any, tmp_path: Path
) -> None:
    contents = [of_files({f"f{n}": b""}) for n in range(2)]
    layers = {digest_of(content): content for content in contents}
    registry: Any = _Layers(tmp_path, layers)
    job = FileJob.objects.create(
        repository=make_image("alice/app"), digest="sha256:x", by=alice, layers=list(layers)
    )
    pid = os.fork()
    if pid == 0:
        try:
            connections["default"].connection = None  # Not closed: it is the parent's.
            settings.CRASH_AT = "layer_read"
            file_jobs.run(job.pk, registry)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == crash_points.EXIT_CODE
    assert file_jobs.run(job.pk, registry) is Outcome.NOT_OURS
    long_ago = timezone.now() - leases.STALE - dt.timedelta(seconds=1)
    FileJob.objects.update(lease_renewed_at=long_ago)
    assert file_jobs.due() == [job.pk]
    assert file_jobs.run(job.pk, registry) is Outcome.DONE
    assert [file.read_text() for file in tmp_path.iterdir()] == ["x", "x"]
