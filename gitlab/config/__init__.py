"""The settings that administrators write. `values` and the tables say what there is; `loading`
reads.
"""

from gitlab.config.configuration import Configuration
from gitlab.config.loading import KEYS, BadConfiguration, Loaded, load
from gitlab.config.values import PROJECT

__all__ = ["KEYS", "PROJECT", "BadConfiguration", "Configuration", "Loaded", "load"]
