"""Which repositories a caller may hear of: what lies elsewhere counts for them, and nothing else.

Whether a digest is known somewhere says something of whoever has pushed it. A number that would
tell it counts, for everybody but GitLab's own jobs, only what the caller's token covers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from tokens.access import Access


@dataclass(frozen=True)
class Visible:
    """Repositories by name, and all below some paths; or, where both are None, all there are."""

    names: tuple[str, ...] | None = None
    below: tuple[str, ...] | None = None

    @classmethod
    def by(cls, accesses: Iterable[Access], *, wildcards: bool) -> Visible:
        """What may be pulled with `accesses`; `wildcards` as in `Access.covers`."""
        pulled = [
            access.name
            for access in accesses
            if access.type == "repository" and {"pull", "*"} & set(access.actions)
        ]
        below = [name[:-2] for name in pulled if wildcards and name.endswith("/*") and name[:-2]]
        return cls(tuple(pulled), tuple(below))

    def condition(self, column: str) -> tuple[str, list[str]]:
        """SQL, with its parameters, that is true where the name in `column` is among them."""
        if self.names is None:
            return "1 = 1", []
        # "0" is the character after "/": a range of the index holds all names below.
        parts = [f"{column} = %s"] * len(self.names)
        parts += [f"({column} > %s AND {column} < %s)"] * len(self.below or ())
        ranges = [end for path in self.below or () for end in (f"{path}/", f"{path}0")]
        return f"({' OR '.join(parts) or '1 = 0'})", [*self.names, *ranges]

    def where(self, field: str) -> Q:
        """The same for a query of the ORM, whose `field` is the name."""
        if self.names is None:
            return Q()
        found = Q(**{f"{field}__in": self.names})
        for path in self.below or ():
            found |= Q(**{f"{field}__gt": f"{path}/", f"{field}__lt": f"{path}0"})
        return found


EVERYTHING = Visible()
"""For GitLab's own jobs."""
