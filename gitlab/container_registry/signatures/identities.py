"""Who may sign with a certificate: names that a project or group holds, beside its public keys.

A certificate that is valid for somebody, somewhere, says nothing: here stands which name, vouched
for by whom, counts. `by` is who changes it. Refusals as in `services`.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet

from gitlab.audit.services import record
from gitlab.container_registry.signatures import owned
from gitlab.container_registry.signatures.models import MAX_IDENTITY, MAX_NAME, SigningIdentity
from gitlab.container_registry.signatures.owned import where
from gitlab.container_registry.signatures.services import require
from gitlab.container_registry.signatures.statements import NamedIdentity
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.services import hold_namespace, hold_project
from gitlab.principals import Anybody, Person
from gitlab.refusals import Invalid, NotFound

MAX_IDENTITIES = 20
"""Of one project or group."""


def identities_of(by: Anybody, owner: Routable) -> QuerySet[SigningIdentity]:
    """Those of a project or group itself, in the order in which they were added."""
    require(by, owner)
    return owned.own(SigningIdentity, owner)


def identities_above(by: Anybody, owner: Routable) -> QuerySet[SigningIdentity]:
    """Those of the groups above, which hold here too."""
    require(by, owner)
    return owned.above(SigningIdentity, owner)


def named_identities(owner: Routable) -> list[NamedIdentity]:
    """Those that hold in a project or group, ready to compare with."""
    return [
        NamedIdentity(row.name, row.owner.full_path, row.identity, row.issuer)
        for row in owned.holding(SigningIdentity, owner)[: owned.AT_MOST]
    ]


def get_identity_for(by: Anybody, owner: Routable, pk: int) -> SigningIdentity:
    """One of a project or group itself. Raises `NotFound`."""
    found = identities_of(by, owner).filter(pk=pk).first()
    if found is None:
        raise NotFound("no such identity")
    return found


@transaction.atomic
def add_identity(
    by: Person, owner: Routable, *, name: str, identity: str, issuer: str
) -> SigningIdentity:
    """Let what somebody signs count, whose certificate has this name, vouched for by `issuer`.

    An `identity` that ends in ``*`` means all names that begin so.
    """
    held: Routable = hold_project(owner) if isinstance(owner, Project) else hold_namespace(owner)
    require(by, held)
    name, identity, issuer = name.strip(), identity.strip(), issuer.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid({"name": f"Write a name of at most {MAX_NAME} characters."})
    _check(identity, issuer)
    there = SigningIdentity.objects.filter(**where(held))
    if there.count() >= MAX_IDENTITIES:
        raise Invalid({"__all__": f"At most {MAX_IDENTITIES}: delete one first."})
    if there.filter(name=name).exists():
        raise Invalid({"name": "There is one of this name already."}, code="taken")
    row = SigningIdentity.objects.create(
        **where(held), name=name, identity=identity, issuer=issuer, created_by_id=by.person_id
    )
    record(
        "signing_identity.create", by=by, target=held, name=name, identity=identity, issuer=issuer
    )
    return row


def _check(identity: str, issuer: str) -> None:
    """Raises `Invalid` by argument."""
    start = identity.removesuffix("*")
    if not start or "*" in start or len(identity) > MAX_IDENTITY or not identity.isprintable():
        raise Invalid(
            {"identity": "Write an address, of mail or of a workflow; a * may stand at its end."}
        )
    if identity.endswith("*") and start.count("/") < 4:
        # Of a workflow the owner at least: all of a host is anybody.
        raise Invalid({"identity": "Before a * stands a workflow with its owner at least."})
    if not issuer.startswith("https://") or len(issuer) > MAX_IDENTITY or not issuer.isprintable():
        raise Invalid({"issuer": "Write the address of who vouches for it: https://…"})


@transaction.atomic
def delete_identity(by: Person, row: SigningIdentity) -> None:
    """Let what it names count no longer. Twice is the same as once."""
    owner = row.owner
    require(by, owner)
    if SigningIdentity.objects.filter(pk=row.pk, **where(owner)).delete()[0]:
        record(
            "signing_identity.delete",
            by=by,
            target=owner,
            name=row.name,
            identity=row.identity,
            issuer=row.issuer,
        )
