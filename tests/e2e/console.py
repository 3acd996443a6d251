"""A process with an installation's settings that runs Python for tests, one piece after another.

Starting one takes a second of CPU, most of what tests ask takes nothing. It holds nothing of the
databases between two pieces, as if each had had a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import selectors
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).resolve().parent.parent.parent
_CODE = "from tests.e2e import console; console.answer()"
_TIMEOUT = 120
"""Seconds for one piece of code."""


class Console:
    """The process, with these environment variables. What it logs goes to the end of `log`."""

    def __init__(self, prefix: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.environment = dict(environment)
        with log.open("ab") as file:
            self._popen = subprocess.Popen(
                [*prefix, sys.executable, "manage.py", "shell", "--no-imports", "-c", _CODE],
                cwd=_PROJECT,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )

    @property
    def ended(self) -> bool:
        """Whether the process is there no more."""
        return self._popen.poll() is not None

    def run(self, code: str) -> Any:
        """What `code` assigns to ``answer``. Raises `AssertionError` with the traceback of
        `code`.
        """
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write(f"{json.dumps(code)}\n")
        self._popen.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self._popen.stdout, selectors.EVENT_READ)
            if not selector.select(_TIMEOUT):
                self._popen.kill()
                raise AssertionError(f"no answer after {_TIMEOUT} s:\n{code}")
        line = self._popen.stdout.readline()
        assert line, f"the console ended with {self._popen.wait()}:\n{code}"
        said = json.loads(line)
        if "failure" in said:
            raise AssertionError(f"{code}\n{said['printed']}{said['failure']}")
        return said["answer"]

    def close(self) -> None:
        """End the process."""
        self._popen.kill()
        self._popen.communicate()


def answer() -> None:
    """Run each line of the input, code as a text of JSON, and say what it answered."""
    from django.db import connections

    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    for line in sys.stdin:
        names: dict[str, Any] = {"__name__": "__console__", "answer": None}
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(json.loads(line), names)
            said = {"answer": names["answer"]}
        except BaseException:
            said = {"failure": traceback.format_exc(), "printed": printed.getvalue()}
        finally:
            connections.close_all()
        out.write(json.dumps(said) + "\n")
        out.flush()
