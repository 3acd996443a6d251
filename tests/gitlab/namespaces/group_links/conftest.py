"""Alice's project, and a group in which Bob develops."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def app(alice: Any, make_project: Any) -> Any:
    """A private project of Alice's group, which nobody else belongs to."""
    return make_project("acme/app", owner=alice)


@pytest.fixture
def acme(app: Any) -> Any:
    return app.namespace


@pytest.fixture
def guild(root: Any, bob: Any, make_group: Any) -> Any:
    """A group in which Bob develops."""
    return make_group("guild", owner=root, developers=[bob])
