"""What one may not see is looked up like what is not there: the same questions to the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gitlab.namespaces import loaders
from gitlab.refusals import NotFound

pytestmark = pytest.mark.django_db


def questions(load: Callable[..., Any], user: Any, path: str) -> list[str]:
    """The tables that are asked, in order."""
    with (
        CaptureQueriesContext(
            connection,
        ) as asked,
        pytest.raises(NotFound),
    ):
        load(user, path)
    return [query["sql"].partition(" FROM ")[2].split()[0] for query in asked.captured_queries]


@pytest.mark.parametrize(
    ("load", "there", "not_there"),
    [
        (loaders.get_for, "zeta/secret", "zeta/nothing"),
        (loaders.get_for, "zeta", "nothing"),
        (loaders.get_project_for, "zeta/secret", "zeta/nothing"),
        (loaders.get_group_for, "zeta", "nothing"),
        (loaders.get_namespace_for, "zeta", "nothing"),
    ],
)
@pytest.mark.parametrize("signed_in", [True, False])
def test_the_same_is_asked(
    root: Any, mallory: Any, make_group: Any, make_project: Any,
    load: Callable[..., Any], there: str, not_there: str, signed_in: bool,
) -> None:  # fmt: skip
    make_group("zeta", owner=root, visibility="private")
    make_project("zeta/secret", owner=root, visibility="private")
    user = mallory if signed_in else None
    assert questions(load, user, there) == questions(load, user, not_there) != []
