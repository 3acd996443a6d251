"""A company that has moved in, so that every page has something to show.

    with company.installed(folder) as (berth, known):
        …

What makes rows runs within the installation, by its console.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e import images
from tests.e2e.images import Image, digest_of
from tests.e2e.installation import Installation, wait_until
from tests.e2e.wire import Wire
from tests.gitlab.container_registry.signatures import signing
from tests.people import PASSWORD

GROUP, PROJECT = "shop", "shop/checkout"
IMAGE, INSIDE = f"{PROJECT}/api", f"{PROJECT}/worker"
PEOPLE = {
    "alice": "Alice Archer", "bob": "Bob Baker", "carol": "Carol Clark", "dora": "Dora Dean",
    "emil": "Emil Ekberg", "fatima": "Fatima Farouk", "george": "George Gray", "hana": "Hana Hori",
}  # fmt: skip
PROJECTS = {
    "shop": {
        "checkout": "Baskets, payments and receipts",
        "catalogue": "What there is to buy, and how it is found",
        "storefront": "The pages that customers see",
        "empty": "",
    },
    "platform": {
        "gateway": "The way in, for every request",
        "builder": "Images in which others are built",
    },
    "data": {"forecast": "What will be sold next week"},
}
PUSHERS = ("alice", "bob", "hana")
VERSIONS = [f"v1.{minor}.{patch}" for minor in range(13) for patch in range(3)]
_AGES = dict(zip(reversed(VERSIONS), range(3, 400, 4), strict=False))
"""Days ago on which each version was pushed."""


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[tuple[Installation, dict[str, Any]]]:
    """The company's installation, with all that has a page switched on.

    Besides what addresses name, by the words that stand for it in `tests.e2e.every_page`.
    """
    providers = {
        f"BERTH__OIDC__{name}__{key}": value
        for name in ("SSO", "PARTNER")
        for key, value in (
            ("ISSUER", f"https://{name.lower()}.example.com"),
            ("CLIENT_ID", "berth"),
            ("CLIENT_SECRET", "a-secret-of-tests"),
            ("LABEL", f"{name.title()} account"),
        )
    }
    # It has to be there where identities may be added, whatever it says.
    trusted = folder / "trusted_root.json"
    trusted.write_text("{}")
    berth = Installation(
        folder / "installation",
        BERTH__PROCESSES="1",
        BERTH__MAIL_TO_LOG="true",
        BERTH__SIGNUP_ENABLED="true",
        BERTH__SIGSTORE_TRUST_ROOT=str(trusted),
        **providers,
    )
    try:
        berth.start()
        yield berth, _known(berth)
    finally:
        berth.discard()


def filled(text: str, known: dict[str, Any]) -> str:
    """`text` with what is known for each word in braces."""
    return re.sub(r"{(.+?)}", lambda found: str(known[found[1]]), text)


def _known(berth: Installation) -> dict[str, Any]:
    """Have them move in."""
    run = "from tests.e2e import company\n"
    berth.run_python(f"{run}company.move_in()")
    pushed = push(berth)
    key = pushed.pop("key")
    found = berth.run_python(f"{run}answer = company.furnish({pushed['digest']!r}, {key!r})")
    wait_until(lambda: berth.run_python(f"{run}answer = company.has_settled()"))
    return {**found, **pushed}


# What makes rows: within the installation


def move_in() -> None:
    """People, groups and projects. Alice owns; some have a password, the same for all."""
    from gitlab.accounts import services as accounts
    from gitlab.accounts.models import User
    from gitlab.namespaces import members, services

    for username, name in PEOPLE.items():
        password = PASSWORD if username == "alice" else None
        email = f"{username}@example.com"
        accounts.create_user(username=username, email=email, name=name, password=password)
    alice = User.objects.get(username="alice")
    # A password is hashed for long, on purpose.
    User.objects.filter(username__in=("emil", *PUSHERS)).update(password=alice.password)
    for path, projects in PROJECTS.items():
        group = services.create_group(alice, path=path, name=path.title())
        for name, description in projects.items():
            services.create_project(alice, namespace=group, path=name, description=description)
        for level, usernames in ((40, "dora"), (30, "bob emil hana"), (20, "carol fatima george")):
            for user in User.objects.filter(username__in=usernames.split()):
                members.add_member(alice, group, user, level)
    builder = services.create_group(alice, path="tools", parent=group, name="Tools")
    services.create_project(alice, namespace=builder, path="lint")


def furnish(digest: str, key: str) -> dict[str, Any]:
    """All else: what the addresses of pages name is answered. `digest` is an image that is inside,
    `key` a public key that has signed it.
    """
    from gitlab.accounts.models import User
    from gitlab.namespaces.models import Namespace, Project

    people = {user.username: user for user in User.objects.all()}
    alice = people["alice"]
    places = {
        "group": Namespace.objects.get(full_path=GROUP),
        "project": Project.objects.get(full_path=PROJECT),
    }
    known: dict[str, Any] = {"bob": people["bob"].pk, "today": f"{dt.datetime.now(dt.UTC):%F}"}
    for kind, place in places.items():
        found = {**_rules(alice, place), **_credentials(alice, place), **_sharing(alice, place)}
        found |= _keys(alice, place, key)
        known |= {f"{name} {kind}": pk for name, pk in found.items()}
    known |= _own(alice) | _invited(alice, places)
    known |= _of_images(alice, digest) | _of_administrators(people)
    _past(places)
    return known


def _rules(alice: Any, place: Any) -> dict[str, int]:
    from gitlab.container_registry.protection import services

    path = place.full_path
    images_rule = services.create_repository_rule(
        alice,
        place,
        repository_path_pattern=f"{path}*prod*",
        minimum_access_level_for_push=40,
        minimum_access_level_for_delete=50,
    )
    tags_rule = services.create_tag_rule(
        alice, place, tag_name_pattern="release-.*", minimum_access_level_for_push=40
    )
    return {"images rule": images_rule.pk, "tags rule": tags_rule.pk}


def _credentials(alice: Any, place: Any) -> dict[str, int]:
    from gitlab.access_tokens import deploy_tokens, resource_tokens
    from gitlab.trusted_issuers import services as trusts

    token, _ = resource_tokens.create(alice, place, name="Release robot", scopes=["write_registry"])
    deploy, _ = deploy_tokens.create(alice, place, name="Cluster Oslo", scopes=["read_registry"])
    trust = trusts.create(
        alice,
        place,
        name="Builds of main",
        issuer="https://ci.example.com",
        conditions={"sub": "repo:acme/checkout:ref:refs/heads/main"},
        actions=["pull", "push"],
    )
    return {"token": token.pk, "deploy token": deploy.pk, "trust": trust.pk}


def _sharing(alice: Any, place: Any) -> dict[str, Any]:
    from gitlab.accounts.models import User
    from gitlab.namespaces import group_links, members
    from gitlab.namespaces.models import Namespace, Project

    invited = Namespace.objects.get(full_path="data")
    member = "george" if isinstance(place, Project) else "bob"
    if isinstance(place, Project):
        members.add_member(alice, place, User.objects.get(username=member), 30)
    return {"link": group_links.share(alice, place, invited, 20).pk, "member": member}


def _keys(alice: Any, place: Any, key: str) -> dict[str, int]:
    from gitlab.container_registry.signatures import identities, services

    held = services.create(alice, place, name="release", key=key)
    identity = identities.add_identity(
        alice,
        place,
        name="Builds of main",
        identity="https://ci.example.com/acme/checkout/build@refs/heads/main",
        issuer="https://ci.example.com",
    )
    return {"key": held.pk, "identity": identity.pk}


def _own(alice: Any) -> dict[str, Any]:
    """What is Alice's alone, and what waits for her."""
    from gitlab.access_tokens import job_tokens, services
    from gitlab.accounts.models import User
    from gitlab.activity import stars
    from gitlab.audit.models import Denial
    from gitlab.identity_providers.models import Identity
    from gitlab.namespaces.models import Project

    project = Project.objects.get(full_path=PROJECT)
    soon = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=4)
    token, _ = services.create(alice, name="Laptop", scopes=["read_registry"], expires_at=soon)
    services.create(alice, name="Reports", scopes=["read_api"])
    for path in (PROJECT, "platform/gateway"):
        stars.star(alice, Project.objects.get(full_path=path))
    now = dt.datetime.now(dt.UTC)
    Denial.objects.create(
        reference="7KQ2M9XW4T", kind="scope", name="carol", credential="password",
        address="192.0.2.7", path=IMAGE, actions="push", first_at=now, last_at=now, count=3,
        reason="it takes the role Developer, and carol is Reporter",
        person_pk=User.objects.get(username="carol").pk,
        project_pk=project.pk, namespace_pk=project.namespace_id,
    )  # fmt: skip
    Identity.objects.create(
        user=alice, provider="partner", issuer="https://partner.example.com", subject="a-27"
    )
    runner, _ = job_tokens.create_runner(alice, project, name="Builder in Oslo")
    return {"token": token.pk, "denial": "7KQ2M9XW4T", "runner": runner.pk}


def _invited(alice: Any, places: dict[str, Any]) -> dict[str, Any]:
    from gitlab.accounts.password_resets.services import link_for
    from gitlab.accounts.sign_ups import services as sign_ups
    from gitlab.invitations import services

    known: dict[str, Any] = {"sign-up": sign_ups._token("ivan@example.com"), "invitation": "word"}
    for kind, place in places.items():
        row = services.invite(alice, place, "ines@example.com", 30)
        known[f"invited {kind}"] = row.pk
    row.digest = services._digest("word")
    row.save(update_fields=["digest"])
    known["uid"], known["reset"] = link_for(alice).rpartition("/")[2].split("-", 1)
    return known


def _of_images(alice: Any, digest: str) -> dict[str, Any]:
    from gitlab.container_registry import deletion, tags
    from gitlab.container_registry.cleanup import requests, services
    from gitlab.container_registry.layers import jobs
    from gitlab.container_registry.layers import requests as files
    from gitlab.container_registry.models import ContainerRepository
    from gitlab.quotas import services as quotas

    rows = {row.path: row for row in ContainerRepository.objects.select_related("project")}
    tags.delete_tags(alice, rows[INSIDE], ["broken"])
    deletion.schedule(alice, rows[f"{PROJECT}/retired"])
    project = rows[IMAGE].project
    quotas.set_quota(alice, project, max_bytes=8 * 2**20, max_images=20)
    quotas.set_quota(alice, project.namespace, max_bytes=40 * 2**20, max_images=None)
    jobs.run(files.request(alice, rows[INSIDE], digest).pk)
    rules = [{"name_regex_delete": "v1\\..*", "keep_n": 9, "older_than": "30d"}]
    services.save_policy(alice, project, enabled=True, rules=rules)
    run = requests.request(alice, project)
    return {"run": run.pk, **{f"image {path}": rows[path].pk for path in (IMAGE, INSIDE)}}


def _of_administrators(people: dict[str, Any]) -> dict[str, int]:
    from gitlab.broadcast_messages import services

    starts = dt.datetime.now(dt.UTC) + dt.timedelta(days=3)
    row = services.create(
        people["root"],
        message="The registry is read only on Saturday from 8:00 to 9:00.",
        starts_at=starts,
        ends_at=starts + dt.timedelta(days=1),
    )
    return {"announcement": row.pk}


def _past(places: dict[str, Any]) -> None:
    """Versions were pushed on other days, pulled since, and what lies there has grown."""
    from gitlab.storage import measuring
    from gitlab.storage.models import DailySize
    from registry.models import DailyPulls, ManifestPulls, Tag

    now = dt.datetime.now(dt.UTC)
    tags = Tag.objects.filter(repository__name=IMAGE, ended_at=None).select_related("manifest")
    for tag in tags:
        days = _AGES.get(tag.name, 1)
        tag.started_at = now - dt.timedelta(days=days, minutes=7 * days)
        tag.started_by = PUSHERS[days % 3]
    Tag.objects.bulk_update(tags, ["started_at", "started_by"])
    chance = random.Random(7)
    pulled = {tag.manifest_id: tag for tag in tags if _AGES.get(tag.name, 0) < 60}
    ManifestPulls.objects.bulk_create(
        ManifestPulls(
            manifest_id=manifest,
            repository_id=tag.repository_id,
            pulls=chance.randrange(3, 90),
            last_at=now - dt.timedelta(hours=chance.randrange(1, 300)),
        )
        for manifest, tag in pulled.items()
    )
    latest = next(tag for tag in tags if tag.name == "latest")
    asked_for = ({}, {"digest": latest.digest}, {"digest": latest.digest, "tag": latest.name})
    DailyPulls.objects.bulk_create(
        DailyPulls(
            repository_id=latest.repository_id,
            day=(now - dt.timedelta(days=day)).date(),
            kind=kind,
            pulls=chance.randrange(2, 40),
            last_at=now - dt.timedelta(days=day),
            **which,
        )
        for day in range(28)
        for kind in ("password", "deploy_token")
        for which in asked_for
    )
    for kind, place in places.items():
        where = {"namespace" if kind == "group" else "project": place}
        DailySize.objects.bulk_create(
            DailySize(
                **where,
                day=(now - dt.timedelta(days=day)).date(),
                size_bytes=(90 - day) * 60_000 + chance.randrange(90_000),
                waiting_bytes=0,
            )
            for day in range(1, 90)
        )
    measuring.measure()


def has_settled() -> bool:
    """Whether the worker has done what it was asked for."""
    from gitlab.container_registry.cleanup.models import CleanupRun
    from gitlab.container_registry.models import DeletedImage

    is_planning = CleanupRun.objects.filter(status=CleanupRun.Status.PLANNING).exists()
    return not is_planning and DeletedImage.objects.exists()


def set_up_app() -> None:
    """Give Emil an authenticator app and recovery codes."""
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
    from allauth.mfa.totp.internal.auth import TOTP

    from gitlab.accounts.factors import standing
    from gitlab.accounts.models import User

    emil = User.objects.get(username="emil")
    TOTP.activate(emil, "A" * 32)
    RecoveryCodes.activate(emil)
    standing.forget(emil)


# What is pushed: by HTTP


def push(berth: Installation) -> dict[str, str]:
    """The images. What the pages of one need to know is answered: digests, and its key in PEM."""
    chance = random.Random(11)
    os = images.layer({"usr/lib/libc.so": chance.randbytes(400_000), "etc/os-release": b"ID=sea"})
    known = _push_inside(berth, os)
    with Wire(berth, f"{PROJECT}/retired", username="alice") as wire:
        wire.push(_image("retired", os), "v0.9.0")
    with Wire(berth, IMAGE, username="alice") as wire:
        for version in VERSIONS:
            layer = images.layer({"app/main": chance.randbytes(chance.randrange(20_000, 200_000))})
            image = _image(version, os, layer)
            wire.push(image, version)
        for tag in ("latest", "stable"):
            wire.push_manifest(image.manifest, tag)
        wire.push(_image("untagged", os))
    sizes = {"shop/catalogue": 300_000, "shop/storefront/web": 900_000, "platform/gateway": 150_000}
    for number, (path, size) in enumerate(sizes.items()):
        with Wire(berth, path, username=PUSHERS[number], actions="pull,push") as wire:
            for version in VERSIONS[:6]:
                layer = images.layer({"app/main": chance.randbytes(size)})
                wire.push(_image(version, os, layer), version)
    return known


def _image(version: str, *layers: bytes) -> Image:
    source = "https://git.example.com/shop/checkout"
    labels = {"version": version, "source": source, "licenses": "Apache-2.0"}
    named = {f"org.opencontainers.image.{name}": value for name, value in labels.items()}
    return Image(layers, labels=named)


def _push_inside(berth: Installation, os: bytes) -> dict[str, str]:
    """An image of two versions, one of which is signed and attested, and a tag that has moved."""
    from tests.e2e.test_inside import attest
    from tests.e2e.test_stories import cosign

    first, second = (
        _image(f"v{n}", os, images.layer({f"app/{n}": b"%d" % n, "app/main": b"m" * n}))
        for n in (1, 2)
    )
    digest, key = digest_of(first.manifest), signing.new_key()
    with Wire(berth, INSIDE, username="alice") as wire:
        wire.push(first, "v1")
        wire.push(second, "v2")
        for image in (second, first):
            wire.push_manifest(image.manifest, "moved")
        wire.push_manifest(first.manifest, "broken")
        attest(wire, first.manifest)
        index = wire.get("manifests/multi").json()
        statement = index["manifests"][-1]["digest"]
        sbom = wire.get(f"manifests/{statement}").json()["layers"][0]["digest"]
    cosign(berth, INSIDE, digest, key)
    return {"digest": digest, "statement": statement, "sbom": sbom, "key": signing.pem(key)}
