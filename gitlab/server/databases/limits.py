"""How long a process that serves requests waits for PostgreSQL.

Commands and jobs have no such limit: a migration or a verification may take as long as it takes.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from gitlab.server.databases.postgresql import PATIENCE

_MORE = 2.0
"""Seconds that a server has for ending a statement by itself before it is given up."""

_IDLE = 6
"""A transaction that waits for its own process is ended after so many times the limit."""


def limit(databases: dict[str, dict[str, Any]], timeout: dt.timedelta) -> None:
    """Let statements on PostgreSQL end after `timeout`, waiting for locks included; 0 is no limit.

    To be called before the first connection is made. A transaction whose process has stopped in its
    middle is ended as well, so that others get what it holds.
    """
    milliseconds = round(timeout.total_seconds() * 1000)
    if not milliseconds:
        return
    for database in databases.values():
        if not database["ENGINE"].endswith("postgresql"):
            continue
        options = database["OPTIONS"]
        options["options"] = (
            f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
            f" -c idle_in_transaction_session_timeout={milliseconds * _IDLE}"
        )
        options[PATIENCE] = timeout.total_seconds() + _MORE
