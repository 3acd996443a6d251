"""A project with something to clean up."""

from tests.gitlab.container_registry.cleanup.played_cleanup import *  # noqa: F403
