"""Public keys are held, listed, given up here. `by` is who does it.

Whoever administers a project holds its keys (`Ability.ADMIN_PROJECT`), a group's owners those of
the group. Refusals: `NotFound`, `Forbidden`, `Invalid` by argument.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from gitlab.audit.services import record
from gitlab.container_registry.signatures import keys, owned
from gitlab.container_registry.signatures.models import MAX_NAME, PublicKey
from gitlab.container_registry.signatures.owned import where
from gitlab.container_registry.signatures.statements import NamedKey
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.services import hold_namespace, hold_project
from gitlab.principals import Anybody, Person
from gitlab.refusals import Invalid, NotFound

MAX_KEYS = 20
"""Of one project or group. Each signature is tried with each key that holds."""


def require(by: Anybody, owner: Routable) -> None:
    """Raises `NotFound`, `Forbidden` where somebody may not see and change an owner's keys."""
    if isinstance(owner, Project):
        require_in_project(by, owner, Ability.ADMIN_PROJECT)
        return
    require_in_namespace(by, owner, Ability.ADMIN_GROUP)
    if not owner.is_group:
        raise NotFound("A person's own namespace has no keys.")


def keys_of(by: Anybody, owner: Routable) -> QuerySet[PublicKey]:
    """The keys of a project or group itself, in the order in which they were added."""
    require(by, owner)
    return owned.own(PublicKey, owner)


def inherited_by(by: Anybody, owner: Routable) -> QuerySet[PublicKey]:
    """The keys of the groups above, which hold here too."""
    require(by, owner)
    return owned.above(PublicKey, owner)


def named_keys(owner: Routable) -> list[NamedKey]:
    """Those that hold in a project or group, ready to check signatures by."""
    return [
        NamedKey(row.name, row.owner.full_path, row.fingerprint, keys.read_pem(row.pem))
        for row in owned.holding(PublicKey, owner)[: owned.AT_MOST]
    ]


def get_for(by: Anybody, owner: Routable, pk: int) -> PublicKey:
    """A key of a project or group itself. Raises `NotFound`."""
    found = keys_of(by, owner).filter(pk=pk).first()
    if found is None:
        raise NotFound("no such key")
    return found


@transaction.atomic
def create(by: Person, owner: Routable, *, name: str, key: str) -> PublicKey:
    """Let the signatures of a key count, which is given as PEM."""
    held: Routable = hold_project(owner) if isinstance(owner, Project) else hold_namespace(owner)
    require(by, held)
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid({"name": f"Write a name of at most {MAX_NAME} characters."})
    try:
        found = keys.read_pem(key)
    except keys.InvalidKey as error:
        raise Invalid({"key": str(error)}) from error
    there = PublicKey.objects.filter(**where(held))
    if there.count() >= MAX_KEYS:
        raise Invalid({"__all__": f"At most {MAX_KEYS} keys: delete one first."})
    if there.filter(name=name).exists():
        raise Invalid({"name": "There is a key of this name already."}, code="taken")
    fingerprint = keys.fingerprint(found)
    if there.filter(fingerprint=fingerprint).exists():
        raise Invalid({"key": "This key is held already."}, code="taken")
    row = PublicKey.objects.create(
        **where(held),
        name=name,
        pem=keys.pem_of(found),
        fingerprint=fingerprint,
        algorithm=keys.algorithm_of(found),
        created_by_id=by.person_id,
    )
    record("public_key.create", by=by, target=held, name=name, fingerprint=fingerprint)
    return row


@transaction.atomic
def delete(by: Person, row: PublicKey) -> None:
    """Let the signatures of a key count no longer. Twice is the same as once."""
    owner = row.owner
    require(by, owner)
    if PublicKey.objects.filter(pk=row.pk, **where(owner)).delete()[0]:
        record(
            "public_key.delete",
            by=by,
            target=owner,
            name=row.name,
            fingerprint=row.fingerprint,
        )
