"""Runs in the installation, as a script: makes the people, projects and images of the catalogue.

Prints one line of JSON with what the cases refer to.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.hashers import PBKDF2PasswordHasher  # noqa: E402

from gitlab.access_tokens import services as access_tokens  # noqa: E402
from gitlab.accounts import services as accounts  # noqa: E402
from gitlab.accounts.models import User  # noqa: E402
from gitlab.namespaces import members, services  # noqa: E402
from registry.services import repositories  # noqa: E402
from tests.registry import images  # noqa: E402

PRIVATE, SECRET = "acme/private-app", "zeta/secret-app"


class FewRounds(PBKDF2PasswordHasher):
    """As in production, but quick to make. The number of rounds is part of the hash."""

    iterations = 1000


def make_people(password: str) -> dict[str, User]:
    """Everybody, with the same password."""
    settings.PASSWORD_HASHERS = ["tests.bad_inputs.seed.FewRounds"]
    names = [
        "owner1",
        "maint1",
        "dev1",
        "rep1",
        "guest1",
        "nonmember1",
        "external1",
        "blocked1",
        "twofa1",
    ]
    people = {
        name: accounts.create_user(
            username=name,
            email=f"{name}@example.com",
            password=password,
            external=name == "external1",
        )
        for name in names
    }
    people["admin1"] = accounts.create_user(
        username="admin1", email="admin1@example.com", password=password, is_superuser=True
    )
    return people


def make_projects(people: dict[str, User]) -> None:
    """acme with its four projects, and zeta, which dev1 does not see."""
    owner, admin = people["owner1"], people["admin1"]
    acme = services.create_group(owner, path="acme", visibility="public")
    for name, visibility in (
        ("private-app", "private"),
        ("internal-app", "internal"),
        ("public-app", "public"),
        ("disabled-app", "public"),
    ):
        services.create_project(
            owner,
            namespace=acme,
            path=name,
            visibility=visibility,
            registry_access="disabled" if name == "disabled-app" else "enabled",
        )
    for name, level in (("maint1", 40), ("dev1", 30), ("rep1", 20), ("guest1", 10)):
        members.add_member(owner, acme, people[name], level)
    members.add_member(owner, acme, people["blocked1"], 30)
    zeta = services.create_group(admin, path="zeta", visibility="private")
    services.create_project(admin, namespace=zeta, path="secret-app", visibility="private")
    accounts.block(people["blocked1"], by=admin)


def blob(digest: str, size: int) -> dict[str, Any]:
    """What ``{{NAME}}`` and ``{{NAME.size}}`` stand for."""
    return {"digest": digest, "size": size}


def make_images() -> dict[str, Any]:
    """The blobs, manifests and tags that cases name."""
    config, one, two = b'{"os":"linux"}', images.content(300), images.content(400)
    m1 = images.push_image(PRIVATE, "v1", config=config, layers=[one, two])
    m2 = images.push_image(PRIVATE, None)
    images.push_index(PRIVATE, "multi", [m1.descriptor, m2.descriptor])
    protected = images.push_image(PRIVATE, "v-protected")
    images.push_image("acme/public-app", "v1")
    secret = images.content(500)
    secret_m = images.push_image(SECRET, "v1", layers=[secret])
    shared = images.content(600)
    for name in (PRIVATE, SECRET):
        images.push_blob(name, shared)
    return {
        "CFG": blob(m1.config, len(config)),
        "L1": blob(m1.layers[0], len(one)),
        "L2": blob(m1.layers[1], len(two)),
        "M1": blob(m1.digest, m1.size),
        "M1.payload": m1.payload.decode(),
        "M_PROT": blob(protected.digest, protected.size),
        "SECRET": blob(secret_m.layers[0], len(secret)),
        "SECRET_M": blob(secret_m.digest, secret_m.size),
        "SHARED": blob(images.push_blob(PRIVATE, shared), len(shared)),
    }


def main() -> None:
    """Everything, and its names on stdout."""
    people = make_people(sys.argv[1])
    make_projects(people)
    made = make_images()
    _, text = access_tokens.create(people["dev1"], name="user", scopes=["read_user"])
    made["PAT_read_user"] = text
    assert repositories.find_id(PRIVATE)
    print("SEEDED " + json.dumps(made))


if __name__ == "__main__":
    main()
