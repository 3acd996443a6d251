"""``users``, ``tokens``, ``projects``, ``garbage``: what an operator types, and what is
recorded.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from gitlab.access_tokens import services as access_tokens
from gitlab.accounts import sign_in
from gitlab.accounts.models import User
from gitlab.audit.models import AuditEvent
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.responses import Garbage, ReviewRun
from gitlab.namespaces.models import Project
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db(databases=["default"])


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def as_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--format=json"))


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as caught:
        run(*arguments)
    return str(caught.value)


def last_event(action: str) -> AuditEvent:
    event = AuditEvent.objects.filter(action=action).order_by("-pk").first()
    assert event is not None, list(AuditEvent.objects.values_list("action", flat=True))
    assert event.address == "command line"
    return event


@pytest.mark.parametrize(
    "command",
    [
        "users", "users list", "users create", "users block", "users unblock", "users password",
        "users admin", "users import", "users export", "users delete", "users approve",
        "users reject", "members", "members import", "members export", "groups", "groups import",
        "groups export", "tokens", "tokens list", "tokens create", "tokens revoke", "projects",
        "projects list", "projects create", "projects visibility", "projects rename",
        "projects transfer", "projects delete", "garbage", "garbage status", "garbage run",
        "backup", "doctor", "generate_keys", "registry_verify", "registry_import", "show_config",
        "registry_pause_garbage", "registry_export", "audit", "audit export", "note_images", "restore", "prepare", "serve",
    ],
)  # fmt: skip
def test_each_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import ManagementUtility

    with pytest.raises(SystemExit) as ended:
        ManagementUtility(["manage.py", *command.split(), "--help"]).execute()
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: manage.py {command}" in text
    assert len(text) > 150


# users


def test_users_list(root: Any, alice: Any, make_person: Any) -> None:
    make_person("zoe", external=True)
    run("users", "block", "alice")
    rows = as_json("users", "list")
    assert [row["username"] for row in rows] == ["alice", "root", "zoe"]
    assert rows[0]["state"] == "blocked"
    assert rows[1]["admin"] is True
    assert rows[2]["external"] is True
    assert [row["username"] for row in as_json("users", "list", "--admins")] == ["root"]
    assert [row["username"] for row in as_json("users", "list", "--state=blocked")] == ["alice"]
    table = run("users", "list").splitlines()
    assert table[0].split()[:3] == ["USERNAME", "NAME", "EMAIL"]
    assert len(table) == 4
    assert "password" not in run("users", "list").lower()


def test_users_create() -> None:
    made = as_json("users", "create", "dora", "--email=dora@example.com", "--admin")
    assert sign_in.verify("dora", made["password"], address="").is_superuser
    assert last_event("user.create").target_path == "dora"
    assert "already taken" in refused("users", "create", "dora", "--email=d@example.com")
    assert "email" in refused("users", "create", "emil", "--email=nonsense").lower()
    assert not User.objects.filter(username="emil").exists()


def test_users_password(alice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("a-new-passphrase \n")
    printed = run("users", "password", "alice", f"--password-file={tmp_path}/password")
    assert "a-new" not in printed
    assert sign_in.verify("alice", "a-new-passphrase ", address="") == alice
    assert last_event("user.change_password").target_path == "alice"
    monkeypatch.setattr("sys.stdin", io.StringIO("from-standard-input-9\n"))
    run("users", "password", "alice", "--password-file=-")
    assert sign_in.verify("alice", "from-standard-input-9", address="") == alice
    generated = as_json("users", "password", "alice")["password"]
    assert sign_in.verify("alice", generated, address="") == alice
    (tmp_path / "password").write_text("short")
    assert "short" in refused("users", "password", "alice", f"--password-file={tmp_path}/password")
    assert "read" in refused("users", "password", "alice", "--password-file=/nowhere")


def test_users_block_and_unblock(alice: Any) -> None:
    assert as_json("users", "block", "alice")["state"] == "blocked"
    assert last_event("user.block").target_path == "alice"
    with pytest.raises(sign_in.AccountClosed):
        sign_in.verify("alice", PASSWORD, address="")
    assert "active" in run("users", "unblock", "alice")
    assert sign_in.verify("alice", PASSWORD, address="") == alice
    assert refused("users", "block", "nobody") == "There is no user nobody."


def test_users_admin(root: Any, alice: Any) -> None:
    assert as_json("users", "admin", "alice")["admin"] is True
    assert last_event("user.grant_admin").target_path == "alice"
    run("users", "admin", "alice")
    assert AuditEvent.objects.filter(action="user.grant_admin").count() == 1
    assert as_json("users", "admin", "root", "--revoke")["admin"] is False
    assert last_event("user.revoke_admin").target_path == "root"
    assert "last administrator" in refused("users", "admin", "alice", "--revoke")
    # A blocked one can't help.
    run("users", "admin", "root")
    run("users", "block", "root")
    assert "last administrator" in refused("users", "admin", "alice", "--revoke")


@pytest.mark.parametrize(
    ("command", "instead"),
    [
        ("changepassword root", "users password"),
        ("createsuperuser --noinput --username=admin --email=a@example.com", "users create"),
    ],
)
def test_what_of_djangos_goes_past_the_rules_names_what_does_not(
    root: Any, command: str, instead: str
) -> None:
    before = root.password
    assert f"manage.py {instead}" in refused(*command.split())
    root.refresh_from_db()
    assert root.password == before
    assert not User.objects.filter(username="admin").exists()


# tokens


def test_tokens(root: Any, alice: Any, bob: Any) -> None:
    made = as_json(
        "tokens", "create", "alice", "--name=ci", "--scopes=read_registry,write_registry"
    )
    found = access_tokens.authenticate(made["token"])
    assert found is not None
    assert found.owner.pk == alice.pk
    event = last_event("access_token.create")
    assert (event.actor, event.address, event.target_path) == (root, "command line", "alice")
    assert event.credential.startswith("shell:")
    run("tokens", "create", "bob", "--name=other", "--scopes=api", "--expires-at=2999-12-31")
    rows = as_json("tokens", "list")
    assert [(row["user"], row["name"], row["state"]) for row in rows] == [
        ("bob", "other", "active"),
        ("alice", "ci", "active"),
    ]
    assert rows[0]["expires_at"] == "2999-12-31"
    assert made["token"] not in run("tokens", "list")
    assert run("tokens", "revoke", str(made["id"])) == "1 revoked.\n"
    assert access_tokens.authenticate(made["token"]) is None
    assert last_event("access_token.revoke").actor == root
    assert [row["user"] for row in as_json("tokens", "list", "--active")] == ["bob"]
    assert [row["user"] for row in as_json("tokens", "list", "--user=alice")] == ["alice"]
    assert [row["state"] for row in as_json("tokens", "revoke", "--user=bob")] == ["revoked"]
    assert run("tokens", "list", "--active") == "No tokens.\n"


def test_tokens_refused(root: Any, alice: Any, bob: Any) -> None:
    assert "At least one of" in refused("tokens", "create", "alice", "--name=x", "--scopes=cook")
    assert "future" in refused(
        "tokens", "create", "alice", "--name=x", "--scopes=api", "--expires-at=2001-01-01"
    )
    assert "YYYY-MM-DD" in refused(
        "tokens", "create", "alice", "--name=x", "--scopes=api", "--expires-at=soon"
    )
    assert refused("tokens", "revoke", "4711") == "There is no token 4711."
    assert "Name tokens" in refused("tokens", "revoke")
    made = as_json("tokens", "create", "alice", "--name=ci", "--scopes=api")
    assert refused("tokens", "revoke", str(made["id"]), "--by=bob") == "no such token"
    assert access_tokens.authenticate(made["token"]) is not None


# projects


def test_projects(root: Any, alice: Any, make_group: Any, fake_registry: Any) -> None:
    make_group("acme", owner=alice, visibility="private")
    assert as_json("projects", "create", "acme/app")["visibility"] == "private"
    assert last_event("project.create").actor == root
    run("projects", "create", "alice/own", "--by=alice")
    assert last_event("project.create").actor == alice
    assert [row["path"] for row in as_json("projects", "list")] == ["acme/app", "alice/own"]
    assert [row["path"] for row in as_json("projects", "list", "--below=acme")] == ["acme/app"]
    assert run("projects", "list", "--visibility=public") == "No projects.\n"
    assert "private" in refused("projects", "visibility", "acme/app", "public")
    changed = as_json("projects", "visibility", "alice/own", "public")
    assert changed["visibility"] == "public"
    assert last_event("project.update").details == {"visibility": ["private", "public"]}
    run("projects", "delete", "alice/own")
    assert Project.objects.get(full_path="alice/own").pending_delete_at is not None
    assert refused("projects", "delete", "alice/own") == "There is no project alice/own."


def test_projects_move(
    root: Any, alice: Any, make_group: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Registry:
        @property
        def own(self) -> Any:
            return self

        def __init__(self) -> None:
            self.renamed: list[tuple[str, str]] = []

        def rename(self, path: str, new_path: str, *, dry_run: bool = False) -> bool:
            if not dry_run:
                self.renamed.append((path, new_path))
            return True

    registry = Registry()
    monkeypatch.setattr(clients, "for_pages", lambda: registry)
    make_group("acme", owner=alice)
    run("projects", "create", "acme/app")
    assert "acme/web" in run("projects", "rename", "acme/app", "web")
    assert as_json("projects", "transfer", "acme/web", "alice")["path"] == "alice/web"
    assert "There is no group" in refused("projects", "transfer", "alice/web", "nowhere")
    assert "taken" in refused("projects", "create", "alice/web")


def test_only_what_the_acting_person_may(alice: Any, bob: Any, root: Any) -> None:
    run("projects", "create", "alice/app", "--by=alice")
    assert "no project" in refused("projects", "delete", "alice/app", "--by=bob")
    assert Project.objects.get(full_path="alice/app").pending_delete_at is None


def test_somebody_has_to_administer(alice: Any) -> None:
    assert "There is no administrator" in refused("projects", "create", "alice/app")


# garbage


def test_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    class Registry:
        @property
        def own(self) -> Any:
            return self

        batches = [ReviewRun(100, 60, 1, 5000, 30), ReviewRun(30, 30, 0, 700, 0)]

        def garbage(self) -> Garbage:
            return Garbage.read({"due": 130, "waiting": 7})

        def review_garbage(self, n: int) -> ReviewRun:
            assert n == 100
            return self.batches.pop(0)

    registry = Registry()
    monkeypatch.setattr(clients, "for_jobs", lambda: registry)
    assert as_json("garbage", "status") == {"due": 130, "waiting": 7}
    assert "130 due" in run("garbage", "status")
    assert as_json("garbage", "run") == {
        "reviewed": 130, "removed": 90, "postponed": 1, "freed_bytes": 5700, "left_due": 0,
    }  # fmt: skip


def test_garbage_without_a_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise RegistryUnavailable("the registry does not answer")

    monkeypatch.setattr(clients, "for_jobs", away)
    assert refused("garbage", "run") == "the registry does not answer"


def test_a_node_of_the_registry_alone_says_where_to_ask(settings: Any) -> None:
    settings.ROLES = frozenset({"registry"})
    for command in ("users", "tokens", "projects"):
        assert "node of GitLab's" in refused(command, "list")


# Those that were there before


@pytest.mark.django_db(databases=["default", "registry"])
def test_a_pause_as_json() -> None:
    lease = as_json("registry_pause_garbage", "--for=1h")["lease"]
    assert as_json("registry_pause_garbage", f"--renew={lease}") == {"lease": lease}
    assert as_json("registry_pause_garbage", "--resume", f"--id={lease}") == {"ended": 1}


def test_keys_as_json(tmp_path: Path) -> None:
    said = as_json("generate_keys", f"--out={tmp_path}/keys")
    assert "PRIVATE KEY" in Path(said["key"]).read_text()
    assert "CERTIFICATE" in Path(said["certificate"]).read_text()
