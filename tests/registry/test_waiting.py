"""A push that waits too long for the database is answered with 503, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from registry.errors import Code
from registry.models import Repository, Tag
from registry.services import database
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.services.test_cursors import elsewhere


@pytest.mark.postgresql
@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_f50_a_repository_that_is_held_too_long(alice: Person) -> None:
    image = images.push_image(APP, "v1")

    def hold() -> None:
        Repository.objects.select_for_update().get(name=APP)

    def push(tag: str) -> Any:
        return alice.send(
            "PUT", f"/v2/{APP}/manifests/{tag}", image.payload, content_type=image.media_type
        )

    with connections[database.ALIAS].cursor() as cursor:
        cursor.execute("SET lock_timeout = '300ms'")
    try:
        with elsewhere(hold):
            for answer in (push("v2"), alice.send("DELETE", f"/v2/{APP}/manifests/v1")):
                assert_refused(answer, Code.UNAVAILABLE)
                assert answer.headers["Retry-After"] == "10"
            assert set(Tag.objects.filter(ended_at=None).values_list("name", flat=True)) == {"v1"}
        assert push("v2").status_code == 201
    finally:
        connections[database.ALIAS].close()
