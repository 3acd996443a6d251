"""What an administrator looks through now and then: every credential that works, who has no second
factor, what is open to the world. Each list by keys, each row with its remedy.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse

from gitlab.access_tokens import checks, deploy_tokens, job_tokens
from gitlab.access_tokens import services as access_tokens
from gitlab.access_tokens.models import DeployToken, PersonalAccessToken, Runner
from gitlab.accounts.models import User
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import Project, RegistryAccess, Visibility
from gitlab.principals import Person
from gitlab.refusals import Forbidden, NotFound
from gitlab.trusted_issuers import services as trusted_issuers
from gitlab.trusted_issuers.models import TrustedIssuer

ORDER = "id"


@dataclass(frozen=True)
class Line:
    """A row as it is shown and exported. `url` leads to where it is looked after."""

    pk: int
    name: str
    whose: str = ""
    scope: str = ""
    created_at: dt.datetime | None = None
    last_used_at: dt.datetime | None = None
    ends: dt.date | None = None
    url: str = ""


COLUMNS = ("id", "name", "whose", "scope", "created_at", "last_used_at", "ends")


@dataclass(frozen=True)
class Inventory:
    """One list: its rows, how one is shown, and what is done about one (`verb` says what)."""

    title: str
    about: str
    rows: Callable[[], QuerySet[Any]]
    line: Callable[[Any], Line]
    verb: str = ""
    remedy: Callable[[Person, Any], object] | None = None


def as_row(line: Line) -> dict[str, Any]:
    """A line as it is exported, by `COLUMNS`."""
    values = (
        line.pk,
        line.name,
        line.whose,
        line.scope,
        line.created_at.isoformat(timespec="seconds") if line.created_at else "",
        line.last_used_at.isoformat(timespec="seconds") if line.last_used_at else "",
        line.ends.isoformat() if line.ends else "",
    )
    return dict(zip(COLUMNS, values, strict=True))


def mend(by: Person, key: str, pk: int) -> Inventory:
    """Do to one row what its list is for. Raises `Forbidden`, `NotFound`, and what a rule does."""
    if not by.is_superuser:
        raise Forbidden("Only administrators may do this.")
    found = INVENTORIES.get(key)
    row = found.rows().filter(pk=pk).first() if found else None
    if found is None or found.remedy is None or row is None:
        raise NotFound("It is not in this list any more.")
    found.remedy(by, row)
    return found


def _tokens(kind: str, name: str) -> str:
    """The list of tokens of a kind, with those of this name."""
    listed = reverse("admin_area:tokens_of", args=[kind])
    return f"{listed}?{urlencode({'q': name})}"


def _token(row: PersonalAccessToken) -> Line:
    return Line(
        row.pk,
        row.name,
        row.path,
        " ".join(row.scopes),
        row.created_at,
        row.last_used_at,
        row.expires_at,
        _tokens("access", row.name),
    )


def _deploy_token(row: DeployToken) -> Line:
    return Line(
        row.pk,
        row.name,
        row.path,
        " ".join(row.scopes),
        row.created_at,
        row.last_used_at,
        row.expires_at,
        _tokens("deploy", row.name),
    )


def _runner(row: Runner) -> Line:
    path = row.project.full_path
    url = _tokens("runners", row.name)
    return Line(row.pk, row.name, path, "jobs", row.created_at, row.last_used_at, None, url)


def _trust(row: TrustedIssuer) -> Line:
    return Line(
        row.pk,
        row.name,
        row.owner.full_path,
        " ".join(row.actions),
        row.created_at,
        row.last_used_at,
        row.expires_at,
        reverse("admin:trusted_issuers_trustedissuer_change", args=[row.pk]),
    )


def _person(row: User) -> Line:
    scope = "administrator" if row.is_superuser else "external" if row.external else ""
    url = reverse("admin_area:person", args=[row.username])
    return Line(row.pk, row.username, row.email, scope, row.created_at, row.last_login, None, url)


def _project(row: Project) -> Line:
    url = reverse("namespaces:project_edit", kwargs={"path": row.full_path})
    scope = f"registry {row.registry_access}"
    return Line(row.pk, row.full_path, row.namespace.full_path, scope, row.created_at, url=url)


def _image(row: ContainerRepository) -> Line:
    url = reverse("namespaces:project_edit", kwargs={"path": row.project.full_path})
    pushed = row.last_published_at
    return Line(row.pk, row.path, row.project.full_path, "pull", row.created_at, pushed, url=url)


def _owned(model: Any) -> QuerySet[Any]:
    return model.objects.filter(checks.usable()).select_related("project", "namespace")


def _public() -> QuerySet[Project]:
    open_ones = Project.objects.filter(visibility=Visibility.PUBLIC, pending_delete_at__isnull=True)
    return open_ones.select_related("namespace")


def _one_factor() -> QuerySet[User]:
    people = User.objects.filter(state=User.State.ACTIVE, user_type=User.Type.HUMAN)
    own = Authenticator.objects.filter(user=OuterRef("pk"))
    factors = own.exclude(type=Authenticator.Type.RECOVERY_CODES)
    return people.filter(~Exists(factors))


def _open_images() -> QuerySet[ContainerRepository]:
    return ContainerRepository.objects.filter(
        project__visibility=Visibility.PUBLIC,
        project__registry_access=RegistryAccess.ENABLED,
        project__pending_delete_at__isnull=True,
    ).select_related("project")


def _make_private(by: Person, project: Project) -> object:
    return namespaces.update_project(by, project, visibility=Visibility.PRIVATE)


INVENTORIES: dict[str, Inventory] = {
    "access_tokens": Inventory(
        "Access tokens",
        "Tokens of people, projects and groups that work.",
        lambda: PersonalAccessToken.objects.filter(
            checks.usable(), user__state=User.State.ACTIVE
        ).select_related("user", "project", "namespace"),
        _token,
        "Revoke",
        access_tokens.revoke,
    ),
    "deploy_tokens": Inventory(
        "Deploy tokens",
        "Deploy tokens of projects and groups that work.",
        lambda: _owned(DeployToken).select_related("project__namespace", "namespace"),
        _deploy_token,
        "Revoke",
        deploy_tokens.revoke,
    ),
    "runners": Inventory(
        "Runners",
        "Runners whose tokens begin jobs.",
        lambda: Runner.objects.filter(checks.usable()).select_related("project__namespace"),
        _runner,
        "Revoke",
        job_tokens.revoke_runner,
    ),
    "trusted_issuers": Inventory(
        "Trusted issuers",
        "Whose ID tokens log in.",
        lambda: _owned(TrustedIssuer).select_related("project__namespace", "namespace"),
        _trust,
        "Revoke",
        trusted_issuers.revoke,
    ),
    "one_factor": Inventory(
        "One factor", "Active people who have set up no second factor.", _one_factor, _person
    ),
    "public_projects": Inventory(
        "Public projects",
        "Projects that the world sees.",
        _public,
        _project,
        "Make private",
        _make_private,
    ),
    "public_images": Inventory(
        "Open images", "Images that anybody pulls without a login.", _open_images, _image
    ),
}
"""By the last part of each list's address."""
