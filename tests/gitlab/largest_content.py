"""A thousand of everything that pages list, with the longest names there may be.

A test takes the fixtures with ``from tests.gitlab.largest_content import *``.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone

from gitlab.access_tokens.models import (
    DeployToken,
    Job,
    JobTokenAllowance,
    PersonalAccessToken,
    Runner,
)
from gitlab.accounts.models import User
from gitlab.activity.models import Star
from gitlab.audit.models import AuditEvent, Denial
from gitlab.container_registry.cleanup.models import CleanupBatch, CleanupPolicy, CleanupRun
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.responses import Referrer, SharedBlob, StoredManifest
from gitlab.container_registry.contents.image_config import MAX_CONFIG
from gitlab.container_registry.layers.models import Difference, FileJob
from gitlab.container_registry.models import (
    BulkTagDeletion,
    ContainerRepository,
    DeletedImage,
)
from gitlab.container_registry.protection.models import RepositoryRule, TagRule
from gitlab.container_registry.protection.services import MAX_REPOSITORY_RULES, MAX_TAG_RULES
from gitlab.container_registry.signatures.identities import MAX_IDENTITIES
from gitlab.container_registry.signatures.models import MAX_IDENTITY, PublicKey, SigningIdentity
from gitlab.container_registry.signatures.services import MAX_KEYS
from gitlab.identity_providers.models import Identity
from gitlab.invitations.models import Invitation
from gitlab.namespaces import group_links
from gitlab.namespaces.models import MAX_PATH_LENGTH, GroupLink, Member, Namespace, Project, Route
from gitlab.quotas.models import Quota
from gitlab.storage.measuring import SHARES
from gitlab.storage.models import Candidate, DailySize, Measure
from gitlab.trusted_issuers.models import TrustedIssuer
from tests.gitlab.container_registry.layers.archives import archive, digest_of, gzipped, member
from tests.gitlab.container_registry.layers.played_layers import push, read_all
from tests.gitlab.container_registry.signatures.signing import new_pem
from tests.gitlab.played_registry import MANIFEST, PlayedRegistry, digest

__all__ = ["content", "files", "people", "tags"]

ROWS = 1000
NAME = "💥<&\"'" * 51
TEXT = "💥<&\"'" * 100
GROUP, PROJECT = "acme", "acme/app"
LONG_RULE = {
    "name_regex_delete": "x" * 255,
    "name_regex_keep": "x" * 255,
    "keep_n": 100_000,
    "older_than": "365d",
    "not_pulled_for": "365d",
    "never_pulled": True,
    "untagged": False,
}


def long(beginning: str, number: int, length: int = MAX_PATH_LENGTH) -> str:
    """A path of exactly so many characters, a segment of which has at most 100."""
    start = f"{beginning}{number:04}"
    return start + "x" * (length - len(start))


@pytest.fixture
def people(alice: User) -> Sequence[User]:
    """Alice, and everybody else that there is room for."""
    User.objects.bulk_create(
        User(username=long("p", n, 150), email=f"{long('m', n, 200)}@example.com", name=NAME)
        for n in range(ROWS)
    )
    return list(User.objects.exclude(pk=alice.pk))


def _invited(groups: Any, people: Sequence[User], acme: Namespace, app: Project) -> None:
    """As many groups as can be invited, one of them with everybody in it."""
    some = list(groups.order_by("pk")[: group_links.MOST])
    places: list[dict[str, Any]] = [{"namespace": acme}, {"project": app}]
    GroupLink.objects.bulk_create(
        GroupLink(group=each, group_access=20, **where) for each in some for where in places
    )
    Member.objects.bulk_create(
        Member(user=user, namespace=some[0], access_level=30) for user in people
    )


@pytest.fixture
def content(
    alice: User, people: Sequence[User], make_group: Any, make_project: Any, make_image: Any
) -> None:
    """A thousand of everything that pages list, and an image with as many tags."""
    acme = make_group(GROUP, owner=alice)
    app = make_project(PROJECT, owner=alice)
    image = make_image(f"{PROJECT}/web", of=app)
    _groups(acme)
    _projects(acme)
    Star.objects.bulk_create(Star(user=alice, project=each) for each in Project.objects.all()[:100])
    Member.objects.bulk_create(
        Member(user=user, access_level=30, **where)
        for user in people
        for where in ({"namespace": acme}, {"project": app})
    )
    owned = Namespace.objects.filter(parent=acme)
    Member.objects.bulk_create(
        Member(user=alice, namespace=each, access_level=50) for each in owned
    )
    _invited(owned, people, acme, app)
    PersonalAccessToken.objects.bulk_create(
        PersonalAccessToken(
            user=alice, name=NAME, digest=f"{n:064x}", scopes=["api", "read_registry"]
        )
        for n in range(ROWS)
    )
    _machines(alice, acme, app, people)
    _images(app, people)
    _protection(acme, app)
    _denials(alice, acme, app)
    _public_keys(acme, app, people)
    _sessions(alice)
    _identities(people)
    _invitations(acme, app, people)
    Quota.objects.bulk_create(
        Quota(max_bytes=10**18, max_images=10**9, **where)
        for where in ({"namespace": acme}, {"project": app})
    )
    _measures(acme, app, image)
    AuditEvent.objects.bulk_create(
        AuditEvent(
            actor=alice,
            actor_name=NAME,
            action="tag.delete",
            target_type="container_repository",
            target_id=image.pk,
            target_path=image.path,
            details={"tags": [long("t", tag, 128) for tag in range(100)]},
            credential=f"access_token:{10**17}",
            project_pk=app.pk,
            namespace_pk=acme.pk,
            person_pk=alice.pk,
        )
        for _ in range(ROWS)
    )


def _denials(alice: User, acme: Namespace, app: Project) -> None:
    now = timezone.now()
    Denial.objects.bulk_create(
        Denial(
            reference=f"D{n:04}",
            kind="scope",
            name=NAME,
            credential="c" * 80,
            address="a" * 64,
            path=long("i", n),
            actions="pull,push,delete",
            reason=TEXT[:255],
            person_pk=alice.pk,
            project_pk=app.pk,
            namespace_pk=acme.pk,
            first_at=now,
            last_at=now,
        )
        for n in range(ROWS)
    )


def _sessions(alice: User) -> None:
    keys = [f"{n:032}" for n in range(ROWS)]
    later = timezone.now() + dt.timedelta(days=1)
    Session.objects.bulk_create(Session(session_key=key, expire_date=later) for key in keys)
    UserSession.objects.bulk_create(
        UserSession(user=alice, session_key=key, ip="2001:db8::1", user_agent="<" * 200)
        for key in keys
    )


def _invitations(acme: Namespace, app: Project, people: Sequence[User]) -> None:
    later = timezone.now() + dt.timedelta(days=1)
    for number, where in enumerate(({"namespace": acme}, {"project": app})):
        Invitation.objects.bulk_create(
            Invitation(
                email=f"{long('m', n, 230)}@example.com",
                access_level=30,
                digest=f"{number}{n:063x}",
                created_by=people[n],
                ends_at=later,
                **where,
            )
            for n in range(len(people))
        )


def _identities(people: Sequence[User]) -> None:
    Identity.objects.bulk_create(
        Identity(user=user, provider="p" * 32, issuer="https://x", subject=long("<", n))
        for n, user in enumerate(people)
    )


def _machines(alice: User, acme: Namespace, app: Project, people: Sequence[User]) -> None:
    """Deploy tokens, access tokens of bots, runners with a job each, and what jobs may pull."""
    for number, where in enumerate(({"namespace": acme}, {"project": app})):
        DeployToken.objects.bulk_create(
            DeployToken(
                name=NAME,
                description=TEXT[:255],
                digest=f"de{number}{n:061x}",
                scopes=["read_registry", "write_registry"],
                chosen_username="u" * 255,
                created_by=people[n],
                **where,
            )
            for n in range(ROWS - 1)
        )
        PersonalAccessToken.objects.bulk_create(
            PersonalAccessToken(
                user=people[n],
                name=NAME,
                description=TEXT[:255],
                digest=f"ac{number}{n:061x}",
                scopes=["api", "read_registry"],
                access_level=30,
                **where,
            )
            for n in range(ROWS - 1)
        )
        TrustedIssuer.objects.bulk_create(
            TrustedIssuer(
                name=NAME,
                issuer=f"https://{'i' * 247}",
                audience="a" * 255,
                conditions={f"{'c' * 98}{condition:02}": "<" * 500 for condition in range(20)},
                actions=["pull", "push", "delete"],
                images="x" * 255,
                created_by=people[n],
                **where,
            )
            for n in range(ROWS - 1)
        )
    Runner.objects.bulk_create(
        Runner(name=NAME, digest=f"4a{n:062x}", project=app, created_by=people[n])
        for n in range(ROWS - 1)
    )
    now = timezone.now()
    Job.objects.bulk_create(
        Job(
            runner=runner,
            project=app,
            user=alice,
            name=NAME[:255],
            digest=f"70{runner.pk:062x}",
            ends_at=now,
        )
        for runner in Runner.objects.all()
    )
    JobTokenAllowance.objects.bulk_create(
        JobTokenAllowance(project=app, source=source)
        for source in Project.objects.exclude(pk=app.pk)
    )


def _groups(acme: Namespace) -> None:
    Namespace.objects.bulk_create(
        Namespace(
            kind="group",
            path=(path := long("g", n, 250)),
            full_path=f"{GROUP}/{path}",
            name=NAME,
            description=TEXT,
            parent=acme,
            visibility="public",
        )
        for n in range(ROWS)
    )
    Route.objects.bulk_create(
        Route(full_path=each.full_path, namespace=each)
        for each in Namespace.objects.filter(parent=acme)
    )


def _projects(acme: Namespace) -> None:
    Project.objects.bulk_create(
        Project(
            namespace=acme,
            path=(path := long("r", n, 250)),
            full_path=f"{GROUP}/{path}",
            name=NAME,
            description=TEXT,
            visibility="public",
        )
        for n in range(ROWS)
    )
    added = Project.objects.exclude(full_path=PROJECT)
    Route.objects.bulk_create(Route(full_path=each.full_path, project=each) for each in added)


def _images(app: Project, people: Sequence[User]) -> None:
    names = [long("i", n, MAX_PATH_LENGTH - len(PROJECT) - 1) for n in range(ROWS)]
    ContainerRepository.objects.bulk_create(
        ContainerRepository(
            project=app,
            path=f"{PROJECT}/{name}",
            name=name,
            status="delete_failed",
            failure_reason=TEXT,
            deleted_by=people[0],
        )
        for name in names
    )
    BulkTagDeletion.objects.bulk_create(
        BulkTagDeletion(
            repository=each,
            by=people[0],
            name_regex_delete="x" * 255,
            name_regex_keep="x" * 255,
            status="failed",
            failure_reason=TEXT[:500],
        )
        for each in ContainerRepository.objects.filter(project=app)
    )
    CleanupPolicy.objects.bulk_create(
        CleanupPolicy(project=each, rules=[LONG_RULE] * 10) for each in Project.objects.all()
    )
    CleanupRun.objects.bulk_create(
        CleanupRun(
            project=app,
            status="finished",
            rules=[LONG_RULE] * 10,
            requested_by=people[n],
            approved_by=people[n],
            ended_by=people[n],
            going_count=ROWS,
            deleted_count=ROWS,
            failure_reason=TEXT[:500],
        )
        for n in range(ROWS - 1)
    )
    run = CleanupRun.objects.latest("pk")
    entries = [
        [long("t", n, 128), 10, "x" * 400, "x" * 135, n, "spared", "x" * 200] for n in range(ROWS)
    ]
    CleanupBatch.objects.bulk_create(
        CleanupBatch(
            run=run,
            path=long("i", 0),
            number=number,
            goes=True,
            spared_count=ROWS,
            entries=entries,
        )
        for number in range(1, 11)
    )
    DeletedImage.objects.bulk_create(
        DeletedImage(
            project=app,
            row=n,
            name=name,
            registry_id=n,
            deleted_at=timezone.now() - dt.timedelta(minutes=n),
            deleted_by=people[0],
        )
        for n, name in enumerate(names)
    )


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand tags of an image, and a thousand deleted ones."""
    played = PlayedRegistry()
    monkeypatch.setattr(clients, "for_pages", lambda: played)
    path = f"{PROJECT}/web"
    words = [f"{'o' * 255}/{'a' * 255}/{n}" for n in range(64)]
    for number in range(ROWS):
        played.push(path, long("t", number, 128), by=long("p", 0, 150), platforms=words)
    for number in range(ROWS):
        played.push(path, long("d", number, 128))
        played.delete_tag(path, long("d", number, 128), by=long("p", 0, 150))
    _put_image(played)
    _put_sbom(played)


def _put_image(played: PlayedRegistry) -> None:
    """The image of all these tags, with as much to say as is read, and a thousand referrers."""
    words = [TEXT] * 110
    named = {f"{number}{TEXT}": TEXT for number in range(110)}
    said: dict[str, Any] = {"os": "linux", "author": TEXT}
    said["config"] = {
        **dict.fromkeys(("Entrypoint", "Cmd", "Shell", "OnBuild", "Env"), words),
        **dict.fromkeys(("Labels", "Volumes"), named),
    }
    steps = [{"created_by": f"RUN {TEXT * 2}"}] * 150 + [{"created_by": "RUN x"}] * 10_000
    said["history"] = steps
    body = json.dumps(said, ensure_ascii=False).encode()
    assert len(body) < MAX_CONFIG
    played.blobs[digest("c")] = body
    config = {
        "digest": digest("c"),
        "size": len(body),
        "mediaType": "application/vnd.oci.image.config.v1+json",
    }
    layers = [
        {"digest": f"sha256:{n:064x}", "size": 1, "mediaType": "x/image.layer"}
        for n in range(10_000)
    ]
    document = {"config": config, "layers": layers, "annotations": said["config"]["Labels"]}
    played.manifests[digest("a")] = StoredManifest(MANIFEST, json.dumps(document).encode())
    many = [
        Referrer(f"sha256:{n:064x}", MANIFEST, 1, NAME, {"predicateType": TEXT})
        for n in range(ROWS)
    ]
    played.referring = {digest("a"): many, **{each.digest: many for each in many}}
    played.shared = {
        layer["digest"]: SharedBlob(layer["digest"], ROWS, (long("i", 0),) * 5) for layer in layers
    }


def _put_sbom(played: PlayedRegistry) -> None:
    """An SBOM of as many packages as are read."""
    package = {"name": NAME, "versionInfo": TEXT, "licenseDeclared": TEXT}
    said = {"spdxVersion": "SPDX-2.3", "packages": [package] * 5000}
    played.blobs[digest("5")] = json.dumps(said, ensure_ascii=False).encode()
    layer = {"digest": digest("5"), "size": 1, "mediaType": "application/spdx+json"}
    document = json.dumps({"layers": [layer] * ROWS, "artifactType": TEXT}).encode()
    played.manifests[digest("b")] = StoredManifest(MANIFEST, document)


@pytest.fixture
def files(content: None, tags: None) -> str:
    """An image of as many layers as there may be, whose files have been listed."""
    played: Any = clients.for_pages()
    names = [f"{n:04}{TEXT[:240]}" for n in range(ROWS // 10)]
    common = archive(*(member(f"{name}/{TEXT[:200]}") for name in names))
    layers = [common, *(archive(member(f"f{n}{TEXT}")) for n in range(126))]
    steps = [{"created_by": TEXT} for _ in layers]
    digest = push(played, *layers, config={"history": steps})
    row = ContainerRepository.objects.get(path=f"{PROJECT}/web")
    digests = [digest_of(gzipped(layer)) for layer in layers]
    read_all(played, digests)
    FileJob.objects.create(repository=row, digest=digest, layers=digests, status="finished")
    changed = [f"{TEXT}{'p' * 3000}{n}" for n in range(100)]
    job = FileJob.objects.create(
        repository=row,
        digest=digest,
        other=row,
        other_digest=other_image(),
        status="finished",
        totals={kind: {"count": 10**6, "bytes": 2**62} for kind in ("added", "removed", "changed")},
    )
    Difference.objects.bulk_create(
        Difference(
            job=job,
            change="changed",
            number=number,
            entries=[[path, "file", "link", 1, 2**62, 1, 127, ["content"]] for path in changed],
        )
        for number in range(2)
    )
    return digest


def other_image() -> str:
    """One that differs in all from the first."""
    words = {f"{n}{TEXT}": TEXT for n in range(ROWS)}
    config = {
        "config": {"Env": [f"V{n}={TEXT}" for n in range(ROWS)], "Labels": words},
        "history": [],
    }
    layers = (archive(member(f"g{n}")) for n in range(127))
    return push(clients.for_pages(), *layers, config=config)


def _measures(acme: Namespace, app: Project, image: ContainerRepository) -> None:
    """Of all there is, with as many shares and candidates as are kept."""
    now = {"measured_at": timezone.now(), "alone_bytes": 2**40, "size_bytes": 2**62}
    below = (
        ("project", Project.objects.filter(namespace=acme)),
        ("namespace", Namespace.objects.filter(parent=acme)),
        ("repository", ContainerRepository.objects.filter(project=app).exclude(pk=image.pk)),
    )
    Measure.objects.bulk_create(
        Measure(**now, **{f"{name}_id": pk})
        for name, rows in below
        for pk in rows.values_list("pk", flat=True)
    )
    names = [long("t", n, 128) for n in range(3)]
    shares = [[names, 10**6, 2**62, 2**40] for _ in range(SHARES)]
    Measure.objects.bulk_create(
        [Measure(**now, namespace=acme), Measure(**now, repository=image, shares=shares)]
    )
    Candidate.objects.bulk_create(
        Candidate(repository_id=pk, names=names * 3, freed_bytes=2**62, freed_at_top_bytes=2**62)
        for pk in ContainerRepository.objects.values_list("pk", flat=True)
    )
    today = timezone.now().date()
    DailySize.objects.bulk_create(
        DailySize(day=today - dt.timedelta(days=n), size_bytes=2**62, waiting_bytes=0, **of)
        for n in range(400)
        for of in ({"namespace": acme}, {"project": app})
    )


def rules_of(path: str) -> list[dict[str, Any]]:
    """One rule of each kind of a group or project, of as many as there may be."""
    where = {"project__full_path": path} if "/" in path else {"namespace__full_path": path}
    kinds = (("tags", TagRule), ("images", RepositoryRule))
    return [{"of": of, "pk": kind.objects.filter(**where).latest("pk").pk} for of, kind in kinds]


def _protection(acme: Namespace, app: Project) -> None:
    for where in ({"namespace": acme}, {"project": app}):
        TagRule.objects.bulk_create(
            TagRule(tag_name_pattern=long("x", n, 100), **where) for n in range(MAX_TAG_RULES)
        )
        RepositoryRule.objects.bulk_create(
            RepositoryRule(below=f"/{long('*', n, 240)}", minimum_access_level_for_push=40, **where)
            for n in range(MAX_REPOSITORY_RULES)
        )


def _public_keys(acme: Namespace, app: Project, people: Sequence[User]) -> None:
    for where in ({"namespace": acme}, {"project": app}):
        PublicKey.objects.bulk_create(
            PublicKey(
                name=f"{n}{TEXT}"[:100],
                pem=new_pem(),
                fingerprint=f"{n:064x}",
                algorithm="ECDSA P-256",
                created_by=people[n],
                **where,
            )
            for n in range(MAX_KEYS)
        )
        SigningIdentity.objects.bulk_create(
            SigningIdentity(
                name=f"{n}{TEXT}"[:100],
                identity="i" * MAX_IDENTITY,
                issuer="i" * MAX_IDENTITY,
                created_by=people[n],
                **where,
            )
            for n in range(MAX_IDENTITIES)
        )


def trust_of(kind: str) -> int:
    """One of the largest trusts."""
    of = {"project": {"project__isnull": False}, "group": {"namespace__isnull": False}}[kind]
    return TrustedIssuer.objects.filter(**of).latest("pk").pk
