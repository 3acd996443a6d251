"""Scopes and access: parsing, printing, covering."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokens.access import Access, InvalidScope, is_repository_name, parse_scopes

pytestmark = pytest.mark.engineless


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("repository:acme/app:pull", Access("repository", "acme/app", ("pull",))),
        ("repository:acme/app:pull,push", Access("repository", "acme/app", ("pull", "push"))),
        ("repository:a:pull,pull,push,pull", Access("repository", "a", ("pull", "push"))),
        ("repository(plugin):a:pull", Access("repository", "a", ("pull",))),
        ("repository:host:5000/a:pull", Access("repository", "host:5000/a", ("pull",))),
        ("repository:a:", Access("repository", "a", ())),
        ("repository:a:,pull,", Access("repository", "a", ("pull",))),
        ("registry:catalog:*", Access("registry", "catalog", ("*",))),
    ],
)
def test_parsing(scope: str, expected: Access) -> None:
    found = Access.parse(scope)
    assert found == expected
    assert Access.parse(str(found)) == found


@pytest.mark.parametrize(
    "scope",
    ["", "repository", "repository:", "repository:a", "repository::pull", ":a:pull", "::", ":::",
     "Repository:a:pull", "repository():a:pull", "repository(x:a:pull", " repository:a:pull",
     "repository\n:a:pull", "répository:a:pull", "*:a:pull", "repository(a)(b):a:pull"],
)  # fmt: skip
def test_what_is_no_scope_is_refused(scope: str) -> None:
    with pytest.raises(InvalidScope):
        Access.parse(scope)


def test_a_refusal_quotes_no_more_than_the_start() -> None:
    with pytest.raises(InvalidScope) as refused:
        Access.parse("x" * 100_000)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("access", "is_well_formed"),
    [
        (Access.repository("acme/app", "pull"), True),
        (Access.repository("acme/app", "*"), True),
        (Access.repository("acme/app"), False),
        (Access.repository("acme/app", "PULL"), False),
        (Access.repository("acme/app", "pull\n"), False),
        (Access.repository("acme/app", "pu ll"), False),
        (Access.repository("acme/*", "pull"), False),
        (Access.repository("ACME/app", "pull"), False),
        (Access.repository("acme/../app", "pull"), False),
        (Access.repository("acme/app\n", "pull"), False),
        (Access.repository("acme/app\0", "pull"), False),
        (Access.repository("host:5000/app", "pull"), False),
        (Access.repository("a" * 256, "pull"), False),
        (Access("registry", "catalog", ("*",)), True),
    ],
)
def test_well_formed(access: Access, is_well_formed: bool) -> None:
    assert access.is_well_formed == is_well_formed


@pytest.mark.parametrize(
    ("granted", "needed", "covers"),
    [
        ("repository:a/b:pull", "repository:a/b:pull", True),
        ("repository:a/b:pull,push", "repository:a/b:push", True),
        ("repository:a/b:pull", "repository:a/b:pull,push", False),
        ("repository:a/b:*", "repository:a/b:pull,push,delete", True),
        ("repository:a/b:pull", "repository:a/c:pull", False),
        ("repository:a:pull", "repository:a/b:pull", False),
        ("repository:a/b/c:pull", "repository:a/b:pull", False),
        ("registry:a/b:pull", "repository:a/b:pull", False),
        ("repository:a/*:pull", "repository:a/b:pull", False),
        ("repository:catalog:*", "registry:catalog:*", False),
        ("registry:catalog:pull", "registry:catalog:*", False),
    ],
)
def test_covering(granted: str, needed: str, covers: bool) -> None:
    assert Access.parse(granted).covers(Access.parse(needed)) == covers


@pytest.mark.parametrize(
    ("granted", "needed", "covers"),
    [
        ("acme/*", "acme/app", True),
        ("acme/*", "acme/a/b/c", True),
        ("acme/*", "acme", False),
        ("acme/*", "acme-evil/x", False),
        ("acme/a/*", "acme/app", False),
        ("*", "acme", False),
        ("/*", "/acme", False),
        ("**", "acme", False),
        ("acme/**", "acme/app", False),
        ("acme/*/x", "acme/app/x", False),
    ],
)
def test_wildcards(granted: str, needed: str, covers: bool) -> None:
    one, other = Access.repository(granted, "pull"), Access.repository(needed, "pull")
    assert one.covers(other, wildcards=True) == covers
    assert not one.covers(other)


def test_the_claim_and_back() -> None:
    access = Access("repository", "a", ("pull",), {"project_path": "a"})
    claim = access.as_claim()
    assert claim == {
        "type": "repository",
        "name": "a",
        "actions": ["pull"],
        "meta": {"project_path": "a"},
    }
    back = Access.from_claim(claim)
    assert (back, back.meta) == (access, access.meta)
    assert "meta" not in Access.repository("a", "pull").as_claim()


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": "pullpush"}, {"actions": ["pull", 5]}, {"actions": None}, {"actions": {}},
        {"actions": [["pull"]]}, {"name": None}, {"name": 5}, {"type": None}, {"type": ["x"]},
        {"meta": "x"}, {"meta": [1]},
    ],
)  # fmt: skip
def test_a_malformed_claim_is_refused(changes: dict[str, Any]) -> None:
    entry = {"type": "repository", "name": "a", "actions": ["pull"], **changes}
    with pytest.raises(InvalidScope):
        Access.from_claim(entry)


@pytest.mark.parametrize("entry", [None, "x", 5, [], ["repository", "a", ["pull"]]])
def test_a_claim_that_is_no_object_is_refused(entry: object) -> None:
    with pytest.raises(InvalidScope):
        Access.from_claim(entry)


def test_scopes_of_one_request() -> None:
    found = parse_scopes(
        ["repository:a:pull  repository:b:pull", "", "repository:a:push", "repository(x):a:pull"]
    )
    assert found == [Access.repository("a", "pull", "push"), Access.repository("b", "pull")]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("a", True), ("a/b", True), ("a.b/c_d/e__f/g-h/i--j", True), ("0", True), ("a" * 255, True),
        ("", False), ("/", False), ("a/", False), ("/a", False), ("a//b", False), ("A", False),
        ("a..b", False), ("a___b", False), ("a_-b", False), ("-a", False), ("a-", False),
        ("a" * 256, False), ("a\n", False), ("é", False), ("a\u0661", False), ("a b", False),
        ("..", False), ("a/../b", False), ("a\\b", False), ("a%2fb", False),
    ],
)  # fmt: skip
def test_names(name: str, is_one: bool) -> None:
    assert is_repository_name(name) == is_one


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"repository(\(\w*\))?:[^:]*(:[^:]*)*", fullmatch=True))
def test_any_text_is_a_scope_or_refused(text: str) -> None:
    try:
        found = Access.parse(text)
    except InvalidScope:
        return
    assert found.name
    assert len(set(found.actions)) == len(found.actions)
    if found.is_well_formed:
        assert Access.parse(str(found)) == found
        assert found.covers(found)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_no_name_takes_long(text: str) -> None:
    is_repository_name(text)
    is_repository_name("a-" * 127 + text)
