"""A task has the id of the request that rang for it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from gitlab.jobs import enqueue
from gitlab.server import request_id
from workers import request_ids

pytestmark = pytest.mark.engineless

TASK_ID = "0b0d3a3e-6d1c-4c57-9d2c-1f6f6d0a3c11"


@pytest.fixture(autouse=True)
def outside_of_requests() -> Iterator[None]:
    request_id.use("")
    yield
    request_id.use("")


def begin(**headers: Any) -> None:
    request_ids._begin(task_id=TASK_ID, task=SimpleNamespace(request=headers))


def test_that_of_its_request() -> None:
    begin(request_id="of-the-page-1")
    assert request_id.current() == "of-the-page-1"
    assert request_id.carried() == {"X-Request-Id": "of-the-page-1"}
    request_ids._end()
    assert request_id.carried() == {}


@pytest.mark.parametrize("given", ["", None])
def test_one_of_its_own_where_nobody_asked(given: str | None) -> None:
    begin(request_id=given)
    assert request_id.current() == TASK_ID.replace("-", "")


def test_nothing_that_breaks_a_line() -> None:
    begin(request_id="a\nforged line")
    assert len(request_id.current()) == 32


def test_the_bell_hands_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    app = SimpleNamespace(send_task=lambda name, **options: sent.append(options))
    monkeypatch.setattr(enqueue, "_app", lambda: app)
    request_id.use("of-the-page-2")
    enqueue.now("a.task", 1)
    assert sent[0]["headers"]["request_id"] == "of-the-page-2"
