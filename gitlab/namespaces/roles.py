"""A person's roles everywhere, for lists: asked once, looked up for each row."""

from __future__ import annotations

from typing import NamedTuple

from gitlab import principals
from gitlab.namespaces import policies, user_access
from gitlab.namespaces.models import AccessLevel, Project, Routable
from gitlab.namespaces.paths import prefixes
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody
from gitlab.server.databases import rows


class _Role(NamedTuple):
    full_path: str | None
    project_id: int | None
    access_level: int


_ROLES = """
SELECT n.full_path, own.project_id, own.access_level FROM ({}) AS own
LEFT JOIN namespaces_namespace n ON n.id = own.namespace_id
"""


class Roles:
    """A person's roles everywhere, found in one query and asked for many rows."""

    def __init__(self, user: Anybody) -> None:
        self.user = user
        self.groups: dict[str, int] = {}
        self.projects: dict[int, int] = {}
        person = principals.somebody(user)
        if person is None:
            return
        own, parameters = user_access.own_levels(person)
        for path, project, level in rows.read(_Role, _ROLES.format(own), parameters):
            if path:
                self.groups[path] = max(level, self.groups.get(path, 0))
            elif project:
                self.projects[project] = max(level, self.projects.get(project, 0))
        # One's own namespace, whose path is one's name. A bot has none.
        if not person.is_bot:
            self.groups[person.username] = AccessLevel.OWNER

    def level(self, routable: Routable) -> int:
        """The highest level here and above; 0 for none."""
        own = self.projects.get(routable.pk, 0) if isinstance(routable, Project) else 0
        return max(self.level_above(routable), own)

    def level_above(self, routable: Routable) -> int:
        """The highest level in the groups above, or in the group itself; 0 for none."""
        paths = prefixes(routable.full_path)
        return max((self.groups.get(path, 0) for path in paths), default=0)

    def label(self, routable: Routable) -> str:
        """The role's name, "" for none."""
        level = self.level(routable)
        return AccessLevel(level).label if level else ""

    def abilities(self, project: Project) -> frozenset[Ability]:
        """What the person may do in a project."""
        access = user_access.of_person(self.user, self.level(project))
        return policies.project_abilities(
            access, project.visibility, project.registry_access, archived=project.archived
        )

    def reads_images(self, project: Project) -> bool:
        """Whether the person may know of a project's images."""
        return Ability.READ_IMAGE in self.abilities(project)
