"""Starting the programs of a Procfile together, and stopping them together.

Each runs in a session of its own, so that Ctrl-C in a terminal reaches us alone and we decide who
stops when. Where we are killed, the kernel asks them to stop (``setpriv``, on Linux): nobody would
watch over them any more, and they would keep the ports. What they print is passed on line by line,
with the name in front.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")
_POLL_INTERVAL = 0.1
STOP_TIMEOUT = 70.0
"""Seconds for a program to finish what it is doing: gunicorn's own 60, and some."""


def read_procfile(path: Path) -> dict[str, str]:
    """The commands by name."""
    matches = (_LINE.match(line) for line in path.read_text().splitlines())
    return {match[1]: match[2] for match in matches if match}


def _dying_with_us() -> list[str]:
    """What starts a program such that it gets a SIGTERM when the thread that started it is gone."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "TERM", "--"] if found else []


@dataclass
class Program:
    """One running command."""

    name: str
    popen: subprocess.Popen[str]
    reader: threading.Thread


class Supervisor:
    """Runs commands until one ends or a signal comes, then ends them all."""

    def __init__(
        self,
        output: TextIO,
        *,
        folder: Path,
        stop_timeout: float = STOP_TIMEOUT,
        names_lines: bool = True,
    ) -> None:
        """`names_lines` puts a program's name before what it prints."""
        self._output = output
        self._names_lines = names_lines
        self._folder = folder
        self._stop_timeout = stop_timeout
        self._programs: list[Program] = []
        self._writing = threading.Lock()
        self._signals = 0

    def say(self, text: str) -> None:
        """Print whole lines; programs that print at the same time don't get in between."""
        with self._writing:
            self._output.write(f"{text}\n")
            self._output.flush()

    def run(
        self,
        commands: Mapping[str, str],
        *,
        is_ready: Callable[[], bool],
        announce: Callable[[], None],
    ) -> int:
        """Run `commands` and call `announce` once `is_ready`. The exit code: 0 after a signal."""
        previous = {
            number: signal.signal(number, self._note_signal)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            width = max(len(name) for name in commands)
            for name, command in commands.items():
                if not self._signals:
                    self._start(name, command, width)
            return self._watch(is_ready, announce)
        finally:
            self._stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _start(self, name: str, command: str, width: int) -> None:
        environment = {
            **os.environ,
            # The commands say `python` and mean ours.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
        }
        popen = subprocess.Popen(
            [*_dying_with_us(), "/bin/sh", "-c", command],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        reader = threading.Thread(
            target=self._pass_on, args=(name.ljust(width), popen), daemon=True
        )
        reader.start()
        self._programs.append(Program(name, popen, reader))

    def _pass_on(self, label: str, popen: subprocess.Popen[str]) -> None:
        assert popen.stdout is not None
        for line in popen.stdout:
            # A terminal that is gone must not stop us from reading: the program would hang.
            with contextlib.suppress(OSError, ValueError):
                text = line.rstrip()
                self.say(f"{label} | {text}" if self._names_lines else text)

    def _watch(self, is_ready: Callable[[], bool], announce: Callable[[], None]) -> int:
        announced = False
        while not self._signals:
            for program in self._programs:
                code = program.popen.poll()
                if code is not None:
                    self.say(f"{program.name} ended with exit code {code}; stopping the rest.")
                    return code if code > 0 else 1
            if not announced and is_ready():
                announced = True
                announce()
            time.sleep(_POLL_INTERVAL)
        self.say("Stopping. What is under way is finished first; Ctrl-C again stops at once.")
        return 0

    def _stop(self) -> None:
        for program in self._programs:
            if program.popen.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    program.popen.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._stop_timeout
        signals = self._signals
        while any(program.popen.poll() is None for program in self._programs):
            if time.monotonic() > deadline or self._signals > max(signals, 1):
                break
            time.sleep(_POLL_INTERVAL)
        for program in self._programs:
            # The whole session: also what a program has left behind.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(program.popen.pid, signal.SIGKILL)
            program.popen.wait()
            program.reader.join(timeout=2)
