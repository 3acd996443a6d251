"""Areas and lines: where they lie, and what they say to who can't see them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.template import Context, Template

from gitlab.ui.components.treemaps import Area, squarified

pytestmark = pytest.mark.engineless


def render(source: str, **values: Any) -> Any:
    return Template("{% load ui %}" + source).render(Context(values))


@pytest.mark.parametrize("ratio", [0.9, 2.4])
@pytest.mark.parametrize(
    "values", [[1], [6, 6, 4, 3, 2, 2, 1], [10**12, 1], [5] * 24, [2**n for n in range(24, 0, -1)]]
)
def test_the_areas_fill_the_whole_and_each_is_as_large_as_its_value(
    values: list[float], ratio: float
) -> None:
    boxes = squarified(values, ratio)
    for value, box in zip(values, boxes, strict=True):
        area = box.width * box.height / 10_000
        assert area == pytest.approx(value / sum(values), abs=1e-9)
        assert box.x >= -1e-9
        assert box.x + box.width <= 100 + 1e-6
        assert box.y >= -1e-9
        assert box.y + box.height <= 100 + 1e-6
    for at, one in enumerate(boxes):
        for other in boxes[at + 1 :]:
            across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
            down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
            assert min(across, down) < 1e-6, "no two lie upon each other"


def test_they_are_nearly_squares() -> None:
    for box in squarified([6, 6, 4, 3, 2, 2, 1], 1.5):
        width, height = box.width * 1.5, box.height
        assert max(width / height, height / width) < 3


def test_nothing_has_no_area() -> None:
    assert [box.width for box in squarified([0, 0], 2)] == [0, 0]
    assert "<svg" not in render('{% treemap areas "x" %}', areas=[])


def test_a_treemap_says_what_each_area_is() -> None:
    areas = [
        Area("<web>", 75, "75 MiB", "/web"),
        Area("shared", 25, "25 MiB", kind="shared"),
        Area("tiny", 0, "nothing", "/tiny"),
    ]
    page = render('{% treemap areas "Where" %}', areas=areas)
    assert page.count('href="/web"') == 2, "one drawing for desks and one for phones"
    assert 'aria-label="&lt;web&gt;: 75 MiB, 75%"' in page
    assert "<web>" not in page
    assert "/tiny" not in page
    assert "style=" not in page
    assert 'aria-label="Where"' in page


def test_a_line_says_its_ends() -> None:
    points = [
        (dt.date(2026, 11, 1), 10, "10 MiB"),
        (dt.date(2026, 11, 5), 40, "40 MiB"),
        (dt.date(2026, 11, 29), 20, "20 MiB"),
    ]
    page = render('{% growth points "Stored" %}', points=points)
    assert "Stored: 10 MiB on 1 November 2026, 20 MiB on 29 November 2026, at most 40 MiB" in page
    assert 'points="0.0,75.0 85.7,0.0 600.0,50.0"' in page


@pytest.mark.parametrize("points", [[], [(dt.date(2026, 11, 1), 10, "10 MiB")]])
def test_a_line_needs_two_days(points: Any) -> None:
    assert "<svg" not in render('{% growth points "Stored" %}', points=points)


def test_a_line_of_nothing() -> None:
    points = [(dt.date(2026, 11, day), 0, "nothing") for day in (1, 2)]
    assert 'points="0.0,100.0 600.0,100.0"' in render('{% growth points "x" %}', points=points)
