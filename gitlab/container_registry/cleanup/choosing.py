"""What somebody has chosen to delete in one image: all that a filter matches, on every page.

It is a cleanup like those of a policy: planned, looked at, run in the background, undone as a
whole. What a rule protects stays here too; ``latest`` goes, where it is among what was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from gitlab.container_registry.cleanup.policy import Protects, Rule, Verdict
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import TagsPage
from gitlab.container_registry.tag_criteria import pattern
from gitlab.refusals import Invalid

_PAGE = 1000
_CHOSEN = "deleted: chosen"


@dataclass(frozen=True)
class Selection:
    """Which tags of which image: `name` is a part of their names, `pattern` one of RE2's for whole
    names, `platform` as in ``linux/arm64``, and whether they are `signed`. Or, where it is
    `untagged`, what no tag points at.
    """

    repository: int
    path: str
    name: str = ""
    pattern: str = ""
    platform: str = ""
    untagged: bool = False
    signed: bool | None = None

    def check(self) -> None:
        """Raises `Invalid` where nothing is chosen, or the pattern is none."""
        pattern(self.pattern, "pattern")
        filters = self.name or self.pattern or self.platform or self.signed is not None
        if not (filters or self.untagged):
            raise Invalid({"__all__": "Filter first: everything is deleted by deleting the image."})

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """From the object that `as_json` gives."""
        return cls(**body)

    def as_json(self) -> dict[str, Any]:
        """For the row of a run."""
        return asdict(self)

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The rules by which a plan judges it, none for tags: those are chosen by name."""
        return [Rule(untagged=True).as_json()] if self.untagged else []

    def in_words(self) -> str:
        """As a sentence, for people."""
        if self.untagged:
            return f"All of {self.path} that no tag points at."
        which = [
            f"have “{self.name}” in their name" if self.name else "",
            f"match {self.pattern} as a whole" if self.pattern else "",
            f"are for {self.platform}" if self.platform else "",
            {None: "", True: "are signed", False: "are not signed"}[self.signed],
        ]
        return f"All tags of {self.path} that {' and '.join(filter(None, which))}."


@dataclass
class Chosen:
    """Takes in the tags that match, page by page; says which go, `most` of them, and which stay."""

    protects: Protects
    most: int

    def __post_init__(self) -> None:
        self.going: list[Verdict] = []
        self.kept: list[Verdict] = []

    @property
    def is_full(self) -> bool:
        """Whether no more goes at once."""
        return len(self.going) >= self.most

    def see(self, page: TagsPage) -> None:
        """Some more tags; what is too much is left for the next plan."""
        for tag in page.tags:
            if why := self.protects(tag.name):
                self.kept.append(Verdict(tag.name, "", 0, False, 0, f"kept: {why}"))
            elif not self.is_full:
                size = tag.size_bytes or 0
                self.going.append(Verdict(tag.name, tag.digest, size, True, 0, _CHOSEN))


def look(
    selection: Selection, chosen: Chosen, registry: Registry, still_ours: Callable[[], bool]
) -> bool:
    """Show `chosen` all tags that match; whether that was all of them. `still_ours` is asked
    between pages, and where it is not, this ends.
    """
    last = ""
    while still_ours():
        page = registry.tags(
            selection.path,
            n=_PAGE,
            last=last,
            sort="name",
            name=selection.name,
            pattern=selection.pattern,
            platform=selection.platform,
            signed=selection.signed,
        )
        chosen.see(page)
        last = page.next_last
        if not last or chosen.is_full:
            return not last
    return False
