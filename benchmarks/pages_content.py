"""What the pages of `benchmarks.pages` show: code for Berth's shell, which seeds both sides.

`registry_seed` has made the registry's rows before. Its repositories get the names of projects, and
the large image signatures, pulls and deleted tags.
"""

from __future__ import annotations

TAGS = 5_000
"""Of the image seed/large."""

REPOSITORIES = 1_000
TAGS_EACH = 95
"""Of the others, one in each project: 100,000 in all."""

SEEDED = (
    "registry_seed",
    f"--repositories={REPOSITORIES}",
    f"--tags={TAGS}",
    "--blobs=10000",
    "--tags-per-manifest=1",
    f"--tags-each={TAGS_EACH}",
)
"""The command that makes the registry's rows."""

REGISTRY = """
import datetime as dt
from django.utils import timezone
from registry.models import Manifest, ManifestPulls, Repository, Tag
from registry.services import database
now = timezone.now()
rows = list(Repository.objects.exclude(name="seed/large").order_by("pk"))
for n, row in enumerate(rows):
    row.name = f"g{n % 100:03}/p{n:04}"
Repository.objects.bulk_update(rows, ["name"], batch_size=500)
large = Repository.objects.get(name="seed/large")
images = list(Manifest.objects.filter(repository=large).order_by("pk"))
Manifest.objects.bulk_create(
    (Manifest(repository=large, digest=f"sha256:{n:064}", payload=b"{}", size=2,
              media_type="application/vnd.oci.image.manifest.v1+json", subject_digest=each.digest,
              artifact_type="application/vnd.cncf.notary.signature")
     for n, each in enumerate(images[::10])),
    batch_size=500,
)
ManifestPulls.objects.bulk_create(
    (ManifestPulls(manifest=each, repository=large, pulls=n, last_at=now - dt.timedelta(hours=n))
     for n, each in enumerate(images[::2])),
    batch_size=500,
)
Tag.objects.bulk_create(
    (Tag(repository=large, name=f"old{n:04}", sort_key=f"old04{n:04}", manifest=each,
         digest=each.digest, size=1000, started_at=now - dt.timedelta(days=2), started_by="root",
         ended_at=now - dt.timedelta(minutes=n), ended_by="root")
     for n, each in enumerate(images[:1000])),
    batch_size=500,
)
database.gather_statistics()
print(images[len(images) // 2].digest)
"""
"""Prints a digest of the large image."""

GITLAB = """
import datetime as dt
from importlib import import_module
from django.conf import settings
from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.db import connection
from django.utils import timezone
from gitlab.accounts.models import User
from gitlab.audit.models import AuditEvent, Denial
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services
from gitlab.namespaces.models import Member, Namespace, Project, Route
from gitlab.storage.models import Candidate, DailySize, Measure
now = timezone.now()
root = User.objects.get(username="root")
User.objects.bulk_create(
    User(username=f"person{n:03}", email=f"p{n}@example.com", name=f"Person {n}")
    for n in range(300)
)
people = list(User.objects.filter(username__startswith="person"))
groups = [services.create_group(root, path=f"g{n:03}") for n in range(100)]
Member.objects.bulk_create(
    Member(user=each, namespace=groups[0], access_level=10 + 10 * (n % 4))
    for n, each in enumerate(people)
)
Project.objects.bulk_create(
    Project(namespace=groups[n % 100], path=f"p{n:04}", name=f"p{n:04}",
            full_path=f"g{n % 100:03}/p{n:04}", visibility="internal")
    for n in range(1000)
)
made = list(Project.objects.filter(path__startswith="p").order_by("pk"))
Route.objects.bulk_create(Route(full_path=p.full_path, project=p) for p in made)
seed = services.create_group(root, path="seed")
large = services.create_project(root, namespace=seed, path="large")
made.append(large)
ContainerRepository.objects.bulk_create(
    ContainerRepository(project=p, path=p.full_path,
                        last_published_at=now - dt.timedelta(minutes=n))
    for n, p in enumerate(made)
)
images = {each.path: each for each in ContainerRepository.objects.all()}
AuditEvent.objects.bulk_create(
    (AuditEvent(actor=people[n % 300], actor_name=people[n % 300].username, action="tag.push",
                target_type="containerrepository", target_id=images[p.full_path].pk,
                target_path=p.full_path, details={"tag": f"v{n}", "digest": f"sha256:{n:064}"},
                address="registry", project_pk=p.pk, namespace_pk=p.namespace_id,
                at=now - dt.timedelta(minutes=n))
     for n in range(10_000) for p in (made[n % len(made)],)),
    batch_size=500,
)
Denial.objects.bulk_create(
    Denial(reference=f"D{n:04}", kind="scope", name=f"person{n % 300:03}", path=p.full_path,
           actions="pull", reason="no member", project_pk=p.pk, namespace_pk=p.namespace_id,
           first_at=now, last_at=now - dt.timedelta(minutes=n))
    for n, p in enumerate(made)
)
spaces = [*groups, seed]
Measure.objects.bulk_create(
    [Measure(namespace=each, size_bytes=n * 10**9, alone_bytes=n * 10**8, images=10, tags=950,
             measured_at=now) for n, each in enumerate(spaces)]
    + [Measure(project=each, size_bytes=n * 10**7, alone_bytes=n * 10**6, images=1, tags=95,
               measured_at=now) for n, each in enumerate(made)]
    + [Measure(repository=images[each.full_path], size_bytes=n * 10**7, alone_bytes=n * 10**6,
               images=1, tags=95, measured_at=now,
               shares=[[[f"v{tag:06}"], 1, 10**6, 10**4] for tag in range(50)])
       for n, each in enumerate(made)]
)
DailySize.objects.bulk_create(
    (DailySize(day=(now - dt.timedelta(days=day)).date(), size_bytes=(400 - day) * 10**8,
               waiting_bytes=10**6, **of)
     for of in ({"namespace": seed}, {"namespace": groups[0]}, {"project": large})
     for day in range(400)),
    batch_size=500,
)
Candidate.objects.bulk_create(
    (Candidate(repository=images[each.full_path], digest=f"sha256:{n:064}", names=[f"v{n}"],
               freed_bytes=n * 1000, freed_at_top_bytes=n * 900, published_at=now)
     for each in made for n in range(5)),
    batch_size=500,
)
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY] = str(root.pk)
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
session[HASH_SESSION_KEY] = root.get_session_auth_hash()
session.save()
connection.cursor().execute("ANALYZE")
print(images["seed/large"].pk, f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
"""
"""Prints the id of the large image and an administrator's cookie."""
