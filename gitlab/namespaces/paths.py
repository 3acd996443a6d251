"""What a path may look like. Source: OCI distribution specification 1.1, "Pulling manifests"."""

from __future__ import annotations

import re
import unicodedata

from gitlab.namespaces.models import MAX_PATH_LENGTH
from gitlab.refusals import Invalid
from tokens.access import is_repository_name
from tokens.names import RESERVED_AT_TOP, RESERVED_BELOW


def check_segment(path: str, *, at_top: bool, field: str = "path") -> str:
    """`path`, folded to lower case, where it can be one segment of a full path.

    Raises `Invalid` for `field`.
    """
    folded = path.strip().lower()
    if not folded or "/" in folded or not is_repository_name(folded):
        raise Invalid(
            {
                field: "Use lower-case letters and digits, with single . or _ or any - between"
                " them: docker accepts nothing else."
            }
        )
    if folded in (RESERVED_AT_TOP if at_top else RESERVED_BELOW):
        raise Invalid({field: f"“{folded}” is reserved."})
    return folded


MAX_GROUP_PATH = 200
"""Of a group's path, so that the name of a project and of an image has room below it."""


def join(parent: str, segment: str, *, field: str = "path", longest: int = MAX_PATH_LENGTH) -> str:
    """The full path of `segment` below `parent` (which may be ""). Raises `Invalid`."""
    full_path = f"{parent}/{segment}" if parent else segment
    if len(full_path) > longest:
        raise Invalid({field: f"The whole path is longer than {longest} characters."})
    return full_path


def prefixes(full_path: str) -> list[str]:
    """Every prefix of a path, the shortest first, the path itself last: a, a/b, a/b/c."""
    segments = full_path.split("/")
    return ["/".join(segments[: count + 1]) for count in range(len(segments))]


def slug(name: str) -> str:
    """A path made of a name; "" where nothing of it is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
