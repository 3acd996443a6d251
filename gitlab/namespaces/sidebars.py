"""What stands around a page: the sidebar of home, of a group, of a project, and the breadcrumbs.

A view gives its template ``project_frame(project, user, "members", ("Members", ""))`` and what the
page itself needs. What somebody may not do has no link: `loaders` have filled `abilities`.
"""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from gitlab.namespaces.models import Namespace, Project, Routable
from gitlab.namespaces.paths import prefixes
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody
from gitlab.ui.navigation import Heading, Link, Section

Crumb = tuple[str, str]


def url_of(routable: Routable) -> str:
    """The page of a group, a person's own namespace or a project."""
    return reverse("namespaces:overview", kwargs={"path": routable.full_path})


def registry_url(project: Project) -> str:
    """The page of a project's images; "" where this installation has none."""
    try:
        return reverse("container_registry:index", kwargs={"path": project.full_path})
    except NoReverseMatch:
        return ""


def cleanup_url(routable: Routable) -> str:
    """The page of a project's or a group's cleanup; "" where this installation has none."""
    kind = "project" if isinstance(routable, Project) else "group"
    try:
        return reverse(f"cleanup:{kind}", kwargs={"path": routable.full_path})
    except NoReverseMatch:
        return ""


def storage_url(routable: Routable) -> str:
    """The page of what a project or namespace uses; "" where this installation has none."""
    kind = "project" if isinstance(routable, Project) else "group"
    try:
        return reverse(f"quotas:{kind}", kwargs={"path": routable.full_path})
    except NoReverseMatch:
        return ""


def invitations_url(routable: Routable) -> str:
    """The page of who is invited to a project or group."""
    kind = "project" if isinstance(routable, Project) else "group"
    return reverse(f"invitations:{kind}", kwargs={"path": routable.full_path})


def _protection(kind: str, owner: Routable, active: str) -> list[Link]:
    """The pages of what protects images, and of whose signatures count; none where this
    installation has none.
    """
    try:
        url = reverse(f"protection:{kind}_index", kwargs={"path": owner.full_path})
    except NoReverseMatch:
        return []
    keys = reverse(f"signatures:{kind}_keys", kwargs={"path": owner.full_path})
    return [
        Link("Protection", url, "shield", active == "protection"),
        Link("Public keys", keys, "badge-check", active == "public_keys"),
    ]


def _activity(kind: str, owner: Routable, active: str) -> Link:
    """The page of what happened lately."""
    url = reverse(f"activity:{kind}", kwargs={"path": owner.full_path})
    return Link("Activity", url, "activity", active == "activity")


def _storage(owner: Routable, active: str) -> list[Link]:
    """The page of what is used and limited; none where this installation has none."""
    url = storage_url(owner)
    return [Link("Storage", url, "database", active == "storage")] if url else []


def _audit(kind: str, owner: Routable, active: str) -> list[Link]:
    """The pages of what happened and who was denied; none where this installation has none."""
    try:
        url = reverse(f"record:{kind}", kwargs={"path": owner.full_path})
    except NoReverseMatch:
        return []
    denials = reverse(f"record:{kind}_denials", kwargs={"path": owner.full_path})
    return [
        Link("Audit log", url, "scroll-text", active == "audit"),
        Link("Denials", denials, "ban", active == "denials"),
    ]


def _administration(user: Anybody, routable: Routable) -> list[Section]:
    """For administrators, the way back to where all of them are listed."""
    if user is None or not user.is_authenticated or not getattr(user, "is_superuser", False):
        return []
    try:
        if isinstance(routable, Project) or routable.is_group:
            page = "projects" if isinstance(routable, Project) else "groups"
            url = f"{reverse(f'admin_area:{page}')}?{urlencode({'q': routable.full_path})}"
        else:
            url = reverse("admin_area:person", args=[routable.path])
    except NoReverseMatch:
        return []
    return [Section("Administration", [Link("In the admin area", url, "gauge")])]


def breadcrumbs_for(routable: Routable, *more: Crumb) -> list[Crumb]:
    """The path as docker names it, a link each, and `more` below it. The last is the page."""
    crumbs = [
        (path.rpartition("/")[2], reverse("namespaces:overview", kwargs={"path": path}))
        for path in prefixes(routable.full_path)
    ]
    return [*crumbs, *more]


def project_heading(project: Project) -> Heading:
    """The head of a project's sidebar."""
    return Heading(project.name, url_of(project), kind="Project")


def project_sidebar(project: Project, user: Anybody, active: str = "") -> list[Section]:
    """Active: ``overview activity registry cleanup members storage settings protection audit``,
    ``denials``, or a page of `_credentials`.
    """
    at = {"path": project.full_path}
    links = [Link("Overview", url_of(project), "package", active == "overview")]
    links.append(_activity("project", project, active))
    registry = registry_url(project)
    if registry and Ability.READ_IMAGE in project.abilities:
        links.append(Link("Container registry", registry, "container", active == "registry"))
    if registry and Ability.ADMIN_IMAGE in project.abilities:
        links.append(Link("Cleanup", cleanup_url(project), "brush-cleaning", active == "cleanup"))
    if Ability.READ_MEMBERS in project.abilities:
        url = reverse("namespaces:project_members", kwargs=at)
        links.append(Link("Members", url, "users", active == "members"))
    if Ability.PUSH_IMAGE in project.abilities:
        links += _storage(project, active)
    if Ability.ADMIN_PROJECT in project.abilities:
        url = reverse("namespaces:project_edit", kwargs=at)
        links.append(Link("Settings", url, "settings", active == "settings"))
        links += _protection("project", project, active)
        links += _audit("project", project, active)
    credentials = _credentials("project", project, active)
    return [Section("", links), *credentials, *_administration(user, project)]


def _credentials(kind: str, owner: Routable, active: str) -> list[Section]:
    """Active: ``access_tokens``, ``deploy_tokens``, ``trusted_issuers``, ``runners``."""
    tokens, issuers = "access_tokens", "trusted_issuers"
    pages = [
        (Ability.MANAGE_ACCESS_TOKENS, tokens, "access_tokens", "Access tokens", "key-round"),
        (Ability.READ_DEPLOY_TOKENS, tokens, "deploy_tokens", "Deploy tokens", "server"),
        (Ability.MANAGE_TRUSTED_ISSUERS, issuers, issuers, "Trusted issuers", "fingerprint"),
        (Ability.MANAGE_RUNNERS, tokens, "runners", "Runners", "cpu"),
    ]
    links = [
        Link(
            label,
            reverse(f"{room}:{kind}_{page}", kwargs={"path": owner.full_path}),
            icon,
            active == page,
        )
        for ability, room, page, label, icon in pages
        if ability in owner.abilities
    ]
    return [Section("Credentials", links)] if links else []


def project_frame(project: Project, user: Anybody, active: str, *more: Crumb) -> dict[str, Any]:
    """The context of a page of a project: `project`, sidebar, its head, breadcrumbs."""
    return {
        "project": project,
        "heading": project_heading(project),
        "sidebar": project_sidebar(project, user, active),
        "breadcrumbs": breadcrumbs_for(project, *more),
    }


def group_sidebar(group: Namespace, user: Anybody, active: str = "") -> list[Section]:
    """Of a group or a person's own namespace.

    Active: ``overview activity cleanup members storage settings protection audit``, or a page of
    `_credentials`.
    """
    links = [Link("Overview", url_of(group), "folder", active == "overview")]
    if not group.is_group and Ability.CREATE_PROJECT in group.abilities:
        links.append(_activity("group", group, active))
        links += _storage(group, active)
    if group.is_group:
        at = {"path": group.full_path}
        if Ability.READ_MEMBERS in group.abilities:
            links.append(_activity("group", group, active))
            links += _storage(group, active)
            url = reverse("namespaces:group_members", kwargs=at)
            links.append(Link("Members", url, "users", active == "members"))
        cleanup = cleanup_url(group) if Ability.ADMIN_GROUP in group.abilities else ""
        if cleanup:
            links.append(Link("Cleanup", cleanup, "brush-cleaning", active == "cleanup"))
        if Ability.ADMIN_GROUP in group.abilities:
            url = reverse("namespaces:group_edit", kwargs=at)
            links.append(Link("Settings", url, "settings", active == "settings"))
            links += _protection("group", group, active)
            links += _audit("group", group, active)
    credentials = _credentials("group", group, active) if group.is_group else []
    return [Section("", links), *credentials, *_administration(user, group)]


def group_frame(group: Namespace, user: Anybody, active: str, *more: Crumb) -> dict[str, Any]:
    """The context of a page of a group: `group`, sidebar, its head, breadcrumbs."""
    kind = "Group" if group.is_group else "Personal namespace"
    return {
        "group": group,
        "heading": Heading(group.name, url_of(group), kind=kind),
        "sidebar": group_sidebar(group, user, active),
        "breadcrumbs": breadcrumbs_for(group, *more),
    }


def home_sidebar(user: Anybody, active: str = "") -> list[Section]:
    """Active: ``home projects groups explore``, ``profile password factors providers sessions
    tokens audit denials``.
    """
    if user is None or not user.is_authenticated:
        return []
    work = [
        Link("Home", reverse("home"), "house", active == "home"),
        Link("Projects", reverse("namespaces:projects"), "package", active == "projects"),
        Link("Groups", reverse("namespaces:groups"), "folder", active == "groups"),
        Link("Explore", reverse("namespaces:explore"), "globe", active == "explore"),
    ]
    account = [
        Link("Profile", reverse("accounts:profile"), "user", active == "profile"),
        Link("Password", reverse("accounts:password"), "lock", active == "password"),
        Link("Two factors", reverse("mfa_index"), "fingerprint", active == "factors"),
        Link("Sessions", reverse("accounts:sessions"), "monitor", active == "sessions"),
        Link("Access tokens", reverse("access_tokens:index"), "key-round", active == "tokens"),
    ]
    if settings.IDENTITY_PROVIDERS:
        url = reverse("identity_providers:own")
        account.insert(3, Link("Providers", url, "badge-check", active == "providers"))
    with contextlib.suppress(NoReverseMatch):
        account.append(Link("Audit log", reverse("record:own"), "scroll-text", active == "audit"))
        account.append(Link("Denials", reverse("record:own_denials"), "ban", active == "denials"))
    return [Section("Your work", work), Section("Your account", account)]


def home_frame(user: Anybody, active: str, *crumbs: Crumb) -> dict[str, Any]:
    """The context of a page that belongs to no group and no project."""
    return {"sidebar": home_sidebar(user, active), "breadcrumbs": list(crumbs)}
