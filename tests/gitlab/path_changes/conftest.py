"""A group with a project that has images, another whose name begins alike, and their registry."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gitlab.path_changes.renaming import NamesOnly


@pytest.fixture
def acme(alice: Any, bob: Any, make_group: Any) -> Any:
    return make_group("acme", owner=alice, developers=[bob])


@pytest.fixture
def web(acme: Any, make_project: Any, make_image: Any) -> Any:
    project = make_project("acme/web")
    make_image("acme/web", of=project)
    make_image("acme/web/cache/arm", of=project)
    make_project("acme/web-2")
    return project


@pytest.fixture
def registry() -> Any:
    return NamesOnly("acme/web", "acme/web/cache/arm", "acme/web-2")
