"""How the registry writes a moment, in answers and in exports."""

from __future__ import annotations

import datetime as dt


def timestamp(moment: dt.datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    return None if moment is None else moment.astimezone(dt.UTC).isoformat(timespec="milliseconds")


def epoch_seconds(moment: dt.datetime | None) -> float | None:
    """Seconds since the epoch with milliseconds: the same moment as `timestamp` writes, which cuts
    the microseconds off, so that two answers about one thing never differ.
    """
    if moment is None:
        return None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000).timestamp()
