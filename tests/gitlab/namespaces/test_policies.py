"""Who may do what, as pure functions."""

from __future__ import annotations

from typing import Any

import pytest

from gitlab.namespaces.policies import (
    NOBODY,
    Ability,
    UserAccess,
    group_abilities,
    may_create_top_level_group,
    project_abilities,
)

IMAGES = {Ability.READ_IMAGE, Ability.PUSH_IMAGE, Ability.DELETE_TAG, Ability.ADMIN_IMAGE}
MEMBER = {level: UserAccess(signed_in=True, level=level) for level in (0, 10, 20, 30, 40, 50)}
ADMIN = UserAccess(signed_in=True, admin=True)
EXTERNAL = UserAccess(signed_in=True, external=True)


@pytest.mark.parametrize(
    ("access", "images"),
    [
        (NOBODY, set()),
        (MEMBER[0], set()),
        (MEMBER[10], set()),
        (MEMBER[20], {Ability.READ_IMAGE}),
        (MEMBER[30], IMAGES - {Ability.ADMIN_IMAGE}),
        (MEMBER[40], IMAGES),
        (MEMBER[50], IMAGES),
        (ADMIN, IMAGES),
    ],
)
def test_images_of_a_private_project(access: Any, images: Any) -> None:
    assert project_abilities(access, "private", "enabled") & IMAGES == images
    assert project_abilities(access, "public", "private") & IMAGES == images


def test_everybody_pulls_from_a_public_project() -> None:
    for access in (NOBODY, EXTERNAL, MEMBER[0], MEMBER[10]):
        assert Ability.READ_IMAGE in project_abilities(access, "public", "enabled")


def test_internal_is_for_who_is_signed_in_and_not_external() -> None:
    assert Ability.READ_IMAGE in project_abilities(MEMBER[0], "internal", "enabled")
    for access in (NOBODY, EXTERNAL):
        assert project_abilities(access, "internal", "enabled") == frozenset()


def test_a_registry_that_is_off_is_off_for_administrators_too() -> None:
    for access in (ADMIN, MEMBER[50]):
        assert not project_abilities(access, "public", "disabled") & IMAGES


def test_the_project_itself() -> None:
    assert Ability.REMOVE_PROJECT not in project_abilities(MEMBER[40], "private", "enabled")
    assert Ability.REMOVE_PROJECT in project_abilities(MEMBER[50], "private", "enabled")
    assert Ability.ADMIN_PROJECT not in project_abilities(MEMBER[30], "private", "enabled")


def test_groups() -> None:
    assert group_abilities(NOBODY, "private") == frozenset()
    assert group_abilities(NOBODY, "private", belongs_below=True) == {Ability.READ_GROUP}
    assert Ability.CREATE_PROJECT not in group_abilities(MEMBER[20], "public")
    assert Ability.CREATE_PROJECT in group_abilities(MEMBER[30], "public")
    external_owner = UserAccess(signed_in=True, external=True, level=50)
    assert Ability.CREATE_PROJECT not in group_abilities(external_owner, "public")
    assert may_create_top_level_group(MEMBER[0])
    assert not may_create_top_level_group(EXTERNAL)
    assert not may_create_top_level_group(NOBODY)
