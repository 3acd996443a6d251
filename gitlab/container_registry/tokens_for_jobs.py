"""Tokens that GitLab signs for itself: for the worker and for pages that ask the registry.

They name nobody (no ``sub``), which is how the registry knows them for GitLab's own. Each is for
one path or one global thing, and lives for ten minutes whatever people's tokens do.
"""

from __future__ import annotations

from tokens.access import Access
from tokens.issue import issue

LIFETIME = 600


def for_access(*access: Access) -> str:
    """A token for exactly these."""
    return issue(access, lifetime=LIFETIME).text


def for_repository(path: str, *actions: str) -> str:
    """A token for one image: ``pull``, ``push``, ``delete`` or ``*``."""
    return for_access(Access.repository(path, *actions))


def for_registry(name: str) -> str:
    """A token for something global: ``garbage``, ``events``, ``statistics``, ``catalog``."""
    return for_access(Access("registry", name, ("*",)))


def full_access(*paths: str) -> str:
    """A token for everything in these images."""
    return for_access(*(Access.repository(path, "*") for path in paths))


def pull_nested(path: str) -> str:
    """A token to pull an image and everything below it."""
    return for_access(Access.repository(path, "pull"), Access.repository(f"{path}/*", "pull"))
