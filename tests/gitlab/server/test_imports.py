"""What a command imports at each start, and what is left until somebody needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.installation import PROJECT

pytestmark = pytest.mark.engineless

LEFT = {"redis", "kombu", "celery.app", "httpx", "gitlab.accounts.admin", "gitlab.urls"}
"""Together they take longer than all else that a start imports."""


def test_setup_leaves_what_few_need() -> None:
    code = f"import sys, django; django.setup(); print({LEFT!r} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("set()\n", "")
