"""F08: a worker that dies between the registry's answer and the removal of its row."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from gitlab.container_registry import deletion
from gitlab.container_registry.deletion import Outcome
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs import crash_points


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
    long_ago = timezone.now() - deletion.STALE - dt.timedelta(seconds=1)
    ContainerRepository.objects.update(lease_renewed_at=long_ago)
    assert deletion.due() == [row.pk]
    assert deletion.delete_repository(row.pk, fake_registry) is Outcome.DONE
    assert not ContainerRepository.objects.exists()
