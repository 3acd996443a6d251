"""Which rules hold for an image or a tag, and what they take from whom."""

from __future__ import annotations

import time

import pytest

from gitlab.container_registry.protection.matching import (
    RepositoryProtections,
    Rule,
    TagProtections,
    matches_path,
)

pytestmark = pytest.mark.engineless

DEVELOPER, MAINTAINER, OWNER, ADMIN = 30, 40, 50, 60


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("acme/app", "acme/app", True),
        ("acme/app", "acme/app/web", False),
        ("acme/app*", "acme/app", True),
        ("acme/app*", "acme/app/web/x", True),
        ("acme/app/*", "acme/app", False),
        ("acme/*/web", "acme/app/web", True),
        ("acme/*/web", "acme/app/tools/web", True),
        ("acme/*/web", "acme/web", False),
        ("acme/*a*a", "acme/a", False),
        ("acme/*a*a", "acme/aa", True),
        ("ACME/App/*", "acme/app/web", True),
        # Neither a wildcard of SQL's nor one of a shell's.
        ("acme/app_x", "acme/app-x", False),
        ("acme/app%", "acme/app/web", False),
        ("acme/app?", "acme/apps", False),
        ("acme/**/web", "acme/app/web", True),
    ],
)
def test_a_pattern_of_images(pattern: str, path: str, matches: bool) -> None:
    assert matches_path(pattern, path) is matches


def test_no_pattern_of_images_takes_long() -> None:
    """A backtracking matcher would need longer than anybody lives."""
    began = time.process_time()
    assert not matches_path("a/" + "*a" * 120 + "b", "a/" + "a" * 250)
    assert time.process_time() - began < 20


def test_the_strictest_of_all_that_match_decides() -> None:
    rules = RepositoryProtections(
        [Rule("acme/*", MAINTAINER, None), Rule("acme/app/*", OWNER, MAINTAINER)]
    )
    assert rules.denied("acme/app/web", "push", OWNER) is None
    assert rules.denied("acme/app/web", "push", MAINTAINER) == (
        'acme/app/web is protected by rule "acme/app/*": pushing takes the role Owner'
    )
    assert rules.denied("acme/lib", "push", MAINTAINER) is None
    assert rules.denied("acme/app/web", "delete", DEVELOPER) == (
        'acme/app/web is protected by rule "acme/app/*": deleting takes the role Maintainer'
    )
    assert rules.denied("acme/lib", "delete", 0) is None


TAGS = TagProtections(
    [
        Rule("^v", MAINTAINER, OWNER),
        Rule("latest$", ADMIN, ADMIN),
        Rule(r"^v\d+\.\d+$", None, None),
    ]
)


@pytest.mark.parametrize(
    ("tag", "rank", "why"),
    [
        ("other", 0, None),
        ("v1", OWNER, None),
        (
            "v1",
            MAINTAINER,
            'tag v1 is protected by rule "^v": deleting takes the role Owner',
        ),
        ("v1", None, 'tag v1 is protected by rule "^v": deleting takes the role Owner'),
        ("v1.0", ADMIN, 'tag v1.0 is immutable by rule "^v\\d+\\.\\d+$"'),
        ("v1.0", None, 'tag v1.0 is protected by rule "^v": deleting takes the role Owner'),
        (
            "my-latest",
            OWNER,
            'tag my-latest is protected by rule "latest$": deleting takes an administrator',
        ),
        ("my-latest", ADMIN, None),
    ],
)
def test_what_protects_a_tag(tag: str, rank: int | None, why: str | None) -> None:
    assert TAGS.what_protects(tag, rank) == why


def test_an_immutable_tag_may_be_pushed_as_long_as_it_is_not_there() -> None:
    assert TAGS.what_protects("v1.0", MAINTAINER, action="push") is None
    assert TAGS.what_holds("v1.0") == 'tag v1.0 is immutable by rule "^v\\d+\\.\\d+$"'
    assert TAGS.what_holds("v1") is None


def test_what_a_token_says_is_what_gitlab_writes() -> None:
    assert TAGS.as_meta(["pull", "push", "delete"], MAINTAINER) == {
        "tag_deny_access_patterns": {"push": ["latest$"], "delete": ["^v", "latest$"]},
        "tag_deny_access_levels": {"push": ["admin"], "delete": ["owner", "admin"]},
        "tag_immutable_patterns": [r"^v\d+\.\d+$"],
    }


def test_a_token_for_an_administrator_has_empty_lists_for_what_it_grants() -> None:
    assert TAGS.as_meta(["pull", "push"], ADMIN) == {
        "tag_deny_access_patterns": {"push": []},
        "tag_immutable_patterns": [r"^v\d+\.\d+$"],
    }
    star = TAGS.as_meta(["*"], ADMIN)
    assert star["tag_deny_access_patterns"] == {"push": [], "delete": []}


def test_what_has_no_value_is_left_out() -> None:
    assert TAGS.as_meta(["pull"], DEVELOPER) == {}
    assert TagProtections([]).as_meta(["push"], DEVELOPER) == {}
    assert TagProtections([Rule("x", None, None)]).as_meta(["push"], DEVELOPER) == {
        "tag_immutable_patterns": ["x"]
    }


def test_one_pattern_of_two_owners_is_said_once_with_the_higher_level() -> None:
    both = TagProtections([Rule("^v", MAINTAINER, None), Rule("^v", OWNER, None)])
    assert both.as_meta(["push"], DEVELOPER) == {
        "tag_deny_access_patterns": {"push": ["^v"]},
        "tag_deny_access_levels": {"push": ["owner"]},
    }
