"""A day, played through the pages, the API, the token endpoint, the console, the command line and
the registry's events: its rows, their chain, and their export.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from gitlab.audit import chain, denials
from gitlab.audit.models import AuditEvent
from gitlab.container_registry import events, tags, undo
from gitlab.container_registry.client.responses import Happened
from gitlab.namespaces.models import Project
from tests.gitlab.played_registry import PlayedRegistry
from tests.people import PASSWORD, basic
from tokens.verify import verify

pytestmark = pytest.mark.django_db

DAY = """
root      user.sign_in                session
root      user.create                 session       dora
root      user.grant_admin            session       dora
root      user.revoke_admin           session       dora
-         user.fail_sign_in           password      alice
alice     user.sign_in                session
alice     access_token.create         session       alice
alice     group.create                session       acme
alice     project.create              session       acme/app
alice     member.add                  session       acme/app
alice     project.update              session       acme/app
alice     access_token.first_use      access_token  alice
alice     container_repository.create access_token  acme/app/web
alice     tag.push                    access_token  acme/app/web
alice     tag.push                    access_token  acme/app/web
alice     tag.delete                  access_token  acme/app/web
alice     tag.delete                  -             acme/app/web
alice     tag.restore                 -             acme/app/web
alice     member.remove               access_token  acme/app
command line user.block               shell         bob
root      project.delete              session       acme/app
root      access_token.revoke         session       alice
alice     user.sign_out               session
"""
"""Who, what, by which kind of credential, to what."""


def signed_in(name: str) -> Client:
    client = Client()
    client.post("/users/sign_in", {"login": name, "password": PASSWORD})
    return client


def test_a_day(
    root: Any, alice: Any, bob: Any, fake_registry: Any, settings: Any, enqueued: Any
) -> None:
    started = AuditEvent.objects.count()
    console = signed_in("root")
    new = {"username": "dora", "email": "d@example.com", "name": "D", "password": "harbour-lamp-9"}
    console.post("/admin/people/-/new", new)
    for is_admin in ({"is_superuser": "on"}, {}):
        form = {"name": "D", "email": "d@example.com", **is_admin}
        console.post("/admin/people/dora/", form)

    Client().post("/users/sign_in", {"login": "alice", "password": "wrong"})
    denials.flush()
    page = signed_in("alice")
    page.post("/-/user_settings/personal_access_tokens/new", {"name": "ci", "scopes": ["api"]})
    token = alice.access_tokens.get()
    page.post("/api/v4/groups", {"path": "acme", "name": "Acme", "visibility": "public"})
    group = alice.memberships.get().namespace
    given = {"path": "app", "name": "app", "namespace_id": group.pk}
    page.post("/api/v4/projects", given)
    app = Project.objects.get()
    page.post(f"/api/v4/projects/{app.pk}/members", {"user_id": bob.pk, "access_level": 30})
    page.put(
        f"/api/v4/projects/{app.pk}", {"visibility": "public"}, content_type="application/json"
    )

    text = _replace_text(token)
    scope = {"service": "container_registry", "scope": "repository:acme/app/web:pull,push"}
    answer = Client().get("/jwt/auth", scope, headers={"Authorization": basic("alice", text)})
    user = verify(answer.json()["token"]).user
    played = PlayedRegistry()
    _happen(fake_registry, str(user))
    image = app.container_repositories.get()
    played.push(image.path, "v9")
    tags.delete_tags(alice, image, ["v9"], registry=played)
    undo.restore_tags(alice, image, ["v9"], registry=played)
    Client().delete(f"/api/v4/projects/{app.pk}/members/{bob.pk}", headers={"PRIVATE-TOKEN": text})
    call_command("users", "block", "bob", stdout=io.StringIO())
    console.post("/acme/app/-/delete", {"path": "acme/app"})
    console.post("/admin/inventory/access_tokens", {"pk": token.pk})
    page.post("/users/sign_out")

    chain.seal()
    lines = _exported(console)[started:]
    assert [_line(line) for line in lines] == [" ".join(line.split()) for line in _expected()]
    _check_chain(lines)
    assert text not in json.dumps(lines)
    assert "harbour-lamp" not in json.dumps(lines)
    assert "wrong" not in json.dumps([line["details"].get("name", "") for line in lines])


def _replace_text(token: Any) -> str:
    """The text of a token that a page has shown once: another one in its place."""
    from gitlab.access_tokens.token_text import Prefix, digest_of, generate

    text = generate(Prefix.PERSONAL)
    type(token).objects.filter(pk=token.pk).update(digest=digest_of(text))
    return text


def _happen(registry: Any, user: str) -> None:
    old, new = f"sha256:{1:064}", f"sha256:{2:064}"
    more = {"at": timezone.now(), "path": "acme/app/web", "actor": "alice", "user": user}
    registry.happened = [
        Happened(1, action="push", tag="v1", digest=old, **more),
        Happened(2, action="push", tag="v1", digest=new, replaced=old, **more),
        Happened(3, action="delete", tag="v1", digest=new, **more),
    ]
    events.read(registry)


def _expected() -> list[str]:
    return DAY.strip().splitlines()


def _exported(console: Client) -> list[dict[str, Any]]:
    """What an administrator downloads, as both kinds, which say the same."""
    found = {}
    for kind in ("jsonl", "csv"):
        answer = console.get("/admin/audit_log", {"format": kind})
        found[kind] = b"".join(answer.streaming_content).decode()
    lines = [json.loads(line) for line in found["jsonl"].splitlines()]
    rows = list(csv.DictReader(io.StringIO(found["csv"])))
    assert [row["digest"] for row in rows] == [line["digest"] for line in lines]
    return sorted(lines, key=lambda line: line["id"])


def _line(line: dict[str, Any]) -> str:
    kind = line["credential"].partition(":")[0] or "-"
    target = "" if line["action"].startswith("user.sign_") else line["target_path"]
    return " ".join(f"{line['actor'] or '-'} {line['action']} {kind} {target}".split())


def _check_chain(lines: list[dict[str, Any]]) -> None:
    assert chain.verify().faults == []
    positions = [line["position"] for line in lines]
    assert positions == list(range(positions[0], positions[0] + len(lines)))
    moments = [dt.datetime.fromisoformat(line["at"]) for line in lines]
    assert max(moments) <= timezone.now()
