"""An administrator's browser."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.gitlab.factories import *  # noqa: F403


@pytest.fixture
def console(root: Any) -> Client:
    client = Client()
    client.force_login(root)
    return client
