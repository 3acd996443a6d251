"""A token's rules about tags, without a registry around them."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import Code, RegistryError
from registry.services.protection import NO_RULES, TagRules
from tokens import tag_patterns

pytestmark = pytest.mark.engineless


def test_a_token_without_rules_makes_none() -> None:
    assert TagRules.read({"project_id": 7}) is NO_RULES
    assert TagRules.read({"tag_deny_access_patterns": {}}) is NO_RULES
    assert not NO_RULES.limits_deletion
    NO_RULES.refuse_push(["v1"])
    NO_RULES.refuse_deletion(["v1"])
    NO_RULES.refuse_move("v1")


def test_an_administrators_lists_are_empty_and_deny_nothing() -> None:
    rules = TagRules.read({"tag_deny_access_patterns": {"push": [], "delete": []}})
    rules.refuse_push(["v1"])
    rules.refuse_deletion(["v1"])


def _says(act: Any, *arguments: Any) -> str:
    with pytest.raises(RegistryError) as refused:
        act(*arguments)
    assert (refused.value.code, refused.value.status) == (Code.DENIED, 403)
    return refused.value.message


def test_a_refusal_names_the_rule_and_who_may() -> None:
    rules = TagRules.read(
        {
            "tag_deny_access_patterns": {"push": ["^v", "rc"], "delete": ["^v"]},
            "tag_deny_access_levels": {"push": ["owner"], "delete": ["admin"]},
            "tag_immutable_patterns": ["^1"],
        }
    )
    assert _says(rules.refuse_push, ["x", "v1"]) == (
        'tag v1 is protected by rule "^v": pushing takes the role Owner'
    )
    # Without a level, as GitLab's own tokens are.
    assert _says(rules.refuse_push, ["a-rc1"]) == (
        'tag a-rc1 is protected by rule "rc": pushing is denied'
    )
    assert _says(rules.refuse_deletion, ["v1"]) == (
        'tag v1 is protected by rule "^v": deleting takes an administrator'
    )
    assert _says(rules.refuse_deletion, ["1.0"]) == 'tag 1.0 is immutable by rule "^1"'
    assert _says(rules.refuse_move, "1.0") == 'tag 1.0 is immutable by rule "^1"'
    rules.refuse_push(["1.0", "other"])
    rules.refuse_deletion(["a-rc1"])


@pytest.mark.parametrize(
    "meta",
    [
        {"tag_deny_access_patterns": ["^v"]},
        {"tag_deny_access_patterns": {"push": "^v"}},
        {"tag_deny_access_patterns": {"push": [7]}},
        {"tag_immutable_patterns": {"push": ["^v"]}},
        {"tag_immutable_patterns": "^v"},
    ],
)
def test_rules_that_cannot_be_read_deny(meta: dict[str, Any]) -> None:
    assert "can't be read" in _says(TagRules.read, meta)


@pytest.mark.parametrize("pattern", ["(", "", "x" * 101, "(?=v)"])
def test_a_pattern_that_is_none_denies(pattern: str) -> None:
    rules = TagRules.read({"tag_immutable_patterns": [pattern]})
    assert "can't be read" in _says(rules.refuse_move, "v1")


def test_compiled_patterns_are_kept_with_a_bound() -> None:
    tag_patterns.compiled.cache_clear()
    for number in range(1000):
        tag_patterns.compiled(f"^{number}")
    assert tag_patterns.compiled.cache_info().currsize == 256
