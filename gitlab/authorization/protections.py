"""What protection rules leave of an access, and what its token says of them to the registry."""

from __future__ import annotations

from collections.abc import Collection

from gitlab.container_registry.image_paths import ImagePath
from gitlab.container_registry.protection import reading
from gitlab.container_registry.protection.reading import RuleRow, RulesOfImages, is_too_long
from gitlab.server.databases import rows
from tokens.access import Access

CHANGES = {"push", "delete", "*"}
"""The actions that a rule can limit."""


def rules_of(images: Collection[ImagePath]) -> RulesOfImages:
    """The rules for images, in one query."""
    return RulesOfImages(rows.read(RuleRow, *reading.question(images)) if images else [])


def denied(image: ImagePath, rules: RulesOfImages, rank: int, action: str) -> str:
    """Why a rule keeps somebody of this rank from ``push`` or ``delete``; "" where none does."""
    why = rules.repositories(image).denied(image.path, action, rank)
    if why is None and is_too_long(rules.tags(image)):
        # Without them the token would let somebody do what they may not.
        why = (
            f"the tag rules of {image.project_path} and of the groups above it are too long"
            " together for a token: shorten them"
        )
    return why or ""


def limited(access: Access, image: ImagePath, rules: RulesOfImages, rank: int) -> Access | None:
    """What of `access` the rules leave to somebody of this rank, with their part of its ``meta``.

    ``*`` means all, so it goes as soon as pushing or deleting is denied. None where nothing is
    left.
    """
    if not rules or not CHANGES & set(access.actions):
        return access
    denied_actions = {action for action in ("push", "delete") if denied(image, rules, rank, action)}
    if denied_actions:
        denied_actions.add("*")
    left = access.limited_to(set(access.actions) - denied_actions)
    if left is None:
        return None
    meta = {**access.meta, **rules.tags(image).as_meta(left.actions, rank)}
    return Access(left.type, left.name, left.actions, meta)
