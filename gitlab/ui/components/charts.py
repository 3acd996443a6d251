"""Small charts, drawn by the server: columns and lines in time, with what they say in words."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitlab.ui.components.library import register

_STEP, _WIDTH, _HEIGHT = 10, 7, 48
"""Of a column and its place, in the drawing's own units: it is stretched to the room it has."""


@dataclass(frozen=True)
class Point:
    """A column: where it stands, how high it is, and how that is said (``218.0 MiB``)."""

    label: str
    value: float
    text: str


@register.inclusion_tag("ui/components/chart.html")
def chart(title: str, points: Sequence[Point], note: str = "") -> dict[str, Any]:
    """Columns of equal width. All of it is in the image's description, and in a table below."""
    highest = max((point.value for point in points), default=0)
    columns = []
    for place, point in enumerate(points):
        height = round(point.value / highest * _HEIGHT, 1) if highest else 0
        # What is there is seen, however little it is.
        height = max(height, 1.5) if point.value else 0
        columns.append(
            {"x": place * _STEP, "y": _HEIGHT - height, "height": height, "point": point}
        )
    return {
        "title": title,
        "note": note,
        "points": points,
        "columns": columns,
        "width": len(points) * _STEP - (_STEP - _WIDTH),
        "column_width": _WIDTH,
        "height": _HEIGHT,
        "highest": max(points, key=lambda point: point.value) if highest else None,
    }


_LINE_WIDTH, _LINE_HEIGHT = 600.0, 100.0


@register.inclusion_tag("ui/components/growth.html")
def growth(
    points: Sequence[tuple[dt.date, int, str]], label: str, note: str = ""
) -> dict[str, Any]:
    """A line over days, from nothing up: points are day, value, and the value in words."""
    days = [day.toordinal() for day, _, _ in points]
    most = max((value for _, value, _ in points), default=0)
    span = max(1, days[-1] - days[0]) if days else 1
    places = [
        (
            (day - days[0]) / span * _LINE_WIDTH,
            _LINE_HEIGHT - (value / most * _LINE_HEIGHT if most else 0.0),
        )
        for day, (_, value, _) in zip(days, points, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return {
        "label": label,
        "note": note,
        "line": line,
        "area": f"0,{_LINE_HEIGHT:.0f} {line} {_LINE_WIDTH:.0f},{_LINE_HEIGHT:.0f}",
        "first": points[0] if points else None,
        "last": points[-1] if points else None,
        "most": max(points, key=lambda point: point[1], default=None),
        "has_line": len(points) > 1,
    }
