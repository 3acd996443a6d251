"""Which cells of the matrices in `tests/data` are asked on which engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest


def engines_of(cells: Sequence[dict[str, Any]]) -> dict[str, list[pytest.MarkDecorator]]:
    """By the id of each cell how it is marked.

    Who asks and for what decides which queries there are: each such pair is asked on both engines,
    of a private project where there is such a cell. Of what else there is in a cell, which is
    compared in Python, one engine tells.
    """
    private_first = sorted(cells, key=lambda cell: cell["visibility"] != "private")
    asked = {(cell["actor"], cell["action"]): cell["id"] for cell in reversed(private_first)}
    on_both = set(asked.values())
    return {cell["id"]: [] if cell["id"] in on_both else [pytest.mark.engineless] for cell in cells}
