"""A state folder that is prepared once a run, and copied by whoever begins with such a one.

``manage.py prepare`` works for seconds and does the same each time. Installations whose settings
would have it do something else are prepared by themselves, and so are those `from_nothing`.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

_DECIDES = (
    "BERTH__ROLES",
    "BERTH__DATABASE_URL",
    "BERTH__REGISTRY_DATABASE_URL",
    "BERTH__SECRET_KEY",
    "BERTH__EVENTS_SECRET",
    "GITLAB_RAILS__",
    "REGISTRY__ENABLE",
    "REGISTRY__HTTP_SECRET",
    "REGISTRY__INTERNAL_",
    "REGISTRY__REGISTRY_ISSUER",
    "REGISTRY__ROOTCERTBUNDLE",
)
"""The settings, or beginnings of them, with which the folder would look different."""


def suits(settings: Mapping[str, str]) -> bool:
    """Whether an installation with these settings would prepare the same folder."""
    return not any(name.startswith(_DECIDES) for name in settings)


def copy(folder: Path, to: Path, prepare: Callable[[Path], None]) -> None:
    """Copy what is prepared in `folder`. The first who asks has `prepare` make it; others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    home, made = folder / "home", folder / "being-made"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            shutil.rmtree(made, ignore_errors=True)
            prepare(made)
            # Those whose bytes are elsewhere have no such folder.
            (made / "registry").rmdir()
            made.rename(home)
    shutil.copytree(home, to, dirs_exist_ok=True)
