"""What a trust asks of an ID token's claims. Pure functions.

A condition is a claim's name and a pattern. ``*`` in it stands for any characters, slashes and
colons too; everything else is compared exactly, upper and lower case apart. All conditions have to
be met. How a claim's value is compared:

    a text            as it is
    a whole number    in decimal digits
    true, false       as ``true``, ``false``
    a list of those   one of its first hundred has to match
    all else          never: null, an object, a number with a fraction, a claim that is not there
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gitlab.refusals import Invalid

MOST = 20
_LONGEST_CLAIM, _LONGEST_PATTERN = 100, 500
_MOST_ELEMENTS = 100
_LONGEST_TEXT = 4096

_ELSEWHERE = frozenset(["iss", "aud", "exp", "iat", "nbf", "jti"])
"""Claims that have a meaning of their own, and are checked anyway."""

_OWNER = r"[^*/]+/"
SHARED_ISSUERS: Mapping[str, Mapping[str, re.Pattern[str]]] = {
    "https://token.actions.githubusercontent.com": {
        "sub": re.compile(rf"repo:{_OWNER}"),
        "repository": re.compile(_OWNER),
        "repository_id": re.compile(r"\d+\Z"),
        "repository_owner": re.compile(r"[^*]+\Z"),
        "repository_owner_id": re.compile(r"\d+\Z"),
    },
    "https://gitlab.com": {
        "sub": re.compile(rf"project_path:{_OWNER}"),
        "project_path": re.compile(_OWNER),
        "project_id": re.compile(r"\d+\Z"),
        "namespace_path": re.compile(rf"{_OWNER}|[^*]+\Z"),
        "namespace_id": re.compile(r"\d+\Z"),
    },
    "https://agent.buildkite.com": {
        "sub": re.compile(r"organization:[^*:]+:"),
        "organization_slug": re.compile(r"[^*]+\Z"),
        "organization_id": re.compile(r"[^*]+\Z"),
    },
    "https://app.terraform.io": {
        "sub": re.compile(r"organization:[^*:]+:"),
        "terraform_organization_name": re.compile(r"[^*]+\Z"),
        "terraform_organization_id": re.compile(r"[^*]+\Z"),
    },
    "https://accounts.google.com": {
        "sub": re.compile(r"\d+\Z"),
        "email": re.compile(r"[^*]+\Z"),
    },
}
"""Issuers whose ID tokens anybody can get. By one of these claims it is said whose they have to be:
the claim, and how a pattern begins that names an owner.

Not ``actor``, ``job_workflow_ref`` or ``ref``: a stranger's pipeline can bring those about.
"""


def matches(pattern: str, text: str) -> bool:
    """Whether `text` is as `pattern` says. Takes time in proportion to both, at the most."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, last = rest
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def unmet(conditions: Mapping[str, str], claims: Mapping[str, Any]) -> list[str]:
    """The names of the claims whose condition is not met."""
    return [
        name
        for name, pattern in conditions.items()
        if not any(matches(pattern, text) for text in _texts(claims.get(name)))
    ]


def _texts(value: Any) -> list[str]:
    """What a claim's value is compared as; nothing where it never matches."""
    if isinstance(value, list):
        return [text for one in value[:_MOST_ELEMENTS] for text in _text(one)]
    return _text(value)


def _text(value: Any) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str) and len(value) <= _LONGEST_TEXT:
        return [value]
    return [str(value)] if isinstance(value, int) else []


def check(issuer: str, conditions: Mapping[str, str]) -> dict[str, str]:
    """The conditions as they are kept. Raises `Invalid` for ``conditions``.

    At least one has to restrict something, and for a shared issuer one has to name an owner: else
    the trust would be one in everybody.
    """
    if len(conditions) > MOST:
        raise Invalid({"conditions": f"At most {MOST}."})
    found = {name.strip(): pattern.strip() for name, pattern in conditions.items()}
    for name, pattern in found.items():
        _check_one(name, pattern)
    if not any(pattern.strip("*") for pattern in found.values()):
        raise Invalid(
            {"conditions": "At least one that is not met by everybody: sub = …, say."},
            code="everybody",
        )
    naming = SHARED_ISSUERS.get(issuer.rstrip("/"))
    if naming is not None and not any(
        name in naming and naming[name].match(pattern) for name, pattern in found.items()
    ):
        raise Invalid(
            {
                "conditions": "Anybody can get ID tokens of this issuer. Say whose they have to be"
                f" by one of {', '.join(naming)}, and name the owner without a *."
            },
            code="everybody",
        )
    return found


def _check_one(name: str, pattern: str) -> None:
    if name in _ELSEWHERE:
        raise Invalid({"conditions": f"{name} has a meaning of its own and is checked anyway."})
    if not 0 < len(name) <= _LONGEST_CLAIM or not name.isprintable():
        raise Invalid({"conditions": f"A claim's name has 1 to {_LONGEST_CLAIM} characters."})
    if not 0 < len(pattern) <= _LONGEST_PATTERN or not pattern.isprintable():
        raise Invalid({"conditions": f"{name} is 1 to {_LONGEST_PATTERN} characters."})


def parse(lines: str) -> dict[str, str]:
    """The conditions that people type: ``claim = pattern``, one a line. Raises `Invalid`."""
    found: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in lines.splitlines())):
        name, separator, pattern = (part.strip() for part in line.partition("="))
        if not separator or not name or not pattern:
            raise Invalid({"conditions": f"“{line[:80]}” is not of the form claim = value."})
        if name in found:
            raise Invalid({"conditions": f"{name} stands there twice."})
        found[name] = pattern
    return found


def printed(conditions: Mapping[str, str]) -> str:
    """The opposite of `parse`, by name: PostgreSQL keeps no order."""
    return "\n".join(f"{name} = {pattern}" for name, pattern in sorted(conditions.items()))
