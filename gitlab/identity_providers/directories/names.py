"""How LDAP writes what is compared: values in filters, the names of groups. Without I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SPECIAL = re.compile(rb"[\x00-\x1f()*\\\x7f-\xff]")
_AROUND = re.compile(r"(?<!\\)\s*(?<!\\)([,=+])\s*")


def escaped(value: str | bytes) -> str:
    """A value as it stands in a filter, whoever has written it: RFC 4515, section 3."""
    text = value.encode() if isinstance(value, str) else value
    return _SPECIAL.sub(lambda found: b"\\%02x" % found[0][0], text).decode("ascii")


def any_of(attributes: Iterable[str], value: str | bytes) -> str:
    """The filter of what has a value in one of these attributes."""
    terms = "".join(f"({attribute}={escaped(value)})" for attribute in attributes)
    return f"(|{terms})"


def group_key(text: str) -> str:
    """A group's name or DN as it is compared: without case, and without blanks between its parts.

    What is escaped stays as it is written, so of two spellings of a DN with such characters one may
    not be found: that gives too little and never too much.
    """
    return _AROUND.sub(r"\1", text.strip()).lower()


def group_keys(dn: str, names: Iterable[str]) -> set[str]:
    """By what a group may be called in the settings.

    A name that looks like a DN is none: else who may name a group could give it another's DN.
    """
    return {group_key(dn)} | {group_key(name) for name in names if "=" not in name}
