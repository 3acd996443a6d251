"""Deploy tokens of projects and groups: a group's reach everything below it.

They belong to nobody and have a user name of their own. Source:
https://docs.gitlab.com/user/project/deploy_tokens/. Who does something is `by`; refusals are
`NotFound`, `Forbidden` and `Invalid` by argument.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from gitlab.access_tokens import checks, credentials, token_text
from gitlab.access_tokens.models import DeployToken, default_username, is_usable
from gitlab.access_tokens.token_text import Prefix, digest_of
from gitlab.audit.services import record
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import Project, Routable, Route
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Invalid, NotFound
from gitlab.revocations import services as revocations
from gitlab.server.databases import rows

SCOPES: dict[str, str] = {
    "read_repository": "Reserved.",
    "read_registry": "Pull images.",
    "write_registry": "Push images.",
}
"""Every scope that can be stored, and what it is for."""

_USERNAME = re.compile(r"[A-Za-z0-9_.+-]{1,255}")


class DeployTokenRow(NamedTuple):
    """A deploy token as every request for a registry token reads it. Implements `Actor`."""

    id: int
    name: str
    chosen_username: str
    scopes: list[str]
    expires_at: dt.date | None
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None
    last_used_ip: str
    project_id: int | None
    namespace_id: int | None

    @property
    def is_usable(self) -> bool:
        """Whether it may sign in today."""
        return is_usable(self.revoked_at, self.expires_at)

    @property
    def login_name(self) -> str:
        """The name that it signs in with."""
        return self.chosen_username or default_username(self.id)

    @property
    def person_id(self) -> int | None:
        """None: it is no person."""
        return None

    @property
    def username(self) -> str:
        """GitLab's name for it, and never the chosen one, which a person could have too."""
        return default_username(self.id)

    @property
    def label(self) -> str:
        """How the record names it."""
        return f"deploy token {self.name}"


_FIND = """
SELECT id, name, chosen_username, scopes, expires_at, revoked_at, last_used_at, last_used_ip,
project_id, namespace_id FROM access_tokens_deploytoken WHERE digest = %s
"""


def _require(by: Person, owner: Routable, ability: Ability) -> None:
    if isinstance(owner, Project):
        require_in_project(by, owner, ability)
        return
    require_in_namespace(by, owner, ability)
    if not owner.is_group:
        raise NotFound("A person's own namespace has no deploy tokens.")


def create(
    by: Person,
    owner: Routable,
    *,
    name: str,
    scopes: Sequence[str],
    username: str = "",
    expires_at: dt.date | None = None,
) -> tuple[DeployToken, str]:
    """A new deploy token of a project or group, and its text, which nobody can show again.

    Raises `Invalid` for ``name``, ``scopes``, ``username``, ``expires_at``.
    """
    _require(by, owner, Ability.MANAGE_DEPLOY_TOKENS)
    text = token_text.generate(Prefix.DEPLOY)
    columns = {
        "name": checks.check_name(name),
        "scopes": checks.check_scopes(scopes, SCOPES),
        "chosen_username": _check_username(username),
        "expires_at": checks.check_expiry(expires_at),
    }
    with transaction.atomic():
        token = DeployToken.objects.create(
            project=owner if isinstance(owner, Project) else None,
            namespace=None if isinstance(owner, Project) else owner,
            digest=digest_of(text),
            created_by_id=by.person_id,
            **columns,
        )
        _record("create", by, token)
    return token, text


def _check_username(username: str) -> str:
    username = username.strip()
    if not username:
        return ""
    if not _USERNAME.fullmatch(username) or username.startswith("gitlab+"):
        raise Invalid({"username": "Letters, digits and _ . + -, and no other token's name."})
    if Route.objects.filter(full_path=username.lower()).exists():
        raise Invalid({"username": f"“{username}” is a person's or group's name."}, code="taken")
    return username


def _record(verb: str, by: Person, token: DeployToken) -> None:
    path = token.owner.full_path
    record(
        f"deploy_token.{verb}",
        by=by,
        target=token,
        path=path,
        name=token.name,
        scopes=token.scopes,
    )


@transaction.atomic
def revoke(by: Person, token: DeployToken) -> DeployToken:
    """Refuse a token from now on. Twice is the same as once."""
    _require(by, token.owner, Ability.MANAGE_DEPLOY_TOKENS)
    found = DeployToken.objects.filter(pk=token.pk, revoked_at__isnull=True)
    if found.update(revoked_at=timezone.now()):
        _record("revoke", by, token)
        revocations.end_tokens(credential=credentials.of_deploy_token(token.pk))
    token.refresh_from_db(fields=["revoked_at"])
    return token


def tokens_of(by: Person, owner: Routable, *, active: bool | None = None) -> QuerySet[DeployToken]:
    """The tokens of a project or group itself, the newest first; `active`: the usable ones."""
    _require(by, owner, Ability.READ_DEPLOY_TOKENS)
    where = {"project" if isinstance(owner, Project) else "namespace": owner}
    found = DeployToken.objects.filter(**where).order_by("-created_at", "-id")
    if active is None:
        return found
    return found.filter(checks.usable() if active else ~checks.usable())


def get_for(by: Person, owner: Routable, pk: int) -> DeployToken:
    """A token of a project or group, for somebody who may see it."""
    token = tokens_of(by, owner).select_related("project__namespace", "namespace").filter(pk=pk)
    found = token.first()
    if found is None:
        raise NotFound("no such token")
    return found


def looks_like_one(text: str) -> bool:
    """Whether `text` has the prefix of a deploy token."""
    return token_text.is_of(Prefix.DEPLOY, text)


def find(text: str) -> DeployTokenRow | None:
    """The token with this text, usable or not, in one query."""
    if not token_text.may_exist(text):
        return None
    found = rows.read(DeployTokenRow, _FIND, [digest_of(text)])
    return found[0] if found else None


def note_use(token: DeployTokenRow, client_ip: str) -> None:
    """Keep when the token was last used and from where: see `checks.is_use_noted`."""
    if not checks.is_use_noted(token.last_used_at, token.last_used_ip, client_ip=client_ip):
        checks.note_use(
            DeployToken,
            token,
            client_ip=client_ip,
            by=token,
            credential=credentials.of_deploy_token(token.id),
        )
