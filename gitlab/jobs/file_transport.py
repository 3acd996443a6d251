"""Celery's messages as files, each of which appears whole or not at all.

    <state folder>/broker/queue/<time>_<id>.<queue>.msg        a message
    <state folder>/broker/queue/.<id>.part                     one that is being written
    <state folder>/broker/control/<exchange>.exchange          which queues it feeds

kombu's own transport writes a message in the place where it is read, so that a worker that looks
too early finds an empty file and ends with a JSONDecodeError (celery/kombu#1551); measured here,
within ten seconds of the first start. Here a file is written aside and renamed. Whoever manages to
unlink a message has it.
"""

from __future__ import annotations

import fcntl
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

NAME = "berth-files"
"""The scheme of the broker's URL."""

_LONGEST = 0.2
"""Seconds in which a worker looks at nothing but messages."""

log = logging.getLogger(__name__)


def _write_whole(path: Path, content: object) -> None:
    """`content` as JSON at `path`, where nobody ever sees a part of it."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    part.write_text(dumps(content), encoding="utf-8")
    part.replace(path)


class Channel(filesystem.Channel):
    """kombu's channel with the three operations that were not atomic."""

    # kombu calls the second one "message" in one class and "payload" in the next.
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        """Append a message."""
        name = f"{time_ns() // 1_000_000:015d}_{uuid.uuid4().hex}.{queue}.msg"
        _write_whole(Path(self.data_folder_out) / name, payload)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        """Take the oldest message. Raises `Empty`."""
        folder = Path(self.data_folder_in)
        for path in sorted(folder.glob(f"*.{queue}.msg")):
            if path.name.partition(".")[2] != f"{queue}.msg":
                continue
            try:
                text = path.read_text(encoding="utf-8")
                path.unlink()
            except FileNotFoundError:
                continue  # Another worker was faster.
            try:
                message: dict[str, Any] = loads(text)
            except ValueError:
                log.warning("a message that is no JSON was thrown away: %s", path.name)
                continue
            return message
        raise Empty

    def get_table(self, exchange: str) -> list[filesystem.exchange_queue_t]:
        """The queues that an exchange feeds."""
        try:
            rows = loads(self._exchange_file(exchange).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return []
        return [filesystem.exchange_queue_t(*row) for row in rows]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Let an exchange feed a queue."""
        row = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        if row in self.get_table(exchange):
            return
        with self._control_locked():
            rows = self.get_table(exchange)
            if row not in rows:
                _write_whole(self._exchange_file(exchange), [row, *rows])

    @contextmanager
    def _control_locked(self) -> Iterator[None]:
        """One process at a time changes which queues are fed."""
        folder = Path(self.control_folder)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield


class Transport(filesystem.Transport):
    """The transport of the scheme ``berth-files``."""

    Channel = Channel

    def drain_events(  # type: ignore[override]
        self, connection: Any, timeout: float | None = None
    ) -> Any:
        """See kombu's. Celery asks for two seconds, in which it does not look whether to stop."""
        return super().drain_events(connection, timeout and min(timeout, _LONGEST))


TRANSPORT_ALIASES[NAME] = f"{__name__}:Transport"
