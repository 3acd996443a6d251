from tests.gitlab.factories import *  # noqa: F403
from tests.gitlab.played_registry import *  # noqa: F403
