"""The people of these tests."""

from tests.gitlab.factories import *  # noqa: F403
