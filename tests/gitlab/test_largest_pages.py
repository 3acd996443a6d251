"""Every page with a thousand rows of the longest names there may be: it ends all the same."""

from __future__ import annotations

import datetime as dt
import json
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver, reverse
from django.utils import timezone

from gitlab.access_tokens.models import (
    DeployToken,
    Job,
    JobTokenAllowance,
    PersonalAccessToken,
    Runner,
)
from gitlab.accounts.models import User
from gitlab.api import description
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
from gitlab.namespaces.models import MAX_PATH_LENGTH, Member, Namespace, Project, Route
from gitlab.quotas.models import Quota
from gitlab.record.inventory import INVENTORIES
from gitlab.trusted_issuers.models import TrustedIssuer
from tests.gitlab.container_registry.layers.archives import archive, digest_of, gzipped, member
from tests.gitlab.container_registry.layers.played_layers import push, read_all
from tests.gitlab.container_registry.signatures.signing import new_pem
from tests.gitlab.played_registry import MANIFEST, PlayedRegistry, digest

pytestmark = pytest.mark.django_db

ROWS = 1000
MAX_ANSWER = 2 * 1024 * 1024
MAX_QUERIES = 15
MAX_SECONDS = 20.0
"""Of the processor: many times what the dearest takes, so that it says what never ends, and not how
fast the machine is. Times are measured in `benchmarks/`."""

MAX_MEMORY = 50 * 1024 * 1024
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
    Member.objects.bulk_create(
        Member(user=user, access_level=30, **where)
        for user in people
        for where in ({"namespace": acme}, {"project": app})
    )
    owned = Namespace.objects.filter(parent=acme)
    Member.objects.bulk_create(
        Member(user=alice, namespace=each, access_level=50) for each in owned
    )
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
    Quota.objects.bulk_create(
        Quota(max_bytes=10**18, max_images=10**9, **where)
        for where in ({"namespace": acme}, {"project": app})
    )
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


def _rules(path: str) -> list[dict[str, Any]]:
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


def _trust(kind: str) -> int:
    """One of the largest trusts."""
    of = {"project": {"project__isnull": False}, "group": {"namespace__isnull": False}}[kind]
    return TrustedIssuer.objects.filter(**of).latest("pk").pk


def addresses(files: str) -> dict[str, list[str]]:
    """By the name of each route what is asked of it."""
    image = ContainerRepository.objects.get(path=f"{PROJECT}/web")
    cleanup = CleanupRun.objects.latest("pk").pk
    group, project = {"path": GROUP}, {"path": PROJECT}
    own = {"path": PROJECT, "pk": image.pk}
    member = {"username": long("p", 0, 150)}
    tag = {"tag": long("t", 0, 128)}
    asked: dict[str, list[dict[str, Any]]] = {
        "namespaces:projects": [{}],
        "namespaces:groups": [{}],
        "namespaces:explore": [{}],
        "namespaces:project_new": [{}],
        "namespaces:group_new": [{}],
        "namespaces:overview": [group, project],
        "namespaces:group_edit": [group],
        "namespaces:group_delete": [group],
        "namespaces:group_members": [group],
        "namespaces:group_member_edit": [{**group, **member}],
        "namespaces:group_member_remove": [{**group, **member}],
        "namespaces:project_edit": [project],
        "namespaces:project_delete": [project],
        "namespaces:project_members": [project],
        "namespaces:project_member_edit": [{**project, **member}],
        "namespaces:project_member_remove": [{**project, **member}],
        "quotas:group": [group],
        "quotas:project": [project],
        "path_changes:group": [group],
        "path_changes:group_transfer": [group],
        "path_changes:project": [project],
        "path_changes:transfer": [project],
        "accounts:profile": [{}],
        "accounts:password": [{}],
        "accounts:sessions": [{}],
        "mfa_index": [{}],
        "access_tokens:index": [{}],
        "access_tokens:new": [{}],
        **{
            f"access_tokens:{kind}_{page}": [where]
            for kind, where in (("group", group), ("project", project))
            for page in ("access_tokens", "access_token_new", "deploy_tokens", "deploy_token_new")
        },
        **{
            f"trusted_issuers:{kind}_{page}": [where]
            for kind, where in (("group", group), ("project", project))
            for page in ("trusted_issuers", "trusted_issuer_new")
        },
        **{
            f"trusted_issuers:{kind}_trusted_issuer": [{**where, "pk": _trust(kind)}]
            for kind, where in (("group", group), ("project", project))
        },
        "record:own": [{}],
        "record:own_denials": [{}],
        "record:denial": [{"reference": "D0000"}],
        "record:project_denials": [project],
        "record:group": [group],
        "record:project": [project],
        "access_tokens:project_runners": [project],
        "access_tokens:project_runner_new": [project],
        "signatures:group_keys": [group],
        "signatures:project_keys": [project],
        "signatures:group_identities": [group],
        "signatures:project_identities": [project],
        "api:description": [{}],
        "api:openapi": [{}],
        "cleanup:project": [project],
        "cleanup:policy": [project],
        "cleanup:group": [group],
        "cleanup:run": [{**project, "pk": cleanup}],
        "cleanup:progress": [{**project, "pk": cleanup}],
        "container_registry:index": [project],
        "container_registry:deleted": [project],
        "container_registry:repository": [own],
        "container_registry:untagged": [own],
        "container_registry:help": [project],
        "container_registry:pull_secret": [project],
        "container_registry:progress": [own],
        "container_registry:delete": [own],
        "container_registry:tags_delete": [own],
        "container_registry:tag": [{**own, **tag}],
        "container_registry:compare": [own],
        "container_registry:compare_progress": [own],
        "container_registry:manifest": [{**own, "digest": digest(each)} for each in "ab"],
        "container_registry:document": [{**own, "digest": digest(each)} for each in "ab"],
        "container_registry:file": [{**own, "digest": digest("b"), "layer": digest("5")}],
        "layers:files": [{**own, "digest": files}],
        "layers:progress": [{**own, "digest": files}],
        **{
            f"protection:{kind}_{page}": [{**where, **more} for more in some]
            for kind, where in (("group", group), ("project", project))
            for page, some in (
                ("index", [{}]),
                ("new", [{"of": "tags"}, {"of": "images"}]),
                ("edit", _rules(where["path"])),
                ("matches", [{"of": "tags"}, {"of": "images"}]),
            )
        },
        "home": [{}],
        "search": [{}],
    }
    found = {
        name: [reverse(name, kwargs=kwargs) for kwargs in some] for name, some in asked.items()
    }
    pair = f"?{urlencode({'from': files, 'to': other_image()})}"
    for page in ("compare", "compare_progress"):
        found[f"container_registry:{page}"][0] += pair
    hundred = urlencode({"selected": [long("t", number, 128) for number in range(100)]}, doseq=True)
    found["container_registry:tags_delete"][0] += f"?{hundred}"
    found["container_registry:document"][0] += "?of=config"
    found["search"] = [f"{found['search'][0]}?q={text}" for text in ("xx", "acme", "t0")]
    for kind in ("group", "project"):
        tags, images = found[f"protection:{kind}_matches"]
        found[f"protection:{kind}_matches"] = [
            f"{tags}?tag_name_pattern=x",
            f"{images}?repository_path_pattern=acme*",
        ]
    return found


ELSEWHERE = {
    "accounts:sign_in": "lists nothing",
    "identity_providers:begin": "leads to a provider",
    "identity_providers:callback": "comes from a provider",
    "accounts:sign_out": "lists nothing",
    "accounts:sign_up": "lists nothing",
    "accounts:end_session": "a POST",
    "accounts:end_sessions": "a POST",
    **dict.fromkeys(
        (
            "account_login",
            "account_reauthenticate",
            "account_reset_password",
            "account_reset_password_from_key",
            "mfa_authenticate",
            "mfa_login_webauthn",
            "mfa_reauthenticate",
            "mfa_reauthenticate_webauthn",
            "mfa_activate_totp",
            "mfa_deactivate_totp",
            "mfa_add_webauthn",
            "mfa_remove_webauthn",
            "mfa_view_recovery_codes",
            "mfa_generate_recovery_codes",
        ),
        "one factor, or one question",
    ),
    "access_tokens:revoke": "one token",
    "access_tokens:rotate": "one token",
    **{
        f"access_tokens:{kind}_{page}": "one token"
        for kind in ("group", "project")
        for page in ("access_token_revoke", "access_token_rotate", "deploy_token_revoke")
    },
    **{
        f"trusted_issuers:{kind}_trusted_issuer_{page}": "one trust"
        for kind in ("group", "project")
        for page in ("try", "revoke")
    },
    "access_tokens:project_runner_revoke": "one runner",
    "access_tokens:project_runner_allow": "a POST",
    "access_tokens:project_runner_disallow": "a POST",
    "namespaces:project_archive": "a POST",
    "cleanup:plan": "a POST",
    "cleanup:choose": "a POST",
    **{f"cleanup:{verb}": "a POST" for verb in ("approve", "cancel", "undo")},
    **{f"protection:{kind}_delete": "one rule" for kind in ("group", "project")},
    "layers:list": "a POST",
    **{f"signatures:{kind}_key_delete": "one key" for kind in ("group", "project")},
    **{f"signatures:{kind}_identity_delete": "one" for kind in ("group", "project")},
    "container_registry:compare_files": "a POST",
    "container_registry:events": "takes notifications",
    "container_registry:restore": "a POST",
    "container_registry:tag_restore": "one tag",
    "tokens:auth": "a token",
    "ui:components": "the gallery",
    "ui:theme": "a POST",
    "admin_area:home": "leads to the console",
    "admin_area:cleanup": "the form of one policy",
    "record:inventories": "leads to the first",
    "record:inventory": "asked with the console",
    "record:instance": "asked with the console",
    "record:denials": "asked with the console",
    "admin_area:doctor": "asks other processes",
}


def routes() -> Iterator[str]:
    """The name of each route of a page."""
    for outer in get_resolver().url_patterns:
        space = getattr(outer, "namespace", None)
        if isinstance(outer, URLPattern):
            yield outer.name or ""
        elif space != "admin":
            for inner in outer.url_patterns:
                if isinstance(inner, URLPattern) and inner.name:
                    yield f"{space}:{inner.name}" if space else inner.name


def assert_ends(client: Client, path: str) -> None:
    """One page: its size, the queries, the processor's time, the peak of its memory."""
    description.openapi()  # Made once in a process.
    started = time.process_time()
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path)
    spent = time.process_time() - started
    assert response.status_code == 200, (path, response)
    assert len(response.content) < MAX_ANSWER, path
    assert len(captured) <= MAX_QUERIES, path
    assert spent < MAX_SECONDS, (path, spent)
    # By itself, since it takes several times what is measured.
    tracemalloc.start()
    try:
        client.get(path)
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY, path
    finally:
        tracemalloc.stop()


def test_every_page_ends(files: str, alice: User, settings: Any) -> None:
    settings.SIGSTORE_TRUST_ROOT = Path("nowhere")
    asked = addresses(files)
    assert set(routes()) == asked.keys() | ELSEWHERE.keys(), "a new page is asked here too"
    client = Client()
    client.force_login(alice)
    for path in (path for some in asked.values() for path in some):
        assert_ends(client, path)


def test_every_list_of_the_console_ends(content: None, root: User) -> None:
    client = Client()
    client.force_login(root)
    for page in ("admin:index", "record:instance", "record:denials"):
        assert_ends(client, reverse(page))
    for key in INVENTORIES:
        assert_ends(client, reverse("record:inventory", args=[key]))
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        listed = reverse(f"{name}_changelist")
        for path in (listed, f"{listed}?all=", f"{listed}?q=x"):
            assert_ends(client, path)
        row = model._default_manager.latest("pk")
        for part in ("change", "history"):
            assert_ends(client, reverse(f"{name}_{part}", args=[row.pk]))
