"""Tokens that GitLab signs for itself: for the worker and for pages that ask the registry.

They name nobody (no ``sub``), which is how the registry knows them for GitLab's own, unless a page
does what a person asked for: then they name that person, for the history. Each is for one path or
one global thing, and lives for ten minutes whatever people's tokens do.
"""

from __future__ import annotations

from tokens.access import Access
from tokens.issue import issue

LIFETIME = 600


def for_access(*access: Access, by: str = "") -> str:
    """A token for exactly these. `by` is the username of whoever asked for what will be done."""
    return issue(access, subject=by or None, lifetime=LIFETIME).text


def for_repository(path: str, *actions: str) -> str:
    """A token for one image: ``pull``, ``push``, ``delete`` or ``*``."""
    return for_access(Access.repository(path, *actions))


def for_registry(name: str) -> str:
    """A token for something global: ``garbage``, ``events``, ``statistics``, ``catalog``."""
    return for_access(Access("registry", name, ("*",)))


def to_rename(path: str, new_path: str) -> tuple[Access, ...]:
    """What a rename needs: all of the old path, and to push where the image goes."""
    parent = new_path.rpartition("/")[0]
    return (
        Access.repository(path, "pull", "push"),
        Access.repository(f"{path}/*", "pull"),
        Access.repository(f"{parent}/*" if parent else new_path, "push"),
    )
