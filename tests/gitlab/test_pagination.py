"""Pages by key: every row once, in order, forwards and backwards, whatever is deleted meanwhile."""

from __future__ import annotations

import pytest

from gitlab.accounts.models import User
from gitlab.pagination import key_of, page
from gitlab.refusals import Invalid
from tests.people import person

pytestmark = pytest.mark.django_db

ORDERS = [
    ("username",),
    ("-username",),
    ("id",),
    ("-created_at", "-id"),
    ("external", "-created_at", "id"),
]


@pytest.fixture
def people() -> list[User]:
    made = [person(name) for name in ("ada", "bea", "cleo", "dora", "emma")]
    # Two of the same moment, and one of another kind, so that the later columns decide.
    User.objects.filter(pk__in=[made[1].pk, made[3].pk]).update(created_at=made[0].created_at)
    User.objects.filter(pk=made[2].pk).update(external=True)
    return made


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
def test_every_row_once_in_both_directions(
    people: list[User], order: tuple[str, ...], limit: int
) -> None:
    expected = list(User.objects.order_by(*order))
    seen: list[User] = []
    found = page(User.objects.all(), *order, limit=limit)
    assert found.previous_before == ""
    while True:
        seen += found.rows
        if not found.next_after:
            break
        last = found
        found = page(User.objects.all(), *order, after=found.next_after, limit=limit)
        back = page(User.objects.all(), *order, before=found.previous_before, limit=limit)
        assert back.rows == last.rows
    assert seen == expected


def test_a_row_that_goes_makes_none_be_missed(people: list[User]) -> None:
    first = page(User.objects.all(), "username", limit=2)
    User.objects.filter(username="bea").update(username="zoe")
    second = page(User.objects.all(), "username", after=first.next_after, limit=2)
    assert [row.username for row in second.rows] == ["cleo", "dora"]


def test_what_nobody_has_is_an_empty_page() -> None:
    assert page(User.objects.none(), "username").rows == []
    assert page(User.objects.all(), "username", after="zz").rows == []


@pytest.mark.parametrize(
    "key", ["x", "[", "{}", "[1]", '["x","y"]', "[" * 10_000, '["2026-01-01T00:00:00Z",{}]', "null"]
)
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(Invalid):
        page(User.objects.all(), "-created_at", "-id", after=key)


def test_a_single_text_stands_for_itself(people: list[User]) -> None:
    assert key_of(people[0], "username") == "ada"
    assert key_of(people[0], "id") == f"[{people[0].pk}]"
