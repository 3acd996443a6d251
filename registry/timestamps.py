"""How the registry writes a moment, in answers and in exports."""

from __future__ import annotations

import datetime as dt


def timestamp(moment: dt.datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    return None if moment is None else moment.astimezone(dt.UTC).isoformat(timespec="milliseconds")
