"""Berth's settings with one address, which answers nothing."""

from gitlab.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.empty"
