"""The people of these tests, and their project; mail is on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gitlab.factories import *  # noqa: F403


@pytest.fixture(autouse=True)
def _mail(settings: Any, enqueued: Any) -> None:
    settings.MAIL_ENABLED = True


@pytest.fixture
def app(alice: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice)
