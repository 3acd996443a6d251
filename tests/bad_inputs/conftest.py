"""The installation that all of these tests attack."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.bad_inputs.attacks import Forge
from tests.bad_inputs.server import Node
from tests.bad_inputs.wire import Wire


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One installation for all cases."""
    found = Node(
        tmp_path_factory.mktemp("bad-inputs"), os.environ.get("BERTH__REGISTRY_DATABASE_URL")
    )
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="session")
def forge(node: Node) -> Forge:
    """Who signs with the node's key."""
    return Forge(node.home)


@pytest.fixture
def wire(node: Node, forge: Forge) -> Wire:
    """Who sends, byte by byte."""
    return Wire(node, forge)
