"""Which tags a cleanup keeps and deletes, and what it says of each."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gitlab.container_registry.cleanup.policy import (
    MAX_RULES,
    Judge,
    Rule,
    age_text,
    in_words,
    read_rules,
)
from gitlab.container_registry.client.responses import TagAge
from gitlab.refusals import Invalid
from tests.gitlab.container_registry.test_tag_criteria import AGES

pytestmark = pytest.mark.engineless

NOW = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
SIGNED = f"sha256-{'a' * 64}"


def days(count: float) -> dt.timedelta:
    return dt.timedelta(days=count)


def tag(name: str, age: float | None = None, **more: Any) -> TagAge:
    """A tag whose image is so many days old."""
    created = NOW - days(age) if age is not None else None
    return TagAge(name, f"sha256:{name}", 5, created, **more)


def judged(
    rules: list[Rule], *tags: TagAge, since: dt.datetime | None = None, **options: Any
) -> dict[str, str]:
    """The reason for each tag, where pulls are counted `since` a moment."""
    judge = Judge(rules, NOW, **options)
    judge.see(tags, since)
    going, kept = judge.verdicts()
    assert all(each.goes for each in going)
    assert not any(each.goes for each in kept)
    assert all(each.reason.startswith("deleted: ") for each in going)
    assert all(each.reason.startswith("kept") for each in kept)
    return {each.name: each.reason for each in [*going, *kept]}


def test_the_worked_example_of_gitlabs_documentation() -> None:
    rule = Rule(".*", "production-.*", keep_n=1, older_than=days(7))
    found = judged([rule], *(tag(name, age / days(1)) for name, age in AGES.items()))
    assert found == {
        "v42": "deleted: 20 days old",
        "v43": "deleted: 12 days old",
        "dev-v42": "deleted: 10 days old",
        "latest": "kept: latest always stays",
        "production-v44": "kept: matches production-.*",
        "production-v43": "kept: matches production-.*",
        "production-v42": "kept: matches production-.*",
        "v44": "kept: newest 1 of .*",
        "dev-v44": "kept: 2 days old, younger than 7 days",
        "dev-v43": "kept: 5 days old, younger than 7 days",
    }


def test_the_oldest_goes_first() -> None:
    judge = Judge([Rule(".*")], NOW)
    judge.see([tag("b", 1), tag("a", 1), tag("c", 9), tag("d")])
    assert [each.name for each in judge.verdicts()[0]] == ["d", "c", "a", "b"]


def test_the_first_rule_that_matches_judges() -> None:
    rules = [Rule("v.*", keep_n=2), Rule(".*", older_than=days(30))]
    found = judged(rules, tag("v1", 90), tag("v2", 80), tag("v3", 70), tag("x", 40), tag("y", 3))
    assert found == {
        "v1": "deleted: older than the newest 2 of v.*",
        "v2": "kept: newest 2 of v.*",
        "v3": "kept: newest 2 of v.*",
        "x": "deleted: 40 days old",
        "y": "kept: 3 days old, younger than 30 days",
    }
    assert judged([Rule("v.*")], tag("x", 9)) == {"x": "kept: no rule matches it"}
    assert judged([], tag("x", 9)) == {"x": "kept: no rule matches it"}
    assert judged([Rule("")], tag("x", 9)) == {"x": "kept: no rule matches it"}
    assert judged([Rule("dev-.*")], tag("dev-1")) == {"dev-1": "deleted: matches dev-.*"}


def test_of_an_unknown_age() -> None:
    for rule in (Rule(".*", keep_n=1), Rule(".*", older_than=days(1))):
        found = judged([rule], tag("a"), tag("b", 3))
        assert found["a"] == "kept: its age is not known"


def test_the_push_counts_where_the_image_says_nothing() -> None:
    found = judged([Rule(".*", older_than=days(7))], tag("a", published_at=NOW - days(9)))
    assert found == {"a": "deleted: 9 days old"}


def test_what_is_protected_stays_and_counts_among_the_newest() -> None:
    protects = {"v3": "protected by v3: nobody deletes it", "v1": "immutable by v1"}.get
    rules = [Rule("v.*", keep_n=1)]
    found = judged(rules, tag("v1", 9), tag("v2", 8), tag("v3", 7), protects=protects)
    assert found == {
        "v1": "kept: immutable by v1",
        "v2": "deleted: older than the newest 1 of v.*",
        "v3": "kept: newest 1 of v.*",
    }


@pytest.mark.parametrize("kind", ["sig", "att", "sbom"])
def test_signatures_go_with_what_they_belong_to(kind: str) -> None:
    found = judged([Rule(".*")], tag(f"{SIGNED}.{kind}", 900), tag("sha256-x.sig", 9))
    assert found[f"{SIGNED}.{kind}"] == "kept: goes with the image that it signs or describes"
    assert found["sha256-x.sig"] == "deleted: matches .*"


COUNTED = NOW - days(200)


def pulled(name: str, ago: float | None, pushed: float = 300) -> TagAge:
    return tag(
        name,
        pushed,
        published_at=NOW - days(pushed),
        last_pulled_at=NOW - days(ago) if ago is not None else None,
    )


def test_by_the_last_pull() -> None:
    rules = [Rule(".*", not_pulled_for=days(90))]
    tags = [pulled("a", 94), pulled("b", 3), pulled("c", None), pulled("d", None, 5)]
    tags.append(pulled("moved", 150, 2))
    found = judged(rules, *tags, since=COUNTED)
    assert found == {
        "a": "deleted: not pulled for 94 days",
        "b": "kept: pulled 3 days ago",
        "c": "deleted: not pulled for 200 days",
        "d": "kept: pushed 5 days ago",
        "moved": "kept: pushed 2 days ago",
    }


def test_by_no_pull_since_the_push() -> None:
    rules = [Rule(".*", never_pulled=True, older_than=days(30))]
    tags = [pulled("a", 94), pulled("b", None, 40), pulled("c", None, 5), pulled("d", None, 300)]
    found = judged(rules, *tags, since=COUNTED)
    assert found == {
        "a": "kept: pulled 94 days ago",
        "b": "deleted: never pulled since its push 40 days ago",
        "c": "kept: 5 days old, younger than 30 days",
        "d": "kept: pushed before pulls were counted",
    }


def test_where_pulls_are_not_counted_long_enough_nothing_goes() -> None:
    by_time, never = Rule(".*", not_pulled_for=days(90)), Rule(".*", never_pulled=True)
    for rule in (by_time, never):
        found = judged([rule], tag("a", 900))
        assert found == {"a": "kept: this registry does not count pulls"}
    found = judged([by_time], pulled("a", None), since=NOW - days(12))
    assert found == {"a": "kept: pulls are counted for 12 days only"}


def test_images_without_a_tag() -> None:
    old, new = (f"sha256:{letter * 64}" for letter in "ab")
    judge = Judge([Rule(untagged=True, older_than=days(30)), Rule(".*")], NOW)
    assert judge.asks_for_untagged
    judge.see([tag("v1", 900)])
    judge.see_untagged(
        [
            TagAge(old, old, 7, None, NOW - days(45)),
            TagAge(new, new, 7, None, NOW - days(3)),
        ]
    )
    going, kept = judge.verdicts()
    assert [(each.name, each.rule, each.reason) for each in going] == [
        ("v1", 2, "deleted: matches .*"),
        (old, 1, "deleted: without a tag for 45 days"),
    ]
    assert [(each.name, each.reason) for each in kept] == [
        (new, "kept: without a tag for 3 days only")
    ]
    assert in_words(Rule(untagged=True, older_than=days(30))) == (
        "Images without a tag for 30 days go."
    )
    assert not Judge([Rule(".*")], NOW).asks_for_untagged


def test_how_many_go_at_once() -> None:
    found = judged([Rule(".*")], *(tag(f"v{age}", age) for age in range(1, 6)), most=2)
    assert [name for name, why in found.items() if why.startswith("deleted")] == ["v5", "v4"]
    assert found["v1"] == "kept for now: a run deletes at most 2 tags, the oldest first"


def test_a_rule_as_json_and_back() -> None:
    rule = Rule("v.*", "v1.*", 5, days(90), dt.timedelta(hours=36), never_pulled=True)
    assert rule.as_json() == {
        "name_regex_delete": "v.*",
        "name_regex_keep": "v1.*",
        "keep_n": 5,
        "older_than": "90d",
        "not_pulled_for": "36h",
        "never_pulled": True,
        "untagged": False,
    }
    assert read_rules([rule.as_json()]) == [rule]
    assert read_rules([{}]) == [Rule()]
    assert [age_text(dt.timedelta(seconds=seconds)) for seconds in (90, 120)] == ["90s", "2m"]


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ("x", "rules"),
        ([1], "rules"),
        ([{"colour": 1}], "rules"),
        ([{}] * (MAX_RULES + 1), "rules"),
        ([{"keep_n": -1}], "keep_n"),
        ([{"keep_n": True}], "keep_n"),
        ([{"keep_n": 100_001}], "keep_n"),
        ([{"older_than": "soon"}], "older_than"),
        ([{"older_than": 7}], "older_than"),
        ([{"not_pulled_for": "0d"}], "not_pulled_for"),
        ([{"name_regex_delete": 1}], "name_regex_delete"),
        ([{"name_regex_delete": "x" * 256}], "name_regex_delete"),
        ([{"name_regex_keep": "(?!x)"}], "name_regex_keep"),
        ([{"untagged": True, "keep_n": 1}], "untagged"),
        ([{"untagged": True, "name_regex_delete": "x"}], "untagged"),
        ([{"untagged": True, "never_pulled": True}], "untagged"),
    ],
)
def test_what_is_no_rule(rules: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_rules(rules)
    assert list(refused.value.message_dict) == [field]
