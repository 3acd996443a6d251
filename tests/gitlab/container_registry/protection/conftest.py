"""The people of these tests, and a registry in memory."""

from tests.gitlab.factories import *  # noqa: F403
from tests.gitlab.played_registry import *  # noqa: F403
