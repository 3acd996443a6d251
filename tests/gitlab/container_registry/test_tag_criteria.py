"""Which tags go by criteria."""

from __future__ import annotations

import datetime as dt

import pytest

from gitlab.container_registry.client.responses import TagDetails
from gitlab.container_registry.tag_criteria import Criteria, duration
from gitlab.refusals import Invalid

pytestmark = pytest.mark.engineless

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
AGES = {
    "latest": dt.timedelta(hours=2),
    "production-v44": dt.timedelta(days=3),
    "production-v43": dt.timedelta(days=6),
    "production-v42": dt.timedelta(days=11),
    "dev-v44": dt.timedelta(days=2),
    "dev-v43": dt.timedelta(days=5),
    "dev-v42": dt.timedelta(days=10),
    "v44": dt.timedelta(days=1),
    "v43": dt.timedelta(days=12),
    "v42": dt.timedelta(days=20),
}


def tag(name: str, age: dt.timedelta | None) -> TagDetails:
    created = NOW - age if age is not None else None
    return TagDetails(name, "sha256:x", "", created_at=created)


def chosen(criteria: Criteria, **ages: dt.timedelta | None) -> list[str]:
    tags = [tag(name, age) for name, age in (ages or AGES).items()]
    candidates = [each for each in map(criteria.candidate, tags) if each is not None]
    return criteria.chosen(candidates, NOW)


def test_the_example_of_gitlabs_documentation() -> None:
    week = dt.timedelta(days=7)
    found = chosen(Criteria(".*", "production-.*", keep_n=1, older_than=week))
    assert found == ["v42", "v43", "dev-v42"]


def test_each_criterion() -> None:
    assert chosen(Criteria("dev-.*")) == ["dev-v44", "dev-v43", "dev-v42"]
    assert chosen(Criteria("dev")) == []
    assert "latest" not in chosen(Criteria(".*"))
    assert len(chosen(Criteria(".*"))) == 9
    assert chosen(Criteria(".*", keep_n=8)) == ["v42"]
    assert chosen(Criteria(".*", keep_n=9)) == chosen(Criteria(".*", keep_n=2**31)) == []
    assert chosen(Criteria(".*", older_than=dt.timedelta(days=12))) == ["v42"]


def test_a_second_look_keeps_the_same() -> None:
    criteria = Criteria(".*", keep_n=2)
    same = dict.fromkeys("abcde", dt.timedelta(days=1))
    first = chosen(criteria, **same)
    assert first == ["a", "b", "c"]
    rest = {name: age for name, age in same.items() if name not in first[:2]}
    assert chosen(criteria, **rest) == ["c"]


def test_of_an_unknown_age() -> None:
    assert chosen(Criteria(".*"), a=None) == ["a"]
    assert chosen(Criteria(".*", keep_n=1), a=None, b=dt.timedelta(1), c=dt.timedelta(2)) == ["c"]
    assert chosen(Criteria(".*", older_than=dt.timedelta(1)), a=None) == []


def test_the_push_counts_where_the_image_says_nothing() -> None:
    pushed = TagDetails("a", "sha256:x", "", published_at=NOW - dt.timedelta(days=9))
    criteria = Criteria(".*", older_than=dt.timedelta(days=7))
    candidate = criteria.candidate(pushed)
    assert candidate is not None
    assert criteria.chosen([candidate], NOW) == ["a"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1h", 3600), ("90 min", 5400), ("7d", 604800), ("1month", 2592000), ("2 weeks", 1209600),
        ("1d12h", 129600), ("2 days, 3 hours", 183600), ("1y", 31536000), ("30 seconds", 30),
        ("5m", 300), ("1W", 604800), ("1mo", 2592000),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: int) -> None:
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "h", "1", "1x", "-1d", "0d", "1d x", "1.5h", "9" * 99, "٣d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(Invalid):
        duration(text)


def test_a_pattern_takes_no_long_time() -> None:
    """What would keep a backtracking matcher for years."""
    assert Criteria("(a*)*b").candidate(tag("a" * 128, None)) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("(?!x)y", "invalid perl operator: (?!, at character 1. RE2 has neither lookahead nor"),
        ("ab(?=c)", "invalid perl operator: (?=, at character 3."),
        ("x(?<=y)", "invalid perl operator: (?<=, at character 2."),
        (r"(a)\1", r"invalid escape sequence: \1, at character 4. RE2 has no references"),
        ("a*|*", "no argument for repetition operator: *, at character 4."),
        ("a{2000}", "invalid repetition size: {2000}, at character 2."),
        ("[a-", "missing ]: [a-, at character 1."),
        (r"(a)[(]\((b", "at character 9."),
        (")", "unexpected ): ), at character 1."),
        ("\ud800", "half a character."),
        ("\\", "trailing \\."),
    ],
)
def test_what_re2_does_not_take_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        Criteria(text)
    (told,) = refused.value.message_dict["name_regex_delete"]
    assert says in told
