"""A played registry that says how often it was asked what."""

from __future__ import annotations

from typing import Any

from tests.gitlab.played_registry import PlayedRegistry


class CountedRegistry:
    """Hands every question on; `asked` are their names in order."""

    def __init__(self, played: PlayedRegistry) -> None:
        self._played = played
        self.asked: list[str] = []

    @property
    def own(self) -> Any:
        return self if self._played.own else None

    def __getattr__(self, name: str) -> Any:
        answer = getattr(self._played, name)

        def ask(*arguments: Any, **options: Any) -> Any:
            self.asked.append(name)
            return answer(*arguments, **options)

        return ask
