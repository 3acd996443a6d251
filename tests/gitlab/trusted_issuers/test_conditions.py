"""What a trust asks of claims."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gitlab.refusals import Invalid
from gitlab.trusted_issuers.conditions import MOST, check, matches, parse, printed, unmet

pytestmark = pytest.mark.engineless
GITHUB = "https://token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("octo/app", "octo/app", True),
        ("octo/app", "octo/app2", False),
        ("octo/app", "Octo/app", False),
        ("octo/*", "octo/app", True),
        ("octo/*", "octo/", True),
        ("octo/*", "octopus/app", False),
        ("*", "", True),
        ("*", "anything:at/all", True),
        ("repo:octo/*:ref:refs/heads/*", "repo:octo/app:ref:refs/heads/a/b", True),
        ("repo:octo/*:ref:refs/heads/*", "repo:octo/app:pull_request", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*a", "aba", True),
        ("a*b*a", "aa", False),
        ("*b*b*", "b", False),
        ("**", "x", True),
        ("a?c", "abc", False),
        ("[a]", "a", False),
        (".*", "abc", False),
    ],
)
def test_patterns(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected


def test_a_pattern_takes_time_in_proportion() -> None:
    started = time.process_time()
    assert not matches("*a" * 250 + "*b", "a" * 4000)
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("5", 5, True),
        ("5", "5", True),
        ("5", 5.0, False),
        ("true", True, True),
        ("1", True, False),
        ("False", False, False),
        ("false", False, True),
        ("b", ["a", "b"], True),
        ("c", ["a", "b"], False),
        ("3", ["a", 3], True),
        ("*", [], False),
        ("*", None, False),
        ("*", {"a": 1}, False),
        ("*", [["a"], {"a": 1}, None], False),
        ("x", ["a"] * 100 + ["x"], False),
        ("*", "x" * 5000, False),
    ],
)
def test_values(pattern: str, value: Any, expected: bool) -> None:
    assert unmet({"claim": pattern}, {"claim": value}) == ([] if expected else ["claim"])


def test_all_have_to_be_met() -> None:
    asked = {"repository": "octo/app", "ref": "refs/heads/*"}
    assert unmet(asked, {"repository": "octo/app", "ref": "refs/heads/main"}) == []
    assert unmet(asked, {"repository": "octo/app", "ref": "refs/tags/1"}) == ["ref"]
    assert unmet(asked, {}) == ["repository", "ref"]


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"sub": "*"},
        {"sub": "**", "ref": "*"},
        {"iss": "https://x"},
        {"aud": "x"},
        {"exp": "1", "sub": "x"},
        {"": "x"},
        {"sub": ""},
        {"sub": "x" * 501},
        {"s" * 101: "x"},
        {"sub": "a\nb"},
        {f"c{n}": "x" for n in range(MOST + 1)},
    ],
)
def test_refused_wherever_it_is(conditions: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        check("https://ci.example.com", conditions)
    assert refused.value.message_dict.keys() == {"conditions"}


@pytest.mark.parametrize(
    "conditions",
    [
        {"ref": "refs/heads/main"},
        {"actor": "octocat"},
        {"job_workflow_ref": "octo/workflows/.github/workflows/build.yml@main"},
        {"sub": "repo:*/app:ref:refs/heads/main"},
        {"sub": "repo:octo*"},
        {"sub": "*octo/app*"},
        {"repository": "octo*"},
        {"repository": "*/app"},
        {"repository_owner": "octo*"},
        {"repository_id": "1*"},
        {"environment": "production", "event_name": "push"},
    ],
)
@pytest.mark.parametrize("issuer", [GITHUB, f"{GITHUB}/"])
def test_nobody_trusts_everybody_of_a_shared_issuer(
    issuer: str, conditions: dict[str, str]
) -> None:
    with pytest.raises(Invalid) as refused:
        check(issuer, conditions)
    assert refused.value.reason == "everybody"


@pytest.mark.parametrize(
    ("issuer", "conditions"),
    [
        (GITHUB, {"sub": "repo:octo/app:ref:refs/heads/main"}),
        (GITHUB, {"sub": "repo:octo/*"}),
        (GITHUB, {"sub": "repo:octo@12/app@34:*"}),
        (GITHUB, {"repository": "octo/*", "ref": "refs/heads/main"}),
        (GITHUB, {"repository_owner": "octo"}),
        (GITHUB, {"repository_id": "12"}),
        ("https://gitlab.com", {"project_path": "acme/app"}),
        ("https://gitlab.com", {"namespace_path": "acme"}),
        ("https://gitlab.com", {"namespace_path": "acme/*"}),
        ("https://gitlab.com", {"sub": "project_path:acme/*"}),
        ("https://agent.buildkite.com", {"sub": "organization:acme:pipeline:*"}),
        ("https://app.terraform.io", {"terraform_organization_name": "acme"}),
        ("https://accounts.google.com", {"email": "ci@acme.iam.gserviceaccount.com"}),
        ("https://ci.example.com", {"ref": "refs/heads/main"}),
    ],
)
def test_taken(issuer: str, conditions: dict[str, str]) -> None:
    assert check(issuer, conditions) == conditions


def test_what_people_type() -> None:
    typed = "sub = repo:octo/app:*\r\n\n  ref=refs/heads/main \nkey = a=b"
    found = {"sub": "repo:octo/app:*", "ref": "refs/heads/main", "key": "a=b"}
    assert parse(typed) == found
    assert parse(printed(found)) == found


@pytest.mark.parametrize("typed", ["sub", "= x", "sub =", "sub = a\nsub = b"])
def test_what_people_mistype(typed: str) -> None:
    with pytest.raises(Invalid):
        parse(typed)
