"""How many projects one person's pushes create within an hour."""

from __future__ import annotations

import math

from django.conf import settings

from gitlab.principals import Person
from tokens.limiter import Kind, Limiter, Rate, TooManyRequests

_HOUR = 3600.0
_limiter = Limiter("RATE_LIMITS_STORES")


class TooManyProjects(TooManyRequests):
    """Refused before the project is made."""

    def __init__(self, wait: float) -> None:
        minutes = max(1, math.ceil(wait / 60))
        super().__init__(
            wait,
            f"{settings.PROJECTS_PER_HOUR} projects an hour may come of pushes: make this one in"
            f" GitLab, or push again in {minutes} minutes",
        )


def count(creator: Person) -> None:
    """Count a project that a push is about to create. Raises `TooManyProjects`."""
    most = settings.PROJECTS_PER_HOUR
    if most:
        full = _limiter.take(Kind("projects", (Rate(most, _HOUR),)).of(creator.username))
        if full:
            raise TooManyProjects(max(full.values()))
