"""The text of tokens: what scanners find, what a checksum says, what is stored."""

from __future__ import annotations

import hashlib
import re

import pytest

from gitlab.access_tokens import token_text
from gitlab.access_tokens.token_text import Prefix

pytestmark = pytest.mark.engineless

# As public scanners (gitleaks and those that took its rules) look for them.
SCANNED = [
    (Prefix.PERSONAL, r"glpat-[\w-]{20}"),
    (Prefix.PERSONAL, r"\bglpat-[0-9a-zA-Z_-]{27,300}\.[0-9a-z]{2}[0-9a-z]{7}\b"),
    (Prefix.DEPLOY, r"gldt-[0-9a-zA-Z_\-]{20}"),
    (Prefix.JOB, r"glcbt-[0-9a-zA-Z]{1,5}_[0-9a-zA-Z_-]{20}"),
    (Prefix.RUNNER, r"glrt-[0-9a-zA-Z_\-]{20}"),
    (Prefix.RUNNER, r"\bglrt-t\d_[0-9a-zA-Z_\-]{27,300}\.[0-9a-z]{2}[0-9a-z]{7}\b"),
]


@pytest.mark.parametrize(("prefix", "rule"), SCANNED)
def test_scanners_find_it(prefix: Prefix, rule: str) -> None:
    for _ in range(20):
        assert re.search(rule, f"TOKEN={token_text.generate(prefix)}\n")


@pytest.mark.parametrize("prefix", list(Prefix))
def test_its_form(prefix: Prefix) -> None:
    text = token_text.generate(prefix)

    assert len(text) == len(prefix) + 34 + 10
    assert text[len(prefix) + 34 :].startswith(".0y")
    assert text != token_text.generate(prefix)
    assert token_text.is_of(prefix, text)
    assert [other for other in Prefix if token_text.is_of(other, text)] == [prefix]


def test_the_checksum_is_of_all_before_it() -> None:
    """Computed by hand with another implementation of CRC-32 and of base 36."""
    assert token_text._checksum("glpat-abc.03") == "086igz2"
    assert token_text._checksum("123456789") == "1kl8mjq"


@pytest.mark.parametrize("prefix", list(Prefix))
def test_no_other_text_may_exist(prefix: Prefix) -> None:
    text = token_text.generate(prefix)

    assert token_text.may_exist(text)
    for position in set(range(len(prefix), len(text))) - {text.index(".")}:
        other = "A" if text[position] != "A" else "B"
        assert not token_text.may_exist(text[:position] + other + text[position + 1 :])
    assert not token_text.may_exist(text[:-1])
    assert not token_text.may_exist(f"{text} ")
    assert not token_text.may_exist(f"{text}\n")


def test_texts_of_before_may_exist() -> None:
    assert token_text.may_exist("glpat-" + "x" * 32)


def test_what_is_stored() -> None:
    text = token_text.generate(Prefix.DEPLOY)

    assert token_text.digest_of(text) == hashlib.sha256(text.encode()).hexdigest()
