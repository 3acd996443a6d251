"""From time to time: who is gone is blocked, groups give and take, and a fault takes nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gitlab.accounts import sign_in
from gitlab.accounts.models import User
from gitlab.identity_providers.directories import sync
from gitlab.identity_providers.models import Identity
from gitlab.namespaces.models import Member
from tests.gitlab.identity_providers.directories.played_directory import PASSWORD, PlayedDirectory

pytestmark = pytest.mark.django_db


@pytest.fixture
def people(directory: PlayedDirectory, alice: Any, make_group: Any) -> list[User]:
    """Three who have come, and are staff."""
    make_group("acme", owner=alice)
    directory.settle(create_users=True, memberships=["staff -> acme developer"])
    found = []
    for uid in ("dora", "emil", "fritz"):
        directory.add(uid, "staff")
        found.append(sign_in.verify(uid, PASSWORD, address=""))
    return found


def states() -> dict[str, str]:
    rows = User.objects.filter(identities__isnull=False)
    return {user.username: user.state for user in rows}


def members() -> set[str]:
    rows = Member.objects.filter(namespace__full_path="acme", given_by__isnull=False)
    return {row.user.username for row in rows.select_related("user")}


def test_who_is_gone_is_blocked(people: Any, directory: PlayedDirectory) -> None:
    directory.leave("dora")
    assert sync.sync() == 3
    assert states() == {"dora": "blocked", "emil": "active", "fritz": "active"}
    assert members() == {"emil", "fritz"}
    assert sync.sync() == 2


def test_groups_give_and_take(people: Any, directory: PlayedDirectory) -> None:
    directory.move(f"uid=emil,{directory.base}")
    sync.sync()
    assert members() == {"dora", "fritz"}
    directory.move(f"uid=emil,{directory.base}", "staff")
    sync.sync()
    assert members() == {"dora", "emil", "fritz"}


def test_who_is_not_let_in_any_more(people: Any, directory: PlayedDirectory) -> None:
    directory.settle(allowed_groups=["staff"])
    directory.move(f"uid=emil,{directory.base}")
    sync.sync()
    assert states()["emil"] == "blocked"


def test_many_at_once_are_a_fault(
    people: Any,
    directory: PlayedDirectory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sync, "FEW", 1)
    directory.people.clear()
    with caplog.at_level(logging.ERROR):
        sync.sync()
    assert set(states().values()) == {"active"}
    assert "3 of 3 are gone" in caplog.text


def test_a_directory_that_is_away_takes_nothing(people: Any, directory: PlayedDirectory) -> None:
    directory.is_away = True
    directory.people.clear()
    assert sync.sync() == 0
    assert set(states().values()) == {"active"}
    assert members() == {"dora", "emil", "fritz"}


def test_one_that_cant_be_told_from_others_is_left_alone(
    people: Any, directory: PlayedDirectory
) -> None:
    directory.people[f"uid=dora,{directory.base}"]["entryuuid"] = []
    sync.sync()
    assert set(states().values()) == {"active"}


def test_those_first_who_were_looked_at_longest_ago(
    people: Any, directory: PlayedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where somebody is gone and stays, since they have an account of their own."""
    monkeypatch.setattr(sync, "MOST", 2)
    Identity.objects.update(made_user=False)
    for uid in ("dora", "emil", "fritz"):
        directory.leave(uid)
    sync.sync()
    sync.sync()
    assert members() == set()


def test_another_directory_under_the_name_knows_nobody(
    people: Any, directory: PlayedDirectory
) -> None:
    directory.settle(users_base="dc=another,dc=test")
    assert sync.sync() == 0


def test_without_a_directory_nothing_is_done(settings: Any) -> None:
    assert settings.DIRECTORIES == {}
    assert sync.sync() == 0
