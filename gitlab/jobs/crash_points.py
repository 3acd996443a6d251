"""Places where a test lets a worker die at once. As in `registry.crash_points`, whose side this is
not.
"""

from __future__ import annotations

import os

from django.conf import settings

POINTS = (
    "image_deleted",
    "tags_deleted",
    "cleanup_planned",
    "cleanup_begun",
    "cleanup_deleted",
    "cleanup_recorded",
    "cleanup_counted",
    "cleanup_restored",
    "layer_read",
    "mail_sent",
)
EXIT_CODE = 137
"""What a shell says of a process that was killed with -9."""


def reached(point: str) -> None:
    """Die here if the settings say so; `gitlab.config` allows that with ``BERTH__DEBUG`` only."""
    if settings.CRASH_AT and point == settings.CRASH_AT:
        os._exit(EXIT_CODE)
