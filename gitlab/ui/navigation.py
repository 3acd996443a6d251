"""What the frame shows around a page: the shapes that views hand to the templates.

Plain dictionaries with the same keys work as well; these spare a typing error.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Link:
    """One line of the sidebar."""

    label: str
    url: str
    icon: str = ""
    active: bool = False
    badge: str | int = ""


@dataclass(frozen=True)
class Section:
    """Links under a title; the title may be empty."""

    title: str = ""
    links: list[Link] = field(default_factory=list)


@dataclass(frozen=True)
class Heading:
    """Where the reader is: the head of the sidebar (a group, a project, the admin area)."""

    label: str
    url: str
    kind: str = ""
    icon: str = ""
