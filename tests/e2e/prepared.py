"""A state folder that is prepared once a run, and copied by whoever begins with such a one.

``manage.py prepare`` works for seconds and does the same each time. Where the settings would have
it do something else, with keys and secrets above all, it is run on copied databases: migrating them
is by far the most of it. Those `from_nothing` begin with nothing.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Mapping, Sequence
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
_ALIKE = {"web": ("db/gitlab.sqlite3", "static"), "registry": ("db/registry.sqlite3",)}
"""What each role has that no setting changes."""


def suits(settings: Mapping[str, str]) -> bool:
    """Whether an installation with these settings would prepare the same folder."""
    return not any(name.startswith(_DECIDES) for name in settings)


def alike(settings: Mapping[str, str]) -> list[str]:
    """What is the same below the state folder of any installation that has these roles."""
    roles = settings.get("BERTH__ROLES", "web,registry").split(",")
    names = [name for role in roles for name in _ALIKE.get(role.strip(), ())]
    if "BERTH__DATABASE_URL" in settings or "BERTH__REGISTRY_DATABASE_URL" in settings:
        return [name for name in names if not name.startswith("db/")]
    return names


def copy(folder: Path, to: Path, prepare: Callable[[Path], None], only: Sequence[str] = ()) -> None:
    """Copy what is prepared in `folder`: all of it, or `only` these files and folders.

    The first who asks has `prepare` make it; others wait.
    """
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
    if not only:
        shutil.copytree(home, to, dirs_exist_ok=True)
    for name in only:
        (to / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (home / name).is_dir():
            shutil.copytree(home / name, to / name)
        else:
            shutil.copy2(home / name, to / name)
