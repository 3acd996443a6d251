"""A registry in memory, in the place of the client that pages use."""

from tests.gitlab.played_registry import *  # noqa: F403
