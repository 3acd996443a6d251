"""Numbers as areas, drawn on the server as SVG. What is drawn stands in words as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gitlab.ui.components.library import register

_WIDE, _NARROW = 2.4, 0.9
"""Width by height of a treemap: of one for desks, and of one for phones."""

_LABEL = {_WIDE: (7.0, 9.0), _NARROW: (20.0, 7.0)}
"""From how many percent of the width and of the height on an area has room for its name."""


@dataclass(frozen=True)
class Area:
    """An area of a treemap. Kinds: ``part`` (leads somewhere), ``others``, ``shared``."""

    label: str
    value: int
    text: str
    url: str = ""
    kind: str = "part"


@dataclass(frozen=True)
class Box:
    """Where an area lies, in percent of the whole."""

    x: float
    y: float
    width: float
    height: float


def squarified(values: Sequence[float], ratio: float) -> list[Box]:
    """A box for each of `values`, the largest first, as square as may be in a whole whose width is
    `ratio` times its height. Source: Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000.
    """
    total = sum(values)
    if total <= 0:
        return [Box(0, 0, 0, 0) for _ in values]
    # In a whole of ratio × 1, so that squares are squares.
    areas = [value / total * ratio for value in values]
    boxes: list[Box] = []
    x = y = 0.0
    width, height = ratio, 1.0
    for row in _rows(areas, ratio):
        laid = sum(row)
        if not laid:
            boxes += [Box(x, y, 0.0, 0.0)] * len(row)
        elif width >= height:
            thick = min(width, laid / height)
            at = y
            for area in row:
                boxes.append(Box(x, at, thick, height * area / laid))
                at += boxes[-1].height
            x, width = x + thick, max(0.0, width - thick)
        else:
            thick = min(height, laid / width) if width else 0.0
            at = x
            for area in row:
                boxes.append(Box(at, y, width * area / laid, thick))
                at += boxes[-1].width
            y, height = y + thick, max(0.0, height - thick)
    return [
        Box(box.x / ratio * 100, box.y * 100, box.width / ratio * 100, box.height * 100)
        for box in boxes
    ]


def _rows(areas: Sequence[float], ratio: float) -> Iterator[list[float]]:
    """The areas that lie along the shorter side of what is left, row by row."""
    width, height = ratio, 1.0
    row: list[float] = []
    for area in areas:
        side = min(width, height)
        if row and _worst([*row, area], side) > _worst(row, side):
            yield row
            laid = sum(row)
            if width >= height:
                width -= laid / height if height else 0.0
            else:
                height -= laid / width if width else 0.0
            row = []
        row.append(area)
    if row:
        yield row


def _worst(row: Sequence[float], side: float) -> float:
    """How far the least square of a row is from a square."""
    laid, least, most = sum(row), min(row), max(row)
    if not least or not side:
        return float("inf")
    return max(side * side * most / (laid * laid), laid * laid / (side * side * least))


@register.inclusion_tag("ui/components/treemap.html")
def treemap(areas: Sequence[Area], label: str, id: str = "treemap") -> dict[str, Any]:
    """Areas by their value, once for desks and once for phones. Keys lead from one to the next.

    A table beside it has to say the same: not everybody sees areas. ``id``: of several in a page.
    """
    ordered = sorted((area for area in areas if area.value > 0), key=lambda area: -area.value)
    total = sum(area.value for area in ordered)
    drawings = [
        {
            "name": name,
            "cells": [
                _cell(area, box, total, ratio)
                for area, box in zip(
                    ordered, squarified([area.value for area in ordered], ratio), strict=True
                )
            ],
        }
        for name, ratio in (("wide", _WIDE), ("narrow", _NARROW))
    ]
    return {"drawings": drawings if ordered else [], "label": label, "id": id}


def _cell(area: Area, box: Box, total: int, ratio: float) -> dict[str, Any]:
    least_width, least_height = _LABEL[ratio]
    share = area.value / total
    return {
        "area": area,
        **{key: f"{value:.3f}%" for key, value in vars(box).items()},
        "has_label": box.width >= least_width and box.height >= least_height,
        "share": f"{share:.0%}" if share >= 0.01 else "less than 1%",
    }
