"""A new person: the row, the password, the personal namespace and the record, in one transaction.

What may be typed is checked by `services`.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, transaction

from gitlab.audit.services import record
from gitlab.namespaces.models import Route
from gitlab.namespaces.services import create_personal_namespace
from gitlab.principals import Actor, Person
from gitlab.refusals import Invalid


def insert(user: AbstractBaseUser, password: str | None, *, by: Actor | None) -> None:
    """Write a person. Raises `Invalid` for ``username`` or ``email`` where it is taken."""
    # Hashed before the transaction: a third of a second is long to hold SQLite's only lock.
    user.set_password(password)
    write(user, by=by)


def write(user: AbstractBaseUser, *, by: Actor | None) -> None:
    """The same for one whose password is hashed already."""
    person = cast(Person, user)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            create_personal_namespace(person)
            more: dict[str, Any] = {} if person.is_active else {"state": getattr(user, "state", "")}
            record("user.create", by=by, target=user, admin=person.is_superuser, **more)
    except IntegrityError as error:
        # A person's name is a route from the moment at which their namespace is there.
        if Route.objects.filter(full_path=person.username).exists():
            taken = f"“{person.username}” is already taken."
            raise Invalid({"username": taken}, code="taken") from error
        raise Invalid({"email": "Somebody has this address already."}, code="taken") from error
