"""Settings from a file and an environment of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """``write("[registry]\\n…")``: an environment that names a file with this text."""

    def write_file(text: str) -> dict[str, str]:
        path = tmp_path / "gitlab.toml"
        path.write_text(text)
        return {"GITLAB_CONFIG": str(path)}

    return write_file


@pytest.fixture(autouse=True)
def no_file_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gitlab.config.loading.DEFAULT_FILE", tmp_path / "not-there.toml")
