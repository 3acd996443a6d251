"""What tests of services share: short delays, and functions that run at once."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections


@pytest.fixture
def short_delays(settings: Any) -> None:
    """An hour of grace and of undo, so that a day is enough for anything."""
    settings.REGISTRY_GC_REVIEW_DELAY = settings.UNDO_WINDOW = dt.timedelta(hours=1)


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Run functions in threads, each with connections of its own; their results or exceptions."""

    def run(*functions: Callable[[], Any]) -> list[Any]:
        results: list[Any] = [None] * len(functions)

        def work(number: int, function: Callable[[], Any]) -> None:
            try:
                results[number] = function()
            except BaseException as error:
                results[number] = error
            finally:
                connections["registry"].close()

        threads = [
            threading.Thread(target=work, args=(number, function), daemon=True)
            for number, function in enumerate(functions)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads), "they wait for each other"
        return results

    return run
