"""A person's roles everywhere, for lists: asked once, looked up for each row."""

from __future__ import annotations

from gitlab import principals
from gitlab.namespaces import policies, user_access
from gitlab.namespaces.models import AccessLevel, Project, Routable
from gitlab.namespaces.paths import prefixes
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody


class Roles:
    """A person's roles everywhere, found in one query and asked for many rows."""

    def __init__(self, user: Anybody) -> None:
        self.user = user
        self.groups: dict[str, int] = {}
        self.projects: dict[int, int] = {}
        person = principals.somebody(user)
        if person is None:
            return
        rows = user_access.live_members().filter(user_id=person.pk)
        for path, project, level in rows.values_list(
            "namespace__full_path", "project_id", "access_level"
        ):
            if path:
                self.groups[path] = level
            else:
                self.projects[project] = level
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
