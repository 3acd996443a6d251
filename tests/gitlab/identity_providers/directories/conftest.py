"""A directory that is played, with what the settings say of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gitlab.identity_providers.directories.played_directory import (
    GROUPS,
    PEOPLE,
    PlayedDirectory,
)

SERVER = {"servers": ["ldap://127.0.0.1"], "groups_base": GROUPS}


@pytest.fixture
def directory(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedDirectory]:
    """A directory called ``corp``, whose settings are `directory.settle(key=value)`."""
    from gitlab.config.directory_tables import LDAP
    from gitlab.identity_providers.directories import connections

    played = PlayedDirectory()

    def settle(**keys: Any) -> None:
        table = {**SERVER, "users_base": PEOPLE, **keys}
        settings.DIRECTORIES = {"corp": LDAP(**table)}

    played.settle = settle
    settle(create_users=True, label="Company directory")
    connections.forget()
    monkeypatch.setattr(connections, "opened", played.serving)
    yield played
    connections.forget()


@pytest.fixture
def other(
    directory: PlayedDirectory, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> PlayedDirectory:
    """A second one, called ``lab``, which is asked after the first."""
    from gitlab.config.directory_tables import LDAP
    from gitlab.identity_providers.directories import connections

    played = PlayedDirectory("ou=people,dc=lab,dc=test")
    table = LDAP(servers=["ldap://127.0.0.1"], users_base=played.base, create_users=True)
    settings.DIRECTORIES = {**settings.DIRECTORIES, "lab": table}
    monkeypatch.setattr(
        connections,
        "opened",
        lambda asked: (played if asked.users_base == played.base else directory).serving(asked),
    )
    return played
