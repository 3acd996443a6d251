"""Which names of images GitLab's side can hold, as far as a name alone tells.

Both sides know these rules: GitLab's, which makes groups and projects, and a registry's node that
takes images over and has no GitLab beside it. Sources: OCI distribution specification 1.1, "Pulling
manifests"; what else stands at the top of GitLab's addresses and of ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokens.access import MAX_NAME_LENGTH, is_repository_name

MAX_LEVELS_BELOW = 2
"""Levels that an image may have below its project."""

RESERVED_AT_TOP = frozenset(
    [
        "-",
        "admin",
        "api",
        "assets",
        "dashboard",
        "explore",
        "favicon.ico",
        "files",
        "groups",
        "health",
        "healthz",
        "help",
        "home",
        "import",
        "invites",
        "jwt",
        "login",
        "logout",
        "metrics",
        "new",
        "oauth",
        "profile",
        "profiles",
        "projects",
        "public",
        "registry",
        "robots.txt",
        "s",
        "search",
        "sign_in",
        "sign_out",
        "sign_up",
        "signup",
        "snippets",
        "static",
        "unsubscribe",
        "uploads",
        "user",
        "users",
        "v1",
        "v2",
    ]
)
"""First segments that are, or may become, addresses of Berth itself."""

RESERVED_BELOW = frozenset(
    [
        "-",
        "blobs",
        "manifests",
        "tags",
        "uploads",
        "referrers",
        "_catalog",
        "edit",
        "container_registry",
    ]
)
"""Segments below the first that would make an address of a page or of the registry ambiguous."""


def objection(name: str) -> str:
    """Why no group and project can hold an image called so; nothing where they can.

    The first segment counts as a group and the second as the project.
    """
    if len(name) > MAX_NAME_LENGTH:
        return f"has more than {MAX_NAME_LENGTH} characters"
    if not is_repository_name(name):
        return "has characters that no client accepts in a name"
    top, *below = name.split("/")
    if not below:
        return "has no group"
    if why := reservation(top, at_top=True) or reservation(below[0], at_top=False):
        return why
    return depth(name, 1)


def reservation(segment: str, *, at_top: bool) -> str:
    """Why no group or project can have a segment for its path; nothing where one can."""
    if at_top:
        return f"“{segment}” is reserved at the top" if segment in RESERVED_AT_TOP else ""
    return f"“{segment}” is reserved" if segment in RESERVED_BELOW else ""


def depth(name: str, position: int) -> str:
    """Why an image can't lie in the project whose segment has that position; nothing if it can."""
    segments = name.split("/")
    project = "/".join(segments[: position + 1])
    is_too_deep = len(segments) - 1 - position > MAX_LEVELS_BELOW
    return f"has more than {MAX_LEVELS_BELOW} levels below {project}" if is_too_deep else ""


def objections(names: Iterable[str]) -> dict[str, str]:
    """By name why it can't be held, without those that can."""
    found = ((name, objection(name)) for name in names)
    return {name: why for name, why in found if why}
