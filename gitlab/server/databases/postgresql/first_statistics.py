"""The first statistics of tables that have just got their first rows.

Of a table that was never analysed the planner knows nothing, and takes one index for as good as
another: it then goes through all tags of a repository to find one. The server gathers statistics by
itself once a minute at most, or never where its owner has switched that off. Until then each push
to a new installation would cost more than the one before it. So whoever plans anew has such tables
looked for, aside: after a second first, then less and less often.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time

from django.db import Error, connections

log = logging.getLogger(__name__)

_FIRST, _MOST = 1.0, 600.0
"""Seconds between two looks of a process."""

# As the server does, from about so many rows on: fewer are as quickly found in any way.
_YOUNG = """
SELECT quote_ident(schemaname) || '.' || quote_ident(relname) FROM pg_stat_user_tables
WHERE schemaname = current_schema() AND last_analyze IS NULL AND last_autoanalyze IS NULL
AND n_mod_since_analyze >= 50
ORDER BY 1 LIMIT 100
"""

_lock = threading.Lock()
_pauses: dict[str, tuple[float, float]] = {}
"""By alias, when this process looks next, by the monotonic clock, and how long it waits then."""


def look_aside(alias: str) -> None:
    """Have a thread gather what is missing in the database `alias`, where it is time to look."""
    now = time.monotonic()
    with _lock:
        due, pause = _pauses.get(alias, (now, _FIRST))
        if now < due:
            return
        _pauses[alias] = now + pause, min(2 * pause, _MOST)
    # Where the machine has no thread left, the server does it later.
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=_gather, args=(alias,), name="statistics", daemon=True).start()


def _gather(alias: str) -> None:
    try:
        gather(alias)
    except Error as error:
        # The server does it later.
        log.info("first statistics of %s: %s", alias, error)


def gather(alias: str) -> list[str]:
    """Gather the statistics of tables that have rows and none yet; their names.

    On a connection of its own. Raises Django's errors of databases.
    """
    connection = connections.create_connection(alias)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_YOUNG)
            names = [name for (name,) in cursor.fetchall()]
            for name in names:
                # Another process may be at it.
                cursor.execute(f"ANALYZE (SKIP_LOCKED) {name}")
        return names
    finally:
        connection.close()
