"""What Prometheus itself says of our files. Its package is large: ``make monitoring-test``."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """They need a package that nothing else needs, so they run where they are asked for."""
    asked = "monitoring" in str(config.getoption("markexpr"))
    for item in items:
        if item.get_closest_marker("monitoring") and not asked:
            item.add_marker(pytest.mark.skip(reason="runs with make monitoring-test"))
