"""What stands in the way of a push, or another action, in words: docker shows them of pushes.

And in the way of a deletion, where a rule protects the image.

Nobody learns more than they may know. What is said of a project or group is said to those who see
it anyway; a name that is not there and one that is hidden read alike.
"""

from __future__ import annotations

from django.conf import settings

from gitlab.authorization import protections
from gitlab.container_registry.image_paths import ImagePath, ProjectRow
from gitlab.container_registry.protection.reading import RulesOfImages
from gitlab.namespaces import policies
from gitlab.namespaces.models import RegistryAccess
from gitlab.namespaces.paths import check_segment
from gitlab.namespaces.policies import Ability, UserAccess
from gitlab.refusals import Invalid
from tokens.access import Access
from tokens.names import MAX_LEVELS_BELOW

_CARRIES = {"pull": "read", "push": "create", "delete": "delete", "*": "admin"}
"""Action → what the credential has to carry for it."""

_SCOPES = {"pull": "read_registry", "push": "write_registry", "delete": "api", "*": "api"}
_ROLES = {"pull": ("pulling from", "Reporter"), "delete": ("deleting images of", "Maintainer")}


def to(
    action: str,
    name: str,
    image: ImagePath | None,
    reader: UserAccess | None,
    rules: RulesOfImages,
    *,
    carried: frozenset[str],
) -> str:
    """The obstacle to an action (``pull``, ``push``, ``delete``, ``*``) that was not granted.

    `rules` are those of the image.
    """
    if action == "push":
        return (
            _of_rule(action, image, reader, rules)
            or to_push(name, image, reader)
            or _of_scope(action)
        )
    if image is None or reader is None or image.project is None or not _sees(image, reader):
        return f"there is no image {name} here, or you may not see it"
    obstacle = _of_rule(action, image, reader, rules) or _of_image(image)
    if obstacle or _CARRIES[action] not in carried:
        return obstacle or _of_scope(action)
    if action != "pull" and image.project and image.project.archived:
        return _of_settings(image.project)
    what, role = _ROLES.get(action, _ROLES["delete"])
    return f"{what} {image.project_path} takes the role {role} there"


def _of_image(image: ImagePath) -> str:
    """What keeps everybody from an image whose project is there."""
    project = image.project
    assert project is not None
    if project.pending_delete_at is not None or image.namespace.pending_delete_at is not None:
        return f"{project.full_path} is being deleted"
    if project.registry_access == RegistryAccess.DISABLED:
        return _of_settings(project)
    return _too_deep(image) if image.is_too_deep else ""


def _of_scope(action: str) -> str:
    doing = {"pull": "pulling", "push": "pushing"}.get(action, "deleting")
    return f"the credential lacks a scope for {doing}: it needs {_SCOPES[action]}"


def to_all(
    refused: Access,
    image: ImagePath | None,
    reader: UserAccess | None,
    rules: RulesOfImages,
    *,
    carried: frozenset[str],
) -> str:
    """The obstacle to the actions of `refused`, a push first; "" where nothing is to be said.

    `rules` are those of the image, `carried` what the credential carries.
    """
    if set(refused.actions) == {"pull"}:
        return to("pull", refused.name, image, reader, rules, carried=carried)
    actions = [action for action in ("push", "delete") if action in refused.actions]
    for action in actions:
        why = _of_rule(action, image, reader, rules)
        if why:
            return why
    return to_push(refused.name, image, reader) if "push" in actions else ""


def _of_rule(
    action: str, image: ImagePath | None, reader: UserAccess | None, rules: RulesOfImages
) -> str:
    """Why a rule is in the way of what their role would let them do; "" where none is."""
    if action not in _ABILITY or image is None or reader is None or not rules:
        return ""
    if not (_sees(image, reader) and _by_role(image, reader, action)):
        return ""
    return protections.denied(image, rules, reader.rank, action)


_ABILITY = {"push": Ability.PUSH_IMAGE, "delete": Ability.ADMIN_IMAGE}


def _sees(image: ImagePath, reader: UserAccess) -> bool:
    if image.project is None:
        return Ability.READ_GROUP in policies.group_abilities(reader, image.namespace.visibility)
    return Ability.READ_PROJECT in _in_project(image.project, reader)


def _by_role(image: ImagePath, reader: UserAccess, action: str) -> bool:
    """Whether their role would let them, so that the rule is what stands in the way."""
    if image.project is None:
        may = policies.group_abilities(reader, image.namespace.visibility)
        return action == "push" and Ability.CREATE_PROJECT in may
    return _ABILITY[action] in _in_project(image.project, reader)


def _in_project(project: ProjectRow, reader: UserAccess) -> frozenset[Ability]:
    return policies.project_abilities(
        reader, project.visibility, project.registry_access, archived=project.archived
    )


def to_push(name: str, image: ImagePath | None, reader: UserAccess | None) -> str:
    """The obstacle to a push to `name`, "" where nothing is to be said."""
    if image is None or reader is None:
        return _of_nowhere(name)
    return _of_project(image, reader) if image.project else _of_new_project(image, reader)


def _of_nowhere(name: str) -> str:
    """The same for what is not there, what is hidden, and what is seen and nobody may add to.

    No word shows how much of the name is there: a private group may be in a public one.
    """
    if "/" not in name:
        return f"{name} is no name for an image: it begins with a group or a user, then a project"
    return f"there is no group, user or project here in which you may push {name}"


def _of_new_project(image: ImagePath, reader: UserAccess) -> str:
    may = policies.group_abilities(reader, image.namespace.visibility)
    if not {Ability.READ_GROUP, Ability.CREATE_PROJECT} <= may:
        return _of_nowhere(image.path)
    if image.namespace.pending_delete_at is not None:
        return f"{image.namespace.full_path} is being deleted"
    if image.is_too_deep:
        return _too_deep(image)
    if not settings.PUSH_CREATES_PROJECTS:
        return (
            f"there is no project {image.project_path}, and a push makes none here: make it first"
        )
    return _of_name(image)


def _of_name(image: ImagePath) -> str:
    try:
        check_segment(image.new_project, at_top=False)
    except Invalid as error:
        return f"{image.project_path} can't be a project: {' '.join(error.messages)}"
    return ""


def _of_project(image: ImagePath, reader: UserAccess) -> str:
    project = image.project
    assert project is not None
    may = policies.project_abilities(reader, project.visibility, project.registry_access)
    if Ability.READ_PROJECT not in may:
        # As where it is not there: who could make one here would see it.
        return _of_new_project(image, reader)
    if project.pending_delete_at is not None or image.namespace.pending_delete_at is not None:
        return f"{project.full_path} is being deleted"
    obstacle = _of_settings(project)
    if obstacle:
        return obstacle
    if image.is_too_deep:
        return _too_deep(image)
    if Ability.PUSH_IMAGE not in may:
        return f"pushing to {project.full_path} takes the role Developer there"
    return _of_scope("push")


def _of_settings(project: ProjectRow) -> str:
    if project.registry_access == RegistryAccess.DISABLED:
        return f"the container registry is off in {project.full_path}: its settings turn it on"
    if project.archived:
        return f"{project.full_path} is archived: its images can only be pulled"
    return ""


def _too_deep(image: ImagePath) -> str:
    levels = image.rest.count("/") + 1
    return (
        f"{image.path} lies {levels} levels below its project {image.project_path}:"
        f" at most {MAX_LEVELS_BELOW} are possible"
    )
