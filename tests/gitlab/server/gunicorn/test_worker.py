"""A worker that can't begin, for which gunicorn gives up where the code is at fault and not where a
descriptor lacks; and what becomes of connections that have failed.
"""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.workers import gthread

from gitlab.server.gunicorn.worker import _TAKEN, BerthWorker, lacks_descriptors
from tests.e2e.installation import PROJECT

pytestmark = pytest.mark.engineless


class Log:
    """A log that nobody reads."""

    def error(self, *arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> BerthWorker:
    """A worker of no server."""
    monkeypatch.setattr("gitlab.server.gunicorn.worker._BEGIN_AGAIN", 0)
    made = BerthWorker.__new__(BerthWorker)
    made.booted, made.log = False, Log()
    return made


def fail(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def init_process(self: Any) -> None:
        try:
            raise error
        except OSError as reason:
            raise RuntimeError("a library says so") from reason

    monkeypatch.setattr(gthread.ThreadWorker, "init_process", init_process)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_without_a_descriptor_it_may_begin_again(
    worker: BerthWorker, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fail(monkeypatch, OSError(number, os.strerror(number)))
    with pytest.raises(SystemExit) as ended:
        worker.init_process()
    assert ended.value.code == 1  # 3 and 4 would end gunicorn.


def test_a_fault_of_the_code_is_gunicorns(
    worker: BerthWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, OSError(errno.ENOENT, "no such file"))
    with pytest.raises(RuntimeError):
        worker.init_process()


def test_what_has_begun_is_gunicorns(worker: BerthWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.booted = True
    fail(monkeypatch, OSError(errno.EMFILE, "too many"))
    with pytest.raises(RuntimeError):
        worker.init_process()


def test_a_hidden_reason_is_found() -> None:
    assert not lacks_descriptors(ValueError("unable to open database file"))
    code = (
        "import os, resource\n"
        "from gitlab.server.gunicorn.worker import lacks_descriptors\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 100))\n"
        "assert lacks_descriptors(ValueError('unable to open database file'))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)


class Connection:
    """A connection of gunicorn's, of which it is seen whether it was closed."""

    def __init__(self) -> None:
        self.sock, self.is_closed = self, False

    def fileno(self) -> int:
        """Open."""
        return 0

    def close(self, graceful: bool = False) -> None:
        """Note it."""
        self.is_closed = True


def test_a_connection_that_has_failed_is_closed_and_counted_out(worker: BerthWorker) -> None:
    """What is raised here would end the worker."""
    worker.nr_conns, connection, done = 2, Connection(), Future[Any]()
    done.set_exception(ZeroDivisionError())
    worker.finish_request(connection, done)
    assert connection.is_closed
    assert worker.nr_conns == 1


def test_a_connection_that_the_event_loop_has_stays_counted(worker: BerthWorker) -> None:
    worker.nr_conns, connection, done = 2, Connection(), Future[Any]()
    done.set_result(_TAKEN)
    worker.finish_request(connection, done)
    assert not connection.is_closed
    assert worker.nr_conns == 2


def test_what_is_loaded_is_not_looked_through_for_garbage(
    worker: BerthWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = [[] for _ in range(1000)]  # type: ignore[var-annotated]
    monkeypatch.setattr(gthread.ThreadWorker, "load_wsgi", lambda self: setattr(self, "wsgi", None))
    worker.tpool = SimpleNamespace(aside=None)  # type: ignore[assignment]
    before, was_on = gc.get_threshold(), gc.isenabled()
    try:
        worker.load_wsgi()
        assert gc.get_freeze_count() > len(loaded)
        assert gc.get_threshold() == (10_000, *before[1:])
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        (gc.enable if was_on else gc.disable)()
