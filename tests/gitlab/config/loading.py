"""What a test says of settings that are refused, and of those that follow from others."""

from __future__ import annotations

import pytest

from gitlab.config import BadConfiguration, load
from gitlab.config.configuration import Configuration


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(BadConfiguration) as caught:
        load(environ)
    return str(caught.value)


def follow(**environ: str) -> Configuration:
    return load(environ).configuration
